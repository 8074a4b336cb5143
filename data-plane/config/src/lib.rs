//! The configuration: what a person wrote becomes [`Config`], valid by construction, or [`Diagnostics`] that tell
//! everything that is wrong.
//!
//! ```text
//! YAML or JSON --source--> raw messages (shadowcat-proto) --validate--> Config
//!              <--print---                                --version---> canonical bytes, digests, differences
//! ```
//!
//! One machine reads a file ([`load_local`]); a fleet's configuration is read from several ([`parse_fleet`]), travels as
//! a message, and is judged again by everybody who receives it.
//!
//! Invariants:
//! - A `Config` exists only if the one validator found nothing to say; nobody downstream checks again.
//! - Nothing that would be ignored is accepted: unknown fields, unused upstreams and what the gateway does not act on
//!   yet are errors.
//! - Everything is bounded: sizes and counts by the constants in [`limits`], times by the ranges in [`defaults`].
//! - Secrets are references here, and are resolved by whoever uses them; no value of one is printed.
//!
//! ```
//! let text = "
//! routes:
//!   - { name: files, match: { path: /mcp }, targets: [{ upstream: filez }] }
//! upstreams:
//!   - { name: files, http: { endpoints: [{ url: 'http://${FILES_HOST:-127.0.0.1}:3001/mcp' }] } }
//! ";
//! let told = shadowcat_config::parse_local(text, "fleet.yaml").unwrap_err().to_string();
//! let expected = r#"fleet.yaml:3:65: routes[0].targets[0].upstream: no upstream named "filez" (did you mean "files"?)"#;
//! assert_eq!(told, expected);
//!
//! let config = shadowcat_config::parse_local(&text.replace("filez", "files"), "fleet.yaml")?.config;
//! assert_eq!(config.routes()[0].target.name.as_str(), "files");
//! # Ok::<(), shadowcat_config::Diagnostics>(())
//! ```
//!
//! Not here: watching files, flags, and anything that opens a socket.

pub mod defaults;
mod diagnostics;
mod duration;
mod field_path;
mod fleet;
pub mod limits;
mod name;
mod node;
mod origin;
mod print;
#[cfg(test)]
mod properties;
mod quantity;
mod recording;
mod route;
mod schema;
mod secret;
mod seed;
mod source;
mod suggest;
mod upstream;
mod validate;
mod version;

pub use diagnostics::{Diagnostic, Diagnostics, Position};
pub use field_path::{FieldPath, InvalidFieldPath, Step};
pub use fleet::{Config, DEFAULT_PATH, LocalConfig};
pub use name::{Name, is_name};
pub use node::{InvalidRedisUrl, Node, RedisUrl, Spool, Tls};
pub use origin::{AllowedOrigin, Origin};
pub use print::{mask, print_yaml};
pub use recording::{Capture, Overflow, Principals, Recording, Redact, Retention, SecretForm};
pub use route::{Cors, HostPattern, Route, RouteMatch, RouteTimeouts, SessionMode, Sessions};
pub use schema::json_schema;
pub use secret::{Secret, SecretError, SecretRef};
pub use seed::{ConfigRef, MAX_CANONICAL_BYTES, MAX_SEED_BYTES, SeedError, decode, encode};
pub use source::fleet::{FleetSource, parse_fleet, parse_fleet_in};
pub use source::{load_local, parse_local, parse_local_in};
pub use upstream::{
    Connections, EnvVar, HeaderSource, HttpUpstream, Sharing, StdioUpstream, Transport, Upstream, UpstreamHeader,
    UpstreamTimeouts, ValueSource,
};
pub use version::{
    Change, Digest, FieldChange, InvalidDigest, ResourceKey, Verb, canonical, diff, digest, resource_digests,
};
