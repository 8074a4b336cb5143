//! Words that are not the gateway's own, made fit for a log: those of servers that are child processes, names that clients give.
//!
//! Whoever may read a log may not therefore read secrets. The rules are the default ones, and tags are made with a key of this process:
//! equal secrets have equal tags until it ends. Not here: what is recorded, which each recording has rules of its own for.

use std::fmt;
use std::sync::LazyLock;

use shadowcat_tape::redact::{RedactionKey, Redactor, Rules};
use shadowcat_upstream::CleanLines;

/// A line that stands for itself outside of a private key's block, and goes inside of one: base64 and nothing else.
const PROBE: &str = "AAAA";

/// What a line has that opens a block (RFC 7468, section 2). All others that are in none need one search only.
const OPENS: &str = "-----BEGIN";

/// The default rules, under a key of this process.
static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| {
    let mut key = [0; 32];
    getrandom::fill(&mut key).expect("a system without random bytes has no sessions and no TLS either");
    Redactor::new(&Rules::default(), &RedactionKey::from(key)).expect("the rules of the program are sound")
});

/// What cleans one stream of a child's words.
pub(crate) fn cleaner() -> CleanLines {
    let mut words = Words::default();
    Box::new(move |line| words.line(&REDACTOR, line))
}

/// Text that shows without its secrets. Costs nothing until it is shown.
pub(crate) struct Clean<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Clean<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&REDACTOR.text(&self.0.to_string()))
    }
}

/// One stream of lines, of which a private key may take several.
///
/// A [`TextStream`](shadowcat_tape::redact::TextStream) borrows its redactor, and so cannot be kept for as long as a child lives. What is
/// kept instead are the lines that brought the stream where it is, which are none outside of a key's block.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    /// The line that opened a block, and those since then that are no part of the key: fewer than ten, since a block that holds
    /// more of them has ended.
    open: Vec<String>,
}

impl Words {
    /// A stream of which lines are missing: a block may have begun in them.
    pub(crate) fn torn() -> Self {
        Self { open: vec![format!("{OPENS} PRIVATE KEY-----")] }
    }

    /// The next line as `redactor` leaves it.
    pub(crate) fn line(&mut self, redactor: &Redactor, line: &str) -> String {
        if self.open.is_empty() && !line.contains(OPENS) {
            return redactor.text(line).into_owned();
        }
        let mut stream = redactor.stream();
        for said in &self.open {
            stream.line(said);
        }
        let cleaned = stream.line(line).into_owned();
        if stream.line(PROBE) == PROBE {
            self.open.clear();
        } else if self.open.is_empty() || cleaned == line {
            // Lines of the key are changed, and do not bring the block nearer to its end.
            self.open.push(line.to_owned());
        }
        cleaned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line of base64, as long as PEM makes them.
    fn key_line() -> String {
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC".repeat(2)
    }

    #[test]
    fn a_private_key_over_many_lines_goes_and_what_follows_stays() {
        let mut clean = cleaner();
        assert_eq!(clean("AAAA is where it starts"), "AAAA is where it starts");
        assert_eq!(clean("-----BEGIN PRIVATE KEY-----"), "-----BEGIN PRIVATE KEY-----");
        for _ in 0..500 {
            let line = clean(&key_line());
            assert!(!line.contains("MIIE") && line.contains("⟦r:pem:"), "{line}");
        }
        assert_eq!(clean("2026-11-21 another thread says hello"), "2026-11-21 another thread says hello");
        assert!(!clean(&key_line()).contains("MIIE"));
        assert_eq!(clean("-----END PRIVATE KEY-----"), "-----END PRIVATE KEY-----");
        assert_eq!(clean(&key_line()), key_line());
    }

    #[test]
    fn every_queue_is_bounded_and_a_block_that_nothing_ends_is_left() {
        let (mut words, redactor) = (Words::default(), &*REDACTOR);
        words.line(redactor, "-----BEGIN PRIVATE KEY-----");
        for number in 0..50 {
            words.line(redactor, &format!("request {number} was served"));
            assert!(words.open.len() < 10, "{:?}", words.open);
        }
        assert!(words.open.is_empty());
    }

    #[test]
    fn what_is_shown_has_no_secret_in_it() {
        let shown = Clean("tool Bearer abcdefghijklmnopqrstuvwxyz012345").to_string();
        assert!(shown.starts_with("tool Bearer ⟦r:") && !shown.contains("abcdef"), "{shown}");
        assert_eq!(Clean("tools/call").to_string(), "tools/call");
    }
}
