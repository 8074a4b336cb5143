//! What one replica of the control plane is started with.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where nodes and operators are served unless chosen otherwise.
pub const DEFAULT_BIND: &str = "127.0.0.1:7070";

/// Where `/health` and `/metrics` are served unless chosen otherwise.
pub const DEFAULT_CONSOLE_BIND: &str = "127.0.0.1:7080";

/// The database in the data directory, unless another is named.
const DATABASE_FILE: &str = "control-plane.db";

/// What nodes recorded, in the data directory, unless another place is named.
const BLOBS_DIRECTORY: &str = "tapes";

/// What one replica is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `postgres://…`, `sqlite:PATH`, or a path.
    pub database: String,
    /// Where recorded traffic is kept: a directory, or `s3://bucket/prefix`.
    pub blobs: String,
    /// The gRPC port.
    pub bind: SocketAddr,
    /// The console's port.
    pub console_bind: SocketAddr,
    /// Where the first admin token is written.
    pub data_dir: PathBuf,
}

impl Settings {
    /// The defaults, with everything in `data_dir`.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        Self {
            database: format!("sqlite:{}", data_dir.join(DATABASE_FILE).display()),
            blobs: data_dir.join(BLOBS_DIRECTORY).display().to_string(),
            bind: DEFAULT_BIND.parse().expect("it is an address"),
            console_bind: DEFAULT_CONSOLE_BIND.parse().expect("it is an address"),
            data_dir,
        }
    }
}

/// The platform's directory for the data of programs (XDG Base Directory Specification): `$XDG_DATA_HOME/shadowcat`, else
/// `~/.local/share/shadowcat`, else `shadowcat-data` where the program was started.
#[must_use]
pub fn default_data_dir() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let absolute = |path: &PathBuf| path.is_absolute();
    set("XDG_DATA_HOME")
        .filter(absolute)
        .or_else(|| set("HOME").map(|home| home.join(Path::new(".local/share"))))
        .map_or_else(|| PathBuf::from("shadowcat-data"), |data| data.join("shadowcat"))
}
