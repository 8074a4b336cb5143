//! The schema: types generated from the `.proto` files beside this crate, and their JSON mapping. No logic.
//!
//! The files under `shadowcat/` are the only schema there is; what a person writes, a node receives and a control plane
//! stores are the same messages. Names in JSON and YAML are the snake_case ones of the files. Meaning is given by
//! `shadowcat-config`, never here.

/// The configuration.
pub mod config {
    /// Version 1 of the configuration.
    #[allow(clippy::all, clippy::too_many_lines, reason = "generated: the lints are about code that people read")]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/shadowcat.config.v1.rs"));
        include!(concat!(env!("OUT_DIR"), "/shadowcat.config.v1.serde.rs"));
    }
}
