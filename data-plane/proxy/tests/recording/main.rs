//! What is recorded of a call, from the client's bytes to the record.

#![allow(clippy::unwrap_used, reason = "in a test an error is a failure, and its text says which")]

mod calls;
mod children;
mod kept;
mod linked;
mod refused;
mod resumed;
mod support;
