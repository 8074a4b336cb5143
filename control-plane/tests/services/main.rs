//! The control plane in process, on a database of its own, with nodes and operators that are clients of the real protocol.

mod admin;
mod harness;
mod listener;
mod node;
mod nodes;
mod outage;
mod versions;
