//! The command line and the environment a child is started with.

use std::process::Stdio;

use tokio::process::Command;

use super::settings::StdioSettings;
use crate::reaper::Reaper;

/// Variables a child inherits: those the official MCP SDKs pass on by default, and where to find language, time zone and
/// room for temporary files. Everything else, above all what may hold a secret of the gateway, has to be configured.
const INHERITED: [&str; 12] = [
    "HOME",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "USER",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TMPDIR",
    "TZ",
    "XDG_CACHE_HOME",
];

/// The command of `settings`, piped on all three sides and leading a process group of its own; `None` without a program.
pub(super) fn command(settings: &StdioSettings, reaper: &Reaper) -> Option<Command> {
    let (program, arguments) = settings.command.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(settings.env.iter().map(|(name, value)| (name, value)));
    if let Some((name, instance)) = reaper.marker() {
        command.env(name, instance);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The group is what is signalled in the end, so that nothing below a shell survives; and a Ctrl-C in the terminal
    // goes to the gateway, which stops its children in order. `kill_on_drop` is for a runtime that is torn down.
    command.process_group(0).kill_on_drop(true);
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::{INHERITED, command};
    use crate::reaper::Reaper;
    use crate::stdio::StdioSettings;

    #[tokio::test]
    async fn a_child_inherits_a_named_few_variables_and_gets_the_configured_ones() {
        let mut settings = StdioSettings::new("files", vec!["env".to_owned()]);
        settings.env = vec![("API_KEY".to_owned(), "k".to_owned())];
        let output = command(&settings, &Reaper::absent()).expect("a program").output().await.expect("env runs");
        let output = String::from_utf8(output.stdout).expect("text");
        let names: Vec<&str> = output.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        assert!(names.contains(&"API_KEY") && names.contains(&"PATH"), "{names:?}");
        assert!(names.iter().all(|name| INHERITED.contains(name) || *name == "API_KEY"), "{names:?}");
    }

    #[test]
    fn an_empty_command_is_no_command() {
        assert!(command(&StdioSettings::new("files", Vec::new()), &Reaper::absent()).is_none());
    }
}
