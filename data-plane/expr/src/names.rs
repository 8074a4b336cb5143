//! The one table of names: what an expression may ask about, of which type it is, and where.

use std::fmt;

use crate::types::Type;

/// Where an expression is evaluated: not everything is known everywhere. A place is a column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// A filter over recorded messages.
    Tape,
}

/// A row of the table, as printed in the CLIs' help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// What callers match on.
    pub name: Name,
    /// How it is written, as in `principal.subject`.
    pub text: &'static str,
    /// Its type.
    pub kind: Type,
    /// Where it can be used.
    pub places: &'static [Place],
    /// One line of help.
    pub help: &'static str,
    /// Every value that it can have, where that is a closed set; empty otherwise.
    pub values: &'static [&'static str],
}

/// How a call can end. The names are those of a record's `out`.
const OUTCOMES: &[&str] = &[
    "ok",
    "rpc_error",
    "tool_error",
    "input_required",
    "task",
    "cancelled",
    "http_error",
    "refused",
    "failed",
    "timeout",
    "invalid",
    "none",
    "unknown",
];

/// Which way a message can go. The names are those of a record's `dir`.
const DIRECTIONS: &[&str] = &["c2s", "s2c", "local"];

macro_rules! table {
    ($($name:ident $text:literal $kind:ident [$($place:ident)+] $help:literal $(of $values:ident)?;)+) => {
        /// A name of the table. [`Name::text`] is how it is written.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Name {
            $(#[doc = concat!("`", $text, "`: ", $help)] $name,)+
        }

        /// In the order of [`Name`].
        const TABLE: &[Row] = &[$(Row {
            name: Name::$name,
            text: $text,
            kind: Type::$kind,
            places: &[$(Place::$place),+],
            help: $help,
            values: table!(@values $($values)?),
        },)+];
    };
    (@values) => { &[] };
    (@values $values:ident) => { $values };
}

table! {
    Method          "method"            String    [Tape] "the JSON-RPC method; an answer has that of its request";
    Tool            "tool"              String    [Tape] "the tool that is called, as the client names it";
    Resource        "resource"          String    [Tape] "the URI of the resource that is read or watched";
    Prompt          "prompt"            String    [Tape] "the prompt that is asked for";
    Args            "args"              Map       [Tape] "the call's arguments, as in args.query";
    Meta            "meta"              Map       [Tape] "the message's _meta";
    Era             "era"               String    [Tape] "legacy (begins with initialize) or modern (each request tells its version)";
    Version         "version"           String    [Tape] "the protocol version in force, as in 2025-11-25";
    Session         "session"           String    [Tape] "the beginning of the session's id, as logs show it";
    Route           "route"             String    [Tape] "the route";
    Target          "target"            String    [Tape] "the route's target, where it has several";
    Upstream        "upstream.name"     String    [Tape] "the upstream";
    UpstreamTool    "upstream.tool"     String    [Tape] "the tool as the upstream names it";
    Annotations     "annotations"       Map       [Tape] "the tool's hints as last listed: a server's claim, not a fact";
    Subject         "principal.subject" String    [Tape] "who calls; empty when anonymous";
    Issuer          "principal.issuer"  String    [Tape] "who vouches for the caller";
    Client          "principal.client"  String    [Tape] "the OAuth client";
    Scopes          "principal.scopes"  Strings   [Tape] "what the token was issued for";
    Roles           "principal.roles"   Strings   [Tape] "the caller's roles";
    Groups          "principal.groups"  Strings   [Tape] "the caller's groups";
    Claims          "principal.claims"  Map       [Tape] "every claim of the token";
    HttpMethod      "http.method"       String    [Tape] "the HTTP method";
    HttpHost        "http.host"         String    [Tape] "the host that was asked for";
    HttpPath        "http.path"         String    [Tape] "the path that was asked for";
    HttpAddress     "http.address"      String    [Tape] "the client's address";
    HttpHeaders     "http.headers"      StringMap [Tape] "the headers by lower-case name, as in http.headers[\"mcp-name\"]";
    Now             "now"               Timestamp [Tape] "the present moment";
    Result          "result"            Map       [Tape] "the result, as in result.isError";
    ErrorCode       "error.code"        Int       [Tape] "the code of the JSON-RPC error";
    ErrorMessage    "error.message"     String    [Tape] "the text of the JSON-RPC error";
    Outcome         "outcome"           String    [Tape] "how the call ended" of OUTCOMES;
    Status          "status"            Int       [Tape] "the HTTP status";
    Latency         "latency"           Duration  [Tape] "from the request to this answer";
    Node            "node"              String    [Tape] "the data plane that recorded it";
    Trace           "trace"             String    [Tape] "the trace id: 32 hexadecimal digits";
    Time            "time"              Timestamp [Tape] "when it was recorded";
    Size            "size"              Int       [Tape] "the message's size in bytes";
    Direction       "direction"         String    [Tape] "which way it went" of DIRECTIONS;
    ConfigVersion   "config_version"    Int       [Tape] "the number of the configuration's version";
    Text            "text"              String    [Tape] "the whole message as text, to search in";
}

impl Name {
    /// How it is written.
    #[must_use]
    pub fn text(self) -> &'static str {
        self.row().text
    }

    /// Its row.
    #[must_use]
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.text == text).map(|row| row.name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

/// The whole table, in the order in which help prints it.
#[must_use]
pub fn names() -> &'static [Row] {
    TABLE
}

/// The members of `group`, as in `subject` of `principal`; none if it is no group.
pub(crate) fn members(group: &str) -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter_map(move |row| row.text.strip_prefix(group)?.strip_prefix('.'))
}

/// The first words of all names: `tool`, and the group `principal` once.
pub(crate) fn roots() -> impl Iterator<Item = &'static str> {
    let mut last = "";
    TABLE.iter().filter_map(move |row| {
        let root = row.text.split('.').next().unwrap_or(row.text);
        (std::mem::replace(&mut last, root) != root).then_some(root)
    })
}
