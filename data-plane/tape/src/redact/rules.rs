//! What to look for: names whose values are secrets, paths, and the forms that secrets have.

use thiserror::Error;

/// What a recording blots out. The built-in names apply whatever is said here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Globs with `*` over the names of members, headers and parameters. Case does not matter; a `-` or `_` of the glob
    /// stands for either, or for none, so `client_key` also means `clientKey` and `Client-Key`.
    pub keys: Vec<String>,
    /// JSONPath (RFC 9535) over the whole message; every scalar at or below what it selects goes, `null` excepted.
    /// Paths cost a parsed tree per message, and say nothing about what is not JSON.
    pub paths: Vec<String>,
    /// Forms that are secrets wherever they stand.
    pub values: Vec<Pattern>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { keys: Vec::new(), paths: Vec::new(), values: Pattern::ALL.to_vec() }
    }
}

/// A form that secrets have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pattern {
    /// `Bearer` and a token (RFC 6750).
    Bearer,
    /// `Basic` and base64 of `user:password` (RFC 7617).
    Basic,
    /// The id of an AWS access key. The secret that belongs to it has no form of its own: its name betrays it.
    AwsKey,
    /// A JSON Web Token, signed or encrypted (RFC 7519).
    Jwt,
    /// A private key in PEM (RFC 7468). Certificates and public keys stay.
    Pem,
    /// A key with its issuer's prefix, as in `ghp_…`.
    ApiKey,
    /// The password in a URL (RFC 3986, section 3.2.1), or the user where there is no password.
    UrlCredentials,
    /// What follows `Cookie:` or `Set-Cookie:` on a line of text.
    Cookie,
}

impl Pattern {
    /// Every pattern that this build knows.
    pub const ALL: [Self; 8] = [
        Self::Bearer,
        Self::Basic,
        Self::AwsKey,
        Self::Jwt,
        Self::Pem,
        Self::ApiKey,
        Self::UrlCredentials,
        Self::Cookie,
    ];

    /// Its name, in configuration and in [`Redacted::rule`](crate::record::Redacted::rule).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Basic => "basic",
            Self::AwsKey => "aws_key",
            Self::Jwt => "jwt",
            Self::Pem => "pem",
            Self::ApiKey => "api_key",
            Self::UrlCredentials => "url_credentials",
            Self::Cookie => "cookie",
        }
    }

    /// The pattern of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pattern| pattern.as_str() == name)
    }
}

/// What said that something is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Key,
    Path,
    Pattern(Pattern),
}

impl Rule {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Path => "path",
            Self::Pattern(pattern) => pattern.as_str(),
        }
    }
}

/// Rules that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleError {
    /// A glob would select almost every name.
    #[error(
        "the key glob {glob:?} has no {least} letters in a row and would match almost any name: name more of the key"
    )]
    VagueGlob {
        /// As it was written.
        glob: String,
        /// What is asked for.
        least: usize,
    },
    /// A path that RFC 9535 does not know.
    #[error("the path {path:?} is not JSONPath ({why}): write it as in $.params.arguments.password")]
    BadPath {
        /// As it was written.
        path: String,
        /// Where and why the reading of it stopped.
        why: String,
    },
    /// All globs together are too many to search for at once.
    #[error("the {globs} key globs are too many to search for at once ({why}): merge some with *")]
    TooManyGlobs {
        /// How many there are.
        globs: usize,
        /// What the automaton's builder said.
        why: String,
    },
}
