//! `schema`: what an editor needs to complete and check a configuration file.

use super::Desk;
use crate::Failure;

pub(super) fn run(desk: &Desk) -> Result<(), Failure> {
    let schema = shadowcat_config::json_schema();
    desk.printer.write(&format!("{schema:#}\n"))
}
