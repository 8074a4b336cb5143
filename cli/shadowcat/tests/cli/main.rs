//! The scenarios of the program, in one test binary because each link costs seconds.

mod command_line;
mod demo_server;
#[path = "../../../../tests/golden/files.rs"]
mod golden;
#[path = "../../../../tests/golden/help.rs"]
mod help;
mod readme;
mod recorded;
mod spool_validate;
mod support;
mod tape_list;
mod tape_show;
mod tape_validate;
