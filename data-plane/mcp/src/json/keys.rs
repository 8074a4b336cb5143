//! The names seen so far in one object.

use std::borrow::Cow;
use std::collections::BTreeSet;

/// How many unescaped names are compared one by one. The objects of the protocol have fewer members, so this path
/// allocates nothing; beyond it a tree keeps an object with a hundred thousand names from costing its square.
const INLINE: usize = 16;

/// A set of member names, compared without their escapes.
///
/// Bounded by the message: it never holds more names than the object has.
pub(crate) struct Keys<'a> {
    inline: [&'a str; INLINE],
    used: usize,
    more: BTreeSet<Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    pub(crate) const fn new() -> Self {
        Self {
            inline: [""; INLINE],
            used: 0,
            more: BTreeSet::new(),
        }
    }

    /// Adds a name; false if it was there.
    pub(crate) fn insert(&mut self, name: &Cow<'a, str>) -> bool {
        if self.inline[..self.used].contains(&name.as_ref()) {
            return false;
        }
        match name {
            Cow::Borrowed(plain) if self.used < INLINE => {
                self.inline[self.used] = plain;
                self.used += 1;
                // An escaped spelling of the same name may have come before.
                !self.more.contains(name)
            }
            _ => self.more.insert(name.clone()),
        }
    }
}
