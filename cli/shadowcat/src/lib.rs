//! The program `shadowcat`: MCP traffic on one machine.
//!
//! Everything but the order of start-up and shut-down (`main.rs`) is here, so that tests reach it in process. The gateway itself is
//! `shadowcat-proxy`; this crate reads the command line, builds what the command asks for, reads recorded traffic where
//! it lies, and carries the demo server.

pub mod args;
pub mod commands;
pub mod demo;
pub mod tapes;
pub mod upstream_arg;
