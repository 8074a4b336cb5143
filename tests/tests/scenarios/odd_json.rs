//! JSON text that is valid and that no serializer writes: what a gateway that reads and rewrites messages would change.

const NUMBERS: &[&str] =
    &["-0", "0.10", "1E+2", "1e-07", "123456789012345678901234567890", "9007199254740993", "-1.50e0", "50"];
const STRINGS: &[&str] =
    &[r#""\u00e9""#, r#""\/""#, r#""é世界😀""#, r#""\ud83d\ude00""#, r#""\u0000\b""#, r#""""#, r#""a\\b\"c""#];
const WORDS: &[&str] = &["null", "true", "false", "{}", "[]"];
const SPACES: &[&str] = &["", "", " ", "\n", "\t ", "\r\n"];
const IDS: &[&str] = &["7", "12345678901234567", r#""plain""#, r#""\u0061\/b""#, r#""ü""#, "-3"];

/// A source of such texts, the same ones for the same seed.
pub(crate) struct OddJson(fastrand::Rng);

impl OddJson {
    pub(crate) fn with_seed(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// A call of the tool `scripted`, and the text of its id.
    pub(crate) fn request(&mut self, token: &str) -> (String, &'static str) {
        let (id, unknown, odd, space) = (self.one_of(IDS), self.value(3), self.value(4), self.one_of(SPACES));
        let arguments = format!(r#"{{"odd":{odd},"token":"{token}"}}"#);
        let params = format!(r#"{{"x-unknown":{unknown},"arguments":{arguments},"name":"scripted"}}"#);
        (format!(r#"{{"params":{params},{space}"method":"tools/call","id":{id},"jsonrpc":"2.0"}}"#), id)
    }

    /// An answer to the request with this id.
    pub(crate) fn response(&mut self, id: &str) -> String {
        let (odd, unknown, space) = (self.value(5), self.value(2), self.one_of(SPACES));
        format!(r#"{{"result":{{"odd":{odd}}},"x-unknown":{unknown},"id":{id}{space},"jsonrpc":"2.0"}}"#)
    }

    fn value(&mut self, depth: u8) -> String {
        let kinds = if depth == 0 { 3 } else { 5 };
        let value = match self.0.u8(..kinds) {
            0 => self.one_of(NUMBERS).to_owned(),
            1 => self.one_of(STRINGS).to_owned(),
            2 => self.one_of(WORDS).to_owned(),
            3 => format!("[{}]", self.several(|odd, _| odd.value(depth - 1))),
            _ => format!("{{{}}}", self.several(|odd, number| odd.member(number, depth - 1))),
        };
        let (before, after) = (self.one_of(SPACES), self.one_of(SPACES));
        format!("{before}{value}{after}")
    }

    /// A member whose key is spelled with an escape, and in no order among its siblings.
    fn member(&mut self, number: usize, depth: u8) -> String {
        let letter = b'z' - u8::try_from(number).expect("a handful of members");
        format!(r#""k\u00{letter:02x}":{}"#, self.value(depth))
    }

    fn several(&mut self, mut make: impl FnMut(&mut Self, usize) -> String) -> String {
        let count = self.0.usize(1..4);
        (0..count).map(|number| make(self, number)).collect::<Vec<_>>().join(",")
    }

    fn one_of(&mut self, choices: &[&'static str]) -> &'static str {
        choices[self.0.usize(..choices.len())]
    }
}
