//! What stands behind a secret's name and is none: words of code and of sentences, placeholders, counters.

use super::keys::fold;

/// Types and keywords, as source code has them behind a name and a colon or equals sign; lower case.
#[rustfmt::skip]
const CODE: &[&str] = &[
    "any", "array", "bool", "boolean", "bytes", "char", "datetime", "dict", "false", "float", "int", "integer", "list",
    "nil", "none", "null", "nullable", "number", "object", "option", "optional", "secretstr", "secretstring", "self", "str",
    "string", "struct", "true", "undefined", "union", "unknown", "varchar", "void",
];

/// Words of sentences and of forms, as in `password: must be at least 8 characters`; lower case. A secret that is one of
/// them is the first that anybody tries.
#[rustfmt::skip]
const SENTENCE: &[&str] = &[
    "a", "an", "and", "are", "as", "be", "but", "can", "cannot", "credentials", "enter", "expired", "field", "for", "has",
    "have", "if", "in", "incorrect", "invalid", "is", "it", "missing", "must", "need", "needs", "never", "no", "not", "of",
    "ok", "on", "or", "password", "passwords", "please", "required", "secret", "secrets", "see", "set", "should", "that",
    "the", "this", "to", "token", "tokens", "unset", "use", "used", "value", "was", "we", "when", "will", "with", "wrong",
    "you", "your",
];

/// What a path to a value begins with, as in `self.password`.
const OWNERS: [&str; 16] = [
    "self", "this", "process", "os", "env", "config", "cfg", "settings", "args", "options", "opts", "params", "ctx",
    "req", "request", "secrets",
];

/// Whether it is a type or a keyword.
pub(super) fn is_word_of_code(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"&").unwrap_or(word);
    is_among(CODE, word)
}

/// Whether a value without quotes is no secret.
pub(super) fn is_no_secret(word: &[u8]) -> bool {
    word.is_empty() || is_word_of_code(word) || is_among(SENTENCE, word) || is_placeholder(word) || is_path(word)
}

/// Whether it counts something, as in `tokens: 4096`.
pub(super) fn is_count(name: &[u8], value: &[u8]) -> bool {
    value.iter().all(u8::is_ascii_digit) && fold(name).ends_with(b"tokens")
}

/// `$NAME`, `${NAME}`, `***`, or no more than an opening bracket.
fn is_placeholder(word: &[u8]) -> bool {
    let inside = match word {
        [b'$', b'{', inside @ ..] => inside.strip_suffix(b"}").unwrap_or(inside),
        [b'$', inside @ ..] => inside,
        _ => return word.iter().all(|byte| b"*.-_{[(|".contains(byte)),
    };
    inside.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
}

/// `self.password`, `process.env.API_KEY`.
fn is_path(word: &[u8]) -> bool {
    let owner = word.split(|byte| *byte == b'.').next().unwrap_or_default();
    owner.len() < word.len()
        && is_among(&OWNERS, owner)
        && word.iter().all(|byte| byte.is_ascii_alphabetic() || b"_.".contains(byte))
}

fn is_among(words: &[&str], word: &[u8]) -> bool {
    words.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}
