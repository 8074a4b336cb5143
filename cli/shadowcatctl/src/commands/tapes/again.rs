//! The command that goes on where this one stopped.

use std::borrow::Cow;

use shadowcat_proto::admin::v1::TapeSelection;

use crate::args::written;

/// Flags whose values are told anew, and the one that nobody is to read over a shoulder or in a log.
const LEFT_OUT: [&str; 4] = ["--cursor", "--since", "--until", "--token"];

/// This process's command once more, from `cursor` on. Times are told as moments: an hour before now is another one later.
pub(super) fn command(selection: &TapeSelection, cursor: &str) -> String {
    let since = selection.since.as_ref().and_then(written);
    let until = selection.until.as_ref().and_then(written);
    let added = [("--since", since), ("--until", until), ("--cursor", Some(cursor.to_owned()))];
    rewritten(std::env::args().skip(1), added.into_iter().filter_map(|(flag, value)| Some((flag, value?))))
}

fn rewritten(
    words: impl IntoIterator<Item = String>,
    added: impl IntoIterator<Item = (&'static str, String)>,
) -> String {
    let mut words = words.into_iter();
    let mut line = "shadowcatctl".to_owned();
    let mut push = |word: &str| {
        line.push(' ');
        line.push_str(&quoted(word));
    };
    // What follows a bare `--` is text, whatever it looks like.
    let mut text = Vec::new();
    while let Some(word) = words.next() {
        if word == "--" {
            text = std::iter::once(word).chain(words.by_ref()).collect();
        } else if LEFT_OUT.contains(&word.as_str()) {
            words.next();
        } else if !LEFT_OUT.iter().any(|flag| word.strip_prefix(flag).is_some_and(|rest| rest.starts_with('='))) {
            push(&word);
        }
    }
    for (flag, value) in added {
        push(flag);
        push(&value);
    }
    text.iter().for_each(|word| push(word));
    line
}

/// A word as a POSIX shell reads it.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=@%+,".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(line: &[&str]) -> String {
        let added = [("--cursor", "c2".to_owned())];
        rewritten(line.iter().map(|word| (*word).to_owned()), added)
    }

    #[test]
    fn the_command_goes_on_with_what_was_said_but_for_the_token_and_what_changes() {
        let line = ["tapes", "search", "it's here", "--token", "secret", "--cursor=c1", "--since", "1h", "--tool", "a"];
        assert_eq!(again(&line), r"shadowcatctl tapes search 'it'\''s here' --tool a --cursor c2");
        assert_eq!(again(&["--token=secret", "tapes", "list"]), "shadowcatctl tapes list --cursor c2");
    }

    #[test]
    fn text_after_two_dashes_stays_text() {
        assert_eq!(again(&["tapes", "search", "--", "--token"]), "shadowcatctl tapes search --cursor c2 -- --token");
    }
}
