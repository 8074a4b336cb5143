//! The program at the shell, against a control plane that a test plays.

mod answers;
mod apply;
mod asking;
mod contexts;
mod conversations;
mod exporting;
mod fake;
mod following;
#[path = "../../../../tests/golden/files.rs"]
mod golden;
mod help;
mod keeping;
mod parquet;
mod recorded;
mod recorder;
mod searching;
mod showing;
mod support;
mod terminal;
mod transport;
mod views;
