//! The last words of a child: the end of its stderr, for the error that reports its death.

use std::collections::VecDeque;

/// Lines kept: a stack trace's interesting end.
const LINES: usize = 20;

/// Bytes kept, since they may travel inside an error message. A line that is longer is cut to it.
const BYTES: usize = 4 * 1024;

/// A ring of lines; the oldest falls out at either bound.
#[derive(Debug, Default)]
pub(super) struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Tail {
    /// Keeps a line, and returns it as it is kept: printable, and not too long.
    pub(super) fn push(&mut self, line: &str) -> &str {
        let begin = &line[..line.floor_char_boundary(BYTES)];
        let text: String = begin.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.bytes += text.len();
        self.lines.push_back(text);
        while self.lines.len() > 1 && (self.lines.len() > LINES || self.bytes > BYTES) {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.len());
        }
        self.lines.back().map_or("", String::as_str)
    }

    /// The lines, one below the other.
    pub(super) fn text(&self) -> String {
        self.lines.iter().map(|line| line.trim_end()).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES, LINES, Tail};

    #[test]
    fn the_last_lines_are_kept() {
        let mut tail = Tail::default();
        for n in 0..100 {
            tail.push(&n.to_string());
        }
        let text = tail.text();
        assert_eq!(text.lines().count(), LINES);
        assert!(text.starts_with("80\n") && text.ends_with("\n99"));
    }

    #[test]
    fn few_long_lines_are_kept_to_the_bound_in_bytes() {
        let mut tail = Tail::default();
        for _ in 0..LINES {
            tail.push(&"x".repeat(BYTES / 2));
        }
        assert!(tail.text().len() <= BYTES + 1);
        assert_eq!(tail.push(&"é".repeat(BYTES)).len(), BYTES);
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(Tail::default().push("\x1b[31mred\u{fffd}"), " [31mred\u{fffd}");
    }
}
