//! What the gateway promises, seen from outside: real binaries, real sockets, real processes.
//!
//! One binary, so that it links once. Each test starts what it needs, waits for what it can observe, and takes everything down.
//! The tests in [`invariants`] carry the names that ARCHITECTURE.md gives the invariants.

#![allow(clippy::unwrap_used, reason = "in a test an error is a failure, and its text says which")]
#![allow(clippy::disallowed_methods, reason = "a test's tasks end with its runtime; there is nothing to drain")]

mod clients;
mod cors;
mod drain;
mod every_queue_is_bounded;
mod first_contact;
mod invariants;
mod kills;
mod logs;
mod membership;
mod odd_json;
mod recorded;
mod redis_away;
mod refused_versions;
mod reload;
mod replicas;
mod retirement;
mod routes;
mod servers;
mod sessionless;
mod slow_sockets;
mod stdio;
mod storm;
mod streamed;
mod streaming;
mod swaps;
mod tls;
mod upstream_faults;
mod versions;
