//! What every store promises.

pub(crate) mod audit;
pub(crate) mod kept;
pub(crate) mod life;
pub(crate) mod messages;
pub(crate) mod nodes;
pub(crate) mod retention;
pub(crate) mod secrets;
pub(crate) mod tapes;
pub(crate) mod traffic;
pub(crate) mod versions;
pub(crate) mod words;
