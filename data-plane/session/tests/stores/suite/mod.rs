//! What every store promises.

pub(crate) mod caps;
pub(crate) mod sessions;
pub(crate) mod streams;
