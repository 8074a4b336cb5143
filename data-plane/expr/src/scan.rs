//! The look at a text before it is parsed.
//!
//! The parser behind this crate recurses: a chain of 2 000 `+`, which 4 KiB have room for, overflows a stack of 2 MiB and
//! ends the process. So what makes it recurse is counted here first. Strings are read exactly as the parser's lexer reads
//! them, because where the two disagree a chain could hide in what only one of them takes for a string; what the lexer would
//! skip over as unreadable is refused here for the same reason, and because the words are clearer.
//!
//! Not here: whether the text is an expression. The parser tells that.

use crate::limits::{MAX_LINKS, MAX_OPEN_BRACKETS, MAX_TEXT_BYTES};
use crate::mistake::Mistake;

#[cfg(test)]
mod tests;

/// Refuses a text that the parser should not see.
pub(crate) fn scan(text: &str) -> Result<(), Mistake> {
    if text.len() > MAX_TEXT_BYTES {
        let what = format!("the expression has {} bytes and the limit is {MAX_TEXT_BYTES}", text.len());
        return Err(Mistake::at(text, 0, what));
    }
    let characters: Vec<char> = text.chars().collect();
    let mut scan = Scan { text, characters: &characters, at: 0, open: 0, links: 0 };
    while let Some(character) = scan.peek(0) {
        scan.token(character)?;
    }
    Ok(())
}

struct Scan<'a> {
    text: &'a str,
    characters: &'a [char],
    /// The next character.
    at: usize,
    /// Brackets that are open.
    open: usize,
    /// Operators, members and indexes so far.
    links: usize,
}

impl Scan<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    /// A mistake at a character.
    fn mistake(&self, offset: usize, what: impl Into<String>) -> Mistake {
        let bytes = self.characters[..offset].iter().map(|character| character.len_utf8()).sum();
        Mistake::at(self.text, bytes, what)
    }

    fn token(&mut self, character: char) -> Result<(), Mistake> {
        match character {
            '"' | '\'' => return self.string(Escapes::Read),
            'a'..='z' | 'A'..='Z' | '_' => return self.word(),
            '/' if self.peek(1) == Some('/') => {
                while self.peek(0).is_some_and(|character| character != '\n') {
                    self.at += 1;
                }
                return Ok(());
            }
            '(' | '{' | '[' => self.opened(character)?,
            ')' | '}' | ']' => self.open = self.open.saturating_sub(1),
            '.' | '+' | '-' | '*' | '/' | '%' | '<' | '>' | '!' | '?' => self.link()?,
            '=' if self.peek(1) != Some('=') && !self.ends_an_operator() => {
                return Err(self.mistake(self.at, "`=` alone is no operator").hint("write `==`"));
            }
            '=' if self.peek(1) == Some('=') => {
                self.link()?;
                self.at += 1;
            }
            '&' | '|' if self.peek(1) != Some(character) => {
                let hint = format!("write `{character}{character}`");
                return Err(self.mistake(self.at, format!("`{character}` alone is no operator")).hint(hint));
            }
            '&' | '|' => self.at += 1,
            ',' | ':' | '=' | '0'..='9' | ' ' | '\t' | '\n' | '\r' | '\u{c}' => {}
            other => {
                let what = format!("{other:?} has no meaning outside a string");
                return Err(self.mistake(self.at, what));
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Whether the character before is the first of `!=`, `<=` or `>=`.
    fn ends_an_operator(&self) -> bool {
        self.at > 0 && matches!(self.characters[self.at - 1], '!' | '<' | '>')
    }

    fn opened(&mut self, character: char) -> Result<(), Mistake> {
        self.open += 1;
        if self.open > MAX_OPEN_BRACKETS {
            let what = format!("more than {MAX_OPEN_BRACKETS} brackets are open here");
            return Err(self.mistake(self.at, what).hint("join conditions with && instead of nesting them"));
        }
        if character == '[' { self.link() } else { Ok(()) }
    }

    fn link(&mut self) -> Result<(), Mistake> {
        self.links += 1;
        if self.links > MAX_LINKS {
            let what = format!("more than {MAX_LINKS} operators, members and indexes");
            return Err(self.mistake(self.at, what).hint("compare with a list: name in [\"a\", \"b\"]"));
        }
        Ok(())
    }

    /// A name, a keyword, or what stands before a raw string or bytes.
    fn word(&mut self) -> Result<(), Mistake> {
        let start = self.at;
        while self.peek(0).is_some_and(|character| character.is_ascii_alphanumeric() || character == '_') {
            self.at += 1;
        }
        let word: String = self.characters[start..self.at].iter().collect::<String>().to_ascii_lowercase();
        let quoted = matches!(self.peek(0), Some('"' | '\''));
        match word.as_str() {
            "r" if quoted => self.string(Escapes::Raw),
            "b" | "br" | "rb" if quoted => {
                Err(self.mistake(start, "bytes have no place here").hint("write a string: \"…\""))
            }
            _ if quoted => Err(self.mistake(self.at, format!("a string begins right after {word:?}"))),
            "in" => self.link(),
            _ => Ok(()),
        }
    }

    /// A string, from its opening quote to behind its closing one.
    fn string(&mut self, escapes: Escapes) -> Result<(), Mistake> {
        let start = self.at;
        let quote = self.characters[start];
        let is_quote = |at: usize| self.characters.get(at) == Some(&quote);
        let triple = is_quote(start + 1) && is_quote(start + 2);
        self.at += if triple { 3 } else { 1 };
        loop {
            match self.peek(0) {
                None => {
                    return Err(self.mistake(start, "this string has no end").hint(format!("close it with {quote}")));
                }
                Some('\n' | '\r') if !triple => {
                    let what = "this string does not end on its line";
                    return Err(self.mistake(start, what).hint("write \\n for a line's end"));
                }
                Some(character) if character == quote && !triple => {
                    self.at += 1;
                    return Ok(());
                }
                Some(character) if character == quote && self.peek(1) == Some(quote) && self.peek(2) == Some(quote) => {
                    self.at += 3;
                    return Ok(());
                }
                Some('\\') if escapes == Escapes::Read => self.escape()?,
                Some(_) => self.at += 1,
            }
        }
    }

    /// An escape sequence (CEL, "Language definition", string and bytes values).
    fn escape(&mut self) -> Result<(), Mistake> {
        let digits = match self.peek(1) {
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' | '\'' | '"' | '`' | '?') => 0,
            Some('x' | 'X') => 2,
            Some('u') => 4,
            Some('U') => 8,
            Some('0'..='3') if (2..4).all(|ahead| matches!(self.peek(ahead), Some('0'..='7'))) => {
                self.at += 4;
                return Ok(());
            }
            _ => return Err(self.bad_escape()),
        };
        if (2..2 + digits).any(|ahead| !self.peek(ahead).is_some_and(|digit| digit.is_ascii_hexdigit())) {
            return Err(self.bad_escape());
        }
        self.at += 2 + digits;
        Ok(())
    }

    fn bad_escape(&self) -> Mistake {
        self.mistake(self.at, "no such escape in a string").hint("write \\\\ for a backslash, or a raw string: r\"…\"")
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    /// `"\n"` is a line's end.
    Read,
    /// `r"\n"` is a backslash and a letter.
    Raw,
}
