//! What is recorded of a call, from the client's bytes to the record.

mod calls;
mod kept;
mod linked;
mod refused;
mod support;
