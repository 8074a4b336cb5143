//! Every help text of `shadowcat-control-plane`.

#[path = "../../tests/golden/files.rs"]
mod golden;
#[path = "../../tests/golden/help.rs"]
mod help;

#[test]
fn every_help_text_is_as_it_was() {
    help::is_as_it_was(env!("CARGO_BIN_EXE_shadowcat-control-plane"));
}
