//! The command line of a fleet.

fn main() {}
