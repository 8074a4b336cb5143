//! Secrets that betray themselves by their form: keys with an issuer's prefix, JSON Web Tokens, AWS key ids.
//!
//! Prefixes and alphabets follow what issuers publish and the default rules of gitleaks. The least lengths lie below
//! today's, because issuers lengthen their keys and now and then shorten them.

use super::bytes::{begins, end_of, end_of_within, is_base64, is_word};

/// What stands behind a prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// Letters and digits only, which tells `npm_` and a key from `npm_config_registry`.
    Alphanumeric,
    /// Letters, digits, `_`, `-`, and dots between them.
    Word,
    /// As `Word`, and either a digit or both cases among it, which tells a key from `sk-loading-spinner-wrapper`.
    Mixed,
    /// Base64.
    Base64,
}

/// A key's beginning, the rest's alphabet, and the rest's least length in bytes.
struct Issue(&'static str, Rest, usize);

/// How far a rest is read to decide whether it is a key: beyond, it would have shown a digit or a change of case.
const LOOK_BYTES_MAX: usize = 256;

use Rest::{Alphanumeric, Base64, Mixed, Word};

/// Who issues which keys. Exact in case.
#[rustfmt::skip]
static ISSUES: &[Issue] = &[
    // OpenAI, Anthropic (sk-ant-), OpenRouter (sk-or-), DeepSeek and whoever speaks their API.
    Issue("sk-", Mixed, 16),
    // Stripe.
    Issue("sk_live_", Word, 10), Issue("sk_test_", Word, 10), Issue("sk_prod_", Word, 10), Issue("rk_live_", Word, 10),
    Issue("rk_test_", Word, 10), Issue("rk_prod_", Word, 10), Issue("pk_live_", Word, 10), Issue("whsec_", Base64, 20),
    // GitHub: 36 today, up to 255 announced (changelog of 2021-03-31).
    Issue("ghp_", Word, 20), Issue("gho_", Word, 20), Issue("ghu_", Word, 20), Issue("ghs_", Word, 20),
    Issue("ghr_", Word, 20), Issue("github_pat_", Word, 20),
    // GitLab.
    Issue("glpat-", Word, 16), Issue("gldt-", Word, 16), Issue("glrt-", Word, 16), Issue("glcbt-", Word, 16),
    Issue("glptt-", Word, 16), Issue("glft-", Word, 16), Issue("glimt-", Word, 16), Issue("glagent-", Word, 16),
    Issue("gloas-", Word, 16), Issue("glsoat-", Word, 16), Issue("glffct-", Word, 16),
    // Slack.
    Issue("xoxa-", Word, 8), Issue("xoxb-", Word, 8), Issue("xoxc-", Word, 8), Issue("xoxd-", Base64, 8),
    Issue("xoxe-", Word, 8), Issue("xoxe.", Word, 8), Issue("xoxo-", Word, 8), Issue("xoxp-", Word, 8),
    Issue("xoxr-", Word, 8), Issue("xoxs-", Word, 8), Issue("xapp-", Mixed, 16),
    Issue("hooks.slack.com/services/", Base64, 30), Issue("hooks.slack.com/workflows/", Base64, 30),
    Issue("hooks.slack.com/triggers/", Base64, 30),
    // Google: API keys, OAuth access tokens, client secrets, refresh tokens.
    Issue("AIza", Word, 30), Issue("ya29.", Word, 16), Issue("GOCSPX-", Word, 20), Issue("1//0", Word, 30),
    // Package registries.
    Issue("npm_", Alphanumeric, 30), Issue("pypi-Ag", Word, 16), Issue("rubygems_", Alphanumeric, 40),
    Issue("dckr_pat_", Word, 16), Issue("AKCp", Alphanumeric, 60),
    // Models and data.
    Issue("hf_", Alphanumeric, 30), Issue("api_org_", Alphanumeric, 30), Issue("xai-", Mixed, 40),
    Issue("gsk_", Mixed, 40),
    Issue("pplx-", Mixed, 40), Issue("r8_", Alphanumeric, 30), Issue("nvapi-", Mixed, 40), Issue("tgp_v1_", Word, 30),
    Issue("lsv2_pt_", Word, 30), Issue("lsv2_sk_", Word, 30), Issue("dapi", Alphanumeric, 32),
    Issue("ABSK", Base64, 100),
    // Clouds and platforms.
    Issue("dop_v1_", Word, 40), Issue("doo_v1_", Word, 40), Issue("dor_v1_", Word, 40), Issue("LTAI", Alphanumeric, 16),
    Issue("hvs.", Mixed, 20), Issue("hvb.", Mixed, 20), Issue("hvr.", Mixed, 20), Issue("HRKU-", Mixed, 30),
    Issue("fm2_", Base64, 40), Issue("fm1a_", Base64, 40), Issue("fm1r_", Base64, 40), Issue("fo1_", Word, 30),
    Issue("sbp_", Alphanumeric, 30), Issue("sb_secret_", Word, 20), Issue("pscale_tkn_", Word, 20),
    Issue("pscale_oauth_", Word, 20), Issue("pscale_pw_", Word, 20), Issue("pul-", Alphanumeric, 40),
    Issue("tskey-", Mixed, 16), Issue("glsa_", Word, 30), Issue("glc_", Base64, 32), Issue("dt0c01.", Word, 30),
    Issue("NRAK-", Alphanumeric, 20), Issue("sntrys_", Base64, 30), Issue("sntryu_", Alphanumeric, 40),
    Issue("dp.pt.", Alphanumeric, 30), Issue("dp.st.", Word, 30), Issue("dp.ct.", Alphanumeric, 30),
    Issue("AGE-SECRET-KEY-1", Alphanumeric, 40), Issue("ops_eyJ", Base64, 40),
    // Shops, mail, work.
    Issue("shpat_", Alphanumeric, 30), Issue("shpca_", Alphanumeric, 30), Issue("shppa_", Alphanumeric, 30),
    Issue("shpss_", Alphanumeric, 30), Issue("sq0atp-", Word, 20), Issue("sq0csp-", Word, 20),
    Issue("shippo_live_", Alphanumeric, 30), Issue("SG.", Mixed, 40), Issue("xkeysib-", Word, 40),
    Issue("lin_api_", Alphanumeric, 30), Issue("lin_oauth_", Alphanumeric, 30), Issue("ntn_", Alphanumeric, 40),
    Issue("secret_", Alphanumeric, 40), Issue("PMAK-", Word, 40), Issue("figd_", Mixed, 30), Issue("ATATT3", Base64, 40),
    Issue("ATCTT3", Base64, 40), Issue("sgp_", Word, 40), Issue("rdme_", Alphanumeric, 40),
];

/// How ids of AWS access keys begin: long-term, temporary, bearer token, context-specific (IAM user guide, "unique ids").
const AWS_PREFIXES: [&str; 4] = ["AKIA", "ASIA", "ABIA", "ACCA"];

/// Upper-case letters and digits behind the prefix of an AWS key's id.
const AWS_REST: usize = 16;

/// How the header of a JSON Web Token begins: base64url of `{"`.
pub(super) const JWT_PREFIX: &str = "eyJ";

/// Least bytes of a token's header behind the prefix: base64url of the shortest header, `{"alg":"x"}`, has 15 in all.
const JWT_HEADER_MIN: usize = 10;

/// Least bytes of the other parts together: the claims or the signature may be empty, not both.
const JWT_REST_MIN: usize = 6;

/// Letters that may stand before a token in the same word, as in `jwt_eyJ…`. The bound keeps a word of many beginnings from
/// being read once for each.
const JWT_BEFORE_BYTES_MAX: usize = 64;

/// Every prefix of an issuer.
pub(super) fn issued_prefixes() -> impl Iterator<Item = &'static str> {
    ISSUES.iter().map(|issue| issue.0)
}

/// Every prefix of an AWS key's id.
pub(super) fn aws_prefixes() -> impl Iterator<Item = &'static str> {
    AWS_PREFIXES.into_iter()
}

/// Where the issued key that begins at `at` ends.
pub(super) fn end_of_api_key(text: &[u8], at: usize) -> Option<usize> {
    if !begins(text, at) {
        return None;
    }
    let rest = &text[at..];
    let fits = |issue: &&Issue| rest.first() == issue.0.as_bytes().first() && rest.starts_with(issue.0.as_bytes());
    ISSUES.iter().filter(fits).find_map(|Issue(prefix, alphabet, least)| {
        let start = at + prefix.len();
        let looked = match alphabet {
            Alphanumeric => end_of_within(text, start, LOOK_BYTES_MAX, |byte| byte.is_ascii_alphanumeric()),
            Word | Mixed => end_of_dotted(text, start, LOOK_BYTES_MAX),
            Base64 => end_of_within(text, start, LOOK_BYTES_MAX, is_base64),
        };
        let look = &text[start..looked];
        let whole = look.len() >= *least && (*alphabet != Mixed || is_mixed(look));
        whole.then(|| match alphabet {
            Alphanumeric => end_of(text, looked, |byte| byte.is_ascii_alphanumeric()),
            Word | Mixed => end_of_dotted(text, looked, usize::MAX),
            Base64 => end_of(text, looked, is_base64),
        })
    })
}

/// Where the JSON Web Token that begins at `at` ends: three parts if signed, five if encrypted; one may be empty.
pub(super) fn end_of_jwt(text: &[u8], at: usize) -> Option<usize> {
    let header = at + JWT_PREFIX.len();
    let before = text[..at].iter().rev().take(JWT_BEFORE_BYTES_MAX).take_while(|byte| is_word(**byte)).count();
    if !text[at..].starts_with(JWT_PREFIX.as_bytes()) || !begins(text, at) || before == JWT_BEFORE_BYTES_MAX {
        return None;
    }
    let end = end_of(text, header, is_word);
    let claims = part(text, end)?;
    let mut token = part(text, claims)?;
    while let Some(more) = part(text, token) {
        token = more;
    }
    (end - header >= JWT_HEADER_MIN && token - end >= JWT_REST_MIN).then_some(token)
}

/// Where the id of an AWS key that begins at `at` ends.
pub(super) fn end_of_aws_key(text: &[u8], at: usize) -> Option<usize> {
    let known = AWS_PREFIXES.iter().any(|prefix| text[at..].starts_with(prefix.as_bytes()));
    let start = at + AWS_PREFIXES[0].len();
    if !known || !begins(text, at) {
        return None;
    }
    let end = end_of_within(text, start, AWS_REST + 1, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let alone = text.get(end).is_none_or(|next| !next.is_ascii_alphanumeric());
    (end - start == AWS_REST && alone).then_some(end)
}

/// The kind in a secret's tag. It follows from the secret alone, never from the rule that found it or from which patterns
/// a recording has: equal secrets must have equal tags.
pub(super) fn kind_of(secret: &[u8]) -> &'static str {
    let whole = Some(secret.len());
    if secret.is_empty() {
        "secret"
    } else if end_of_jwt(secret, 0) == whole {
        "jwt"
    } else if end_of_aws_key(secret, 0) == whole {
        "aws_key"
    } else if end_of_api_key(secret, 0) == whole {
        "api_key"
    } else if secret.starts_with(super::pem::BEGIN.as_bytes()) {
        "pem"
    } else {
        "secret"
    }
}

/// The end of a dot and the part behind it.
fn part(text: &[u8], at: usize) -> Option<usize> {
    (text.get(at) == Some(&b'.')).then(|| end_of(text, at + 1, is_word))
}

/// The end of words with single dots between them; a dot at the end belongs to the sentence.
fn end_of_dotted(text: &[u8], at: usize, most: usize) -> usize {
    let limit = text.len().min(at.saturating_add(most));
    let text = &text[..limit];
    let mut end = end_of(text, at, is_word);
    while text.get(end) == Some(&b'.') && text.get(end + 1).is_some_and(|next| is_word(*next)) {
        end = end_of(text, end + 1, is_word);
    }
    end
}

/// Whether there is a digit, or letters of both cases.
pub(super) fn is_mixed(text: &[u8]) -> bool {
    let any = |is: fn(&u8) -> bool| text.iter().any(is);
    any(u8::is_ascii_digit) || any(u8::is_ascii_lowercase) && any(u8::is_ascii_uppercase)
}
