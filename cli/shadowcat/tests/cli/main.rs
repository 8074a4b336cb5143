//! The scenarios of the program, in one test binary because each link costs seconds.

mod command_line;
mod demo_server;
mod readme;
mod support;
