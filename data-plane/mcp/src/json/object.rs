//! Objects whose members matter: each name once, each value to whoever asks for it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::scanner::{Container, Scanner};
use super::text::excerpt;
use crate::Reason;

impl<'a> Scanner<'a> {
    /// Reads an object whose members matter: `member` is called behind each colon with the name (escapes taken out) and
    /// must read exactly one value. A name that occurs twice is refused, since two readers may take different ones.
    pub(crate) fn object(
        &mut self,
        place: &'static str,
        mut member: impl FnMut(&mut Self, &str) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        let mut seen = Names::new();
        self.members(|scanner, offset, name| {
            if seen.contains(&name) {
                let key = excerpt(&name);
                return Err(Reason::DuplicateKey { key, place, offset });
            }
            member(scanner, &name)?;
            seen.insert(name);
            Ok(())
        })
    }

    /// Reads an object, whose names may occur twice; `member` also learns where the name stands.
    pub(crate) fn members(
        &mut self,
        mut member: impl FnMut(&mut Self, usize, Cow<'a, str>) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        self.open(Container::Object)?;
        if self.peek() == Some(b'}') {
            self.close();
            return Ok(());
        }
        loop {
            let offset = self.at;
            let name = self.name()?;
            member(self, offset, name)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.fault("expected a comma or the end of the object")),
            }
            self.skip_whitespace();
        }
        self.close();
        Ok(())
    }

    fn name(&mut self) -> Result<Cow<'a, str>, Reason> {
        let raw = self.raw_name()?;
        self.unescaped(&raw)
    }
}

/// How many unescaped names are compared one by one. The objects of the protocol have fewer members, so this path
/// allocates nothing; beyond it a tree keeps an object with a hundred thousand names from costing its square.
const INLINE: usize = 16;

/// The names seen so far in one object, without their escapes.
///
/// Bounded by the message: it never holds more names than the object has.
struct Names<'a> {
    inline: [&'a str; INLINE],
    used: usize,
    more: BTreeSet<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    const fn new() -> Self {
        Self { inline: [""; INLINE], used: 0, more: BTreeSet::new() }
    }

    fn contains(&self, name: &str) -> bool {
        self.inline[..self.used].contains(&name) || self.more.contains(name)
    }

    fn insert(&mut self, name: Cow<'a, str>) {
        match name {
            Cow::Borrowed(plain) if self.used < INLINE => {
                self.inline[self.used] = plain;
                self.used += 1;
            }
            name => _ = self.more.insert(name),
        }
    }
}
