//! The program `shadowcatctl`: what operators tell a control plane, and what it tells them.
//!
//! ```text
//! command line --args--> command --connect--> admin API of a control plane
//!                           ├--view--> tables for people, JSON and YAML for programs
//!                           └--export--> recorded traffic in files
//! ```
//!
//! Everything but the order of start and end (`main.rs`) is here, so that tests reach it in process. The crate knows the schema
//! (`shadowcat-proto`) and the one validator (`shadowcat-config`), so that mistakes in a file are told before anything is sent.
//!
//! Invariants:
//! - No plane is linked in; every wait is bounded, but for `--watch`, `top` and `tapes tail`, which last until they are interrupted.
//! - A token goes only to the server it was given for, and only over a connection that nobody else can read.
//! - Text that others wrote is printed without its control characters: it cannot drive the reader's terminal.
//! - Every failure has one exit code ([`Exit`]), and says what was called, what happened and what to do.

pub mod args;
pub mod commands;
pub mod connect;
pub mod context;
mod exit;
pub mod export;
mod failure;
pub mod output;
pub mod view;

pub use exit::{EXIT_CODES, Exit};
pub use failure::Failure;
