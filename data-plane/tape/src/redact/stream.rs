//! Text that comes line by line: a private key in PEM spans lines, so its beginning must be remembered.

use std::borrow::Cow;
use std::ops::Range;

use super::bytes::{end_of, is_base64, trim};
use super::{Redactor, pem};

/// How many lines that are no base64 a block may hold before it is taken for a sentence about keys that nothing ended:
/// the headers of an encrypted key and what other threads print between its lines are fewer.
const STRAY_LINES_MAX: u8 = 8;

/// Redacts the lines of one stream in their order.
///
/// Each line of a key's block has a tag of its own: what is written must not wait for the lines to come. So a key has
/// other tags here than in one text.
#[derive(Debug)]
pub struct TextStream<'r> {
    redactor: &'r Redactor,
    /// In a block: how many more strays it may hold.
    block: Option<u8>,
}

impl<'r> TextStream<'r> {
    pub(super) fn new(redactor: &'r Redactor) -> Self {
        Self { redactor, block: None }
    }

    /// The next line, with or without its end.
    pub fn line<'a>(&mut self, line: &'a str) -> Cow<'a, str> {
        let Some(strays) = self.block else { return self.outside(line) };
        if let Some(end) = pem::end_of_end(line.as_bytes(), 0) {
            self.block = None;
            let marker = line.find(pem::END).unwrap_or(end);
            let (key, rest) = (self.body(&line[..marker]), self.outside(&line[end..]));
            return Cow::Owned(format!(
                "{}{}{rest}",
                key.unwrap_or(Cow::Borrowed(&line[..marker])),
                &line[marker..end]
            ));
        }
        self.body(line).unwrap_or_else(|| {
            self.block = strays.checked_sub(1);
            self.redactor.text(line)
        })
    }

    /// A line of a block without the key's part in it; `None` if there is none.
    fn body<'a>(&self, line: &'a str) -> Option<Cow<'a, str>> {
        let key = key_part(line)?;
        let tag = self.redactor.tag("pem", &line[key.clone()]);
        Some(Cow::Owned(format!("{}{tag}{}", &line[..key.start], &line[key.end..])))
    }

    /// A line, or the rest of one, that is in no block. It may begin one.
    fn outside<'a>(&mut self, line: &'a str) -> Cow<'a, str> {
        let open = if self.redactor.search.private_keys { open_block(line.as_bytes()) } else { None };
        let Some((begin, body)) = open else { return self.redactor.text(line) };
        self.block = Some(STRAY_LINES_MAX);
        let before = self.redactor.text(&line[..begin]);
        let rest = self.body(&line[body..]).unwrap_or(Cow::Borrowed(&line[body..]));
        Cow::Owned(format!("{before}{}{rest}", &line[begin..body]))
    }
}

/// Where the last block that this line does not end begins, and where its body does.
fn open_block(line: &[u8]) -> Option<(usize, usize)> {
    let begin = memchr::memmem::rfind(line, pem::BEGIN.as_bytes())?;
    let body = pem::end_of_begin(line, begin)?;
    pem::end_of_end(line, body).is_none().then_some((begin, body))
}

/// The line's part that is the key's: its longest run of base64 if that is long, or all of a line that is nothing else.
fn key_part(line: &str) -> Option<Range<usize>> {
    let bytes = line.as_bytes();
    let mut longest = 0..0;
    let mut at = 0;
    while at < bytes.len() {
        let end = end_of(bytes, at, is_base64);
        if end - at > longest.len() {
            longest = at..end;
        }
        at = end + 1;
    }
    let whole = trim(bytes, |byte| byte.is_ascii_whitespace()).len() == longest.len();
    (!longest.is_empty() && (whole || longest.len() >= pem::BODY_RUN_MIN)).then_some(longest)
}
