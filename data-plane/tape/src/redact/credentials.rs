//! Secrets that betray themselves by what stands before them: authorization schemes, the user information of URLs.

use std::ops::Range;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::bytes::{begins, end_of, end_of_within, is_base64, is_blank, starts_with_word};
use super::forms::{is_mixed, kind_of};

/// Schemes of `Authorization` whose credentials are one word (IANA, "HTTP authentication schemes", and what is common).
const ONE_WORD: [&str; 7] = ["Bearer", "Basic", "Token", "ApiKey", "Negotiate", "DPoP", "PrivateToken"];

/// Schemes whose credentials are a list of parameters, which all go.
const PARAMETERS: [&str; 5] = ["Digest", "AWS4-HMAC-SHA256", "OAuth", "Hawk", "Signature"];

/// Least bytes of a bearer token: shorter ones follow the word in prose.
const BEARER_MIN: usize = 8;

/// Letters of one case in a row up to this are a word of prose, as in `Bearer authentication`.
const PROSE_BYTES_MAX: usize = 20;

/// Least bytes of basic credentials: base64 of `a:b` has four.
const BASIC_MIN: usize = 4;

/// Longest user information looked at, in bytes: tokens in URLs are shorter, and a text of many `://` stays linear.
const USERINFO_BYTES_MAX: usize = 4096;

/// Longest scheme of a URL looked at, in bytes: `mongodb+srv` has 11.
const SCHEME_BYTES_MAX: usize = 32;

/// Base64 as people write it: the padding may be missing.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// How credentials are written behind a scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Word,
    Parameters,
}

/// The scheme that stands at `at` with blanks behind it: where its credentials begin, and their form.
pub(super) fn scheme(text: &[u8], at: usize) -> Option<(usize, Form)> {
    let one = ONE_WORD.iter().map(|name| (name, Form::Word));
    let many = PARAMETERS.iter().map(|name| (name, Form::Parameters));
    one.chain(many).find_map(|(name, form)| {
        let after = starts_with_word(&text[at..], name).then_some(at + name.len())?;
        let start = end_of(text, after, is_blank);
        (start > after && start < text.len()).then_some((start, form))
    })
}

/// A secret without the scheme before it: the token is the same with it and without it, and so is its tag.
pub(super) fn without_scheme(text: &[u8], secret: Range<usize>) -> Range<usize> {
    scheme(&text[..secret.end], secret.start).map_or(secret.clone(), |(start, _)| start..secret.end)
}

/// The token behind the word `Bearer` that begins at `at`.
pub(super) fn bearer(text: &[u8], at: usize) -> Option<Range<usize>> {
    let start = credentials(text, at, "Bearer")?;
    let is_token = |byte: u8| is_base64(byte) && byte != b'=' || matches!(byte, b'.' | b'~');
    let token = end_of(text, start, is_token);
    let end = end_of(text, token, |byte| byte == b'=');
    // `Bearer realm="…"` is a challenge and holds no secret.
    let parameter = end > token && text.get(end).is_some_and(|next| *next == b'"' || is_token(*next));
    let found = &text[start..end];
    let prose = found.len() < PROSE_BYTES_MAX && !is_mixed(&found[1.min(found.len())..]);
    (!parameter && !prose && found.len() >= BEARER_MIN).then_some(start..end)
}

/// The credentials behind the word `Basic` that begins at `at`, if they are what RFC 7617 says.
pub(super) fn basic(text: &[u8], at: usize) -> Option<Range<usize>> {
    let start = credentials(text, at, "Basic")?;
    let end = end_of(text, start, is_base64);
    if end - start < BASIC_MIN {
        return None;
    }
    let plain = LENIENT.decode(&text[start..end]).ok()?;
    plain.contains(&b':').then_some(start..end)
}

/// The secret in the user information of the URL whose `://` begins at `at`: the password; or the user, where nothing
/// else can be the secret.
pub(super) fn in_url(text: &[u8], at: usize) -> Option<Range<usize>> {
    let slashes = if text[at..].starts_with(b"://") { "://".len() } else { r":\/\/".len() };
    let start = at + slashes;
    let in_userinfo = |byte: u8| {
        !byte.is_ascii_whitespace() && !matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'`')
    };
    let run = end_of_within(text, start.min(text.len()), USERINFO_BYTES_MAX, in_userinfo);
    let end = start + memchr::memrchr(b'@', text.get(start..run)?)?;
    let userinfo = &text[start..end];
    let (user, password) = match memchr::memchr(b':', userinfo) {
        None => (start..end, None),
        Some(colon) => (start..start + colon, Some(start + colon + 1..end)),
    };
    let secret = match password {
        // Who has a token writes it as user, and for the password nothing, or this word of GitHub's.
        Some(password) if matches!(&text[password.clone()], b"" | b"x-oauth-basic") => user,
        // Both are secrets.
        Some(_) if kind_of(&text[user.clone()]) != "secret" => start..end,
        Some(password) => password,
        // `ssh://git@host` names an account; a lone user of HTTP is a token.
        None if is_http(text, at) => user,
        None => return None,
    };
    (!secret.is_empty()).then_some(secret)
}

/// Whether the scheme that ends at `at` is HTTP, as it is or behind a `+` as in `git+https`.
fn is_http(text: &[u8], at: usize) -> bool {
    let is_scheme = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let length = text[..at].iter().rev().take(SCHEME_BYTES_MAX).take_while(is_scheme).count();
    let scheme = text[at - length..at].to_ascii_lowercase();
    scheme.ends_with(b"http") || scheme.ends_with(b"https")
}

/// Where the credentials of the scheme that begins at `at` begin.
fn credentials(text: &[u8], at: usize, name: &str) -> Option<usize> {
    let after = at + name.len();
    let start = end_of(text, after, is_blank);
    (starts_with_word(&text[at..], name) && begins(text, at) && start > after).then_some(start)
}
