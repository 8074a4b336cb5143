//! The control plane in process, on a database of its own, with nodes and operators that are clients of the real protocol.

#![allow(clippy::unwrap_used, reason = "in a test an error is a failure, and its text says which")]
#![allow(clippy::disallowed_methods, reason = "a test's tasks end with its runtime; there is nothing to drain")]

mod admin;
mod corpus;
mod deletion;
mod harness;
mod listener;
mod node;
mod nodes;
mod outage;
#[path = "../store/postgres_server.rs"]
#[expect(dead_code, reason = "these tests do it no harm")]
mod postgres_server;
mod shipping;
mod spool;
mod tapes;
mod traffic;
mod versions;
