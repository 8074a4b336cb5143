//! How much a configuration may hold. None of these is met by a sane one; each keeps a mistake or an attack from
//! costing memory.

/// Bytes of a configuration file: 10 000 routes of some 400 bytes fit four times.
pub const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Files of one fleet's configuration: one per upstream. Together they are bounded as a single file is.
pub const MAX_FILES: usize = 1_000;

/// Documents of all the files together: one per route.
pub const MAX_DOCUMENTS: usize = 10_000;

/// Bytes that `${NAME}` may bring in, over all that is read at once, so that a small file does not become a large one.
pub const MAX_SUBSTITUTED_BYTES: usize = 16 * 1024 * 1024;

/// Levels of nesting; the schema itself has seven.
pub const MAX_DEPTH: usize = 32;

/// Values, lists and mappings of all that is read at once; 10 000 routes have some 150 000.
pub const MAX_NODES: usize = 1_000_000;

/// Routes of one configuration.
pub const MAX_ROUTES: usize = 10_000;

/// Upstreams of one configuration.
pub const MAX_UPSTREAMS: usize = 1_000;

/// Identity providers, policies, rate limits, rule sets and recordings of one configuration, of each; and rules of one
/// policy. Routes share them, so a tenth of the routes' own bound is generous.
pub const MAX_SHARED: usize = 1_000;

/// Targets of a route, endpoints of an upstream, and policies, rate limits or rule sets that one route names: each is
/// looked at while a call waits.
pub const MAX_REFERENCES: usize = 256;

/// Mistakes that are told of one configuration; what is beyond is counted. Nobody reads more, and an answer of them
/// must fit a message.
pub const MAX_DIAGNOSTICS: usize = 1_000;

/// Headers one match may demand, and headers one upstream may add: what fits a request head beside the client's own.
pub const MAX_HEADERS: usize = 64;

/// Bytes of a header's value: half of what common servers take for a whole head.
pub const MAX_HEADER_VALUE_BYTES: usize = 8 * 1024;

/// Origins of one route.
pub const MAX_ORIGINS: usize = 256;

/// Field names, and paths, whose values one recording blots out. Each is compared with every field of every message.
pub const MAX_REDACTED: usize = 256;

/// Bytes of such a name or path.
pub const MAX_REDACTED_BYTES: usize = 256;

/// The program and its arguments.
pub const MAX_COMMAND_ARGUMENTS: usize = 256;

/// Bytes of one argument or environment value: Linux refuses to start a program with a longer one (`MAX_ARG_STRLEN`,
/// execve(2)).
pub const MAX_ARGUMENT_BYTES: usize = 128 * 1024 - 1;

/// Variables one command gets beside those of the gateway.
pub const MAX_ENVIRONMENT: usize = 256;

/// Bytes of a name: one DNS label (RFC 1035, 2.3.4), so that a name can become a host name or a Kubernetes object.
pub const MAX_NAME_BYTES: usize = 63;

/// Bytes of a route's path; every request is compared with it.
pub const MAX_PATH_BYTES: usize = 1024;

/// Bytes of a URL.
pub const MAX_URL_BYTES: usize = 2048;

/// Bytes of a secret: a client certificate with its chain fits.
pub const MAX_SECRET_BYTES: u64 = 64 * 1024;
