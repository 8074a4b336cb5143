//! Every help text.

use clap::CommandFactory;
use shadowcatctl_cli::args::Args;

use crate::golden::Golden;
use crate::support::ctl;

/// The words of every command, from the program itself down.
fn commands(command: &clap::Command, words: &[String]) -> Vec<Vec<String>> {
    let mut all = vec![words.to_vec()];
    for below in command.get_subcommands() {
        let mut words = words.to_vec();
        words.push(below.get_name().to_owned());
        all.extend(commands(below, &words));
    }
    all
}

#[tokio::test]
async fn every_help_text_is_as_it_was() {
    let mut golden = Golden::new("help");
    for words in commands(&Args::command(), &[]) {
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        arguments.push("--help");
        let told = ctl(&arguments).run().await;
        assert_eq!(told.code, 0, "{words:?}: {}", told.stderr);
        let name = if words.is_empty() { "shadowcatctl".to_owned() } else { words.join("-") };
        golden.compare(&name, &told.stdout);
    }
    golden.finish();
}

#[tokio::test]
async fn every_shell_gets_completions_that_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let told = ctl(&["completion", shell]).run().await;
        assert_eq!(told.code, 0, "{shell}: {}", told.stderr);
        assert!(told.stdout.contains("rollback"), "{shell}");
    }
}

#[tokio::test]
async fn wrong_usage_has_its_own_exit_code() {
    for arguments in
        [&["appply"][..], &["apply"], &["diff", "1"], &["history", "--limit", "0"], &["-o", "xml", "status"]]
    {
        assert_eq!(ctl(arguments).run().await.code, 2, "{arguments:?}");
    }
}

#[tokio::test]
async fn the_schema_is_a_json_schema() {
    let told = ctl(&["schema"]).run().await;
    assert_eq!(told.code, 0, "{}", told.stderr);
    let schema: serde_json::Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert!(schema.to_string().contains("upstreams"), "{schema}");
}
