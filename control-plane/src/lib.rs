//! The control plane: versions of configurations, the nodes that run them, and the operators who look after both.
//!
//! | Room | Does |
//! |---|---|
//! | [`store`] | keeps versions, nodes, tokens and the audit record: SQLite or Postgres |
//! | [`authority`] | signs the certificates by which nodes and control planes know each other |
//! | [`token`] | what a node joins with, and what an operator shows |
//! | [`listen`] | accepts connections, with caps and deadlines; TLS; which call goes where |
//! | [`fleet`] | brings versions to nodes |
//! | [`tapes`] | keeps what nodes recorded, and finds it again |
//! | [`admin`] | answers operators |
//! | [`observe`] | metrics and logs |
//!
//! Nothing here is on the way of a call of an MCP client, and a control plane that is gone changes nothing for the nodes.
//!
//! # A control plane in a program
//!
//! ```
//! use shadowcat_control_plane::{ControlPlane, Settings};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let data_dir = std::env::temp_dir().join(format!("shadowcat-doc-{}", std::process::id()));
//! let settings = Settings { bind: "127.0.0.1:0".parse()?, console_bind: "127.0.0.1:0".parse()?, ..Settings::new(&data_dir) };
//! let plane = ControlPlane::build(settings).await?;
//! println!("nodes and operators: https://{}", plane.grpc_addr());
//! plane.serve(async {}).await?;
//! # std::fs::remove_dir_all(data_dir)?;
//! # Ok(())
//! # }
//! ```

mod admin;
pub mod authority;
mod fleet;
mod listen;
mod observe;
mod plane;
mod settings;
pub mod store;
pub mod tapes;
pub mod token;
mod traffic;

pub use observe::{LogFormat, init_logging};
pub use plane::{ControlPlane, StartError};
pub use settings::{DEFAULT_BIND, DEFAULT_CONSOLE_BIND, Settings, default_data_dir};
