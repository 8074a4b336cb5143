//! The schema: types generated from the `.proto` files beside this crate, their JSON mapping, and the stubs of the services. No
//! logic.
//!
//! The files under `shadowcat/` are the only schema there is; what a person writes, a node receives and a control plane
//! stores are the same messages. Names in JSON and YAML are the snake_case ones of the files. Meaning is given by
//! `shadowcat-config`, never here.

/// Includes what was generated for a package.
macro_rules! generated {
    ($package:literal) => {
        include!(concat!(env!("OUT_DIR"), "/", $package, ".rs"));
        include!(concat!(env!("OUT_DIR"), "/", $package, ".serde.rs"));
    };
}

/// The configuration.
pub mod config {
    /// Version 1 of the configuration.
    #[allow(clippy::all, clippy::pedantic, reason = "generated: the lints are about code that people read")]
    pub mod v1 {
        generated!("shadowcat.config.v1");
    }
}

/// How a data plane and its control plane talk.
pub mod fleet {
    /// Version 1 of the protocol.
    #[allow(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        reason = "generated: the lints are about code that people read"
    )]
    pub mod v1 {
        generated!("shadowcat.fleet.v1");
    }
}

/// What operators ask of a control plane.
pub mod admin {
    /// Version 1 of the API.
    #[allow(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        reason = "generated: the lints are about code that people read"
    )]
    pub mod v1 {
        generated!("shadowcat.admin.v1");
    }
}

/// Every file as a `google.protobuf.FileDescriptorSet`, comments included: for reflection, for schemas derived from it, and for
/// tests that ask what there is.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
