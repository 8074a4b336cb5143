//! The one table of the gateway's own errors. Nothing else in Shadowcat chooses a code, a status or a severity.

use http::StatusCode;

/// Whose fault an error is: who has to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Whoever sent the request.
    Client,
    /// Us, or whoever runs us.
    Gateway,
    /// The MCP server behind us.
    Upstream,
}

/// How loudly an error is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Clients cause it at will; a line for each would let them fill the log.
    Debug,
    /// Worth a line, not a person.
    Info,
    /// An operator may have to act.
    Warn,
    /// A defect of the gateway.
    Error,
}

/// A row of the table.
struct Row {
    label: &'static str,
    code: i32,
    status: StatusCode,
    fault: Fault,
    retryable: bool,
    severity: Severity,
    text: &'static str,
}

/// Writes the enum, its list and its rows from one text, so that none can lack what another has.
macro_rules! table {
    ($($(#[$doc:meta])+ $kind:ident = $label:literal, $code:literal, $status:ident, $fault:ident, $retry:ident, $severity:ident, $text:literal;)+) => {
        /// What went wrong, as far as codes, statuses and metrics tell it apart.
        ///
        /// Codes below -32000 are JSON-RPC's and MCP's own; the gateway's start at -31001, outside the reserved range
        /// (2026-07-28, "Overview", error codes).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorKind {
            $($(#[$doc])+ $kind,)+
        }

        impl ErrorKind {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            const fn row(self) -> &'static Row {
                match self {
                    $(Self::$kind => &Row {
                        label: $label,
                        code: $code,
                        status: StatusCode::$status,
                        fault: Fault::$fault,
                        retryable: table!(@ $retry),
                        severity: Severity::$severity,
                        text: $text,
                    },)+
                }
            }
        }
    };
    (@ again) => { true };
    (@ never) => { false };
}

table! {
    // The upstream side.

    /// No connection, or it broke; no child, or it died.
    UpstreamUnreachable = "upstream_unreachable", -31001, BAD_GATEWAY, Upstream, again, Warn,
        "the MCP server behind this gateway cannot be reached: check that it runs";
    /// A bound on time passed while the server had the call.
    UpstreamTimedOut = "upstream_timed_out", -31002, GATEWAY_TIMEOUT, Upstream, never, Warn,
        "the MCP server did not answer in time: check what it is doing before calling again, it may still run";
    /// What came back is not what the protocol allows.
    UpstreamBrokeProtocol = "upstream_broke_protocol", -31003, BAD_GATEWAY, Upstream, never, Warn,
        "the MCP server answered with something that is not MCP: check the upstream's URL or command and its version";
    /// A queue, a pool or the store of sessions is at its bound.
    Overloaded = "overloaded", -31004, SERVICE_UNAVAILABLE, Gateway, again, Warn,
        "the gateway is at its capacity: try again after the time in Retry-After";
    /// A rate limit.
    Limited = "limited", -31005, TOO_MANY_REQUESTS, Client, again, Info,
        "the rate limit is reached: try again after the time in Retry-After";
    /// A policy said no.
    Denied = "denied", -31006, FORBIDDEN, Client, never, Info,
        "this call is not allowed for you: ask whoever runs the gateway for access";
    /// An interception rule said no; the HTTP exchange itself went well.
    Blocked = "blocked", -31007, OK, Client, never, Info,
        "a rule of the gateway blocked this message: ask whoever runs the gateway why";
    /// The node that ran the call died, so nobody knows whether it took effect.
    OutcomeUnknown = "outcome_unknown", -31008, BAD_GATEWAY, Gateway, never, Warn,
        "the outcome of this call is unknown since the node that ran it is gone: check its effects before calling again";
    /// The message has no counterpart in the peer's version.
    Untranslatable = "untranslatable", -31009, OK, Gateway, never, Info,
        "this message cannot be translated to your protocol version: use a newer version";
    /// Starting or draining.
    NotReady = "not_ready", -31010, SERVICE_UNAVAILABLE, Gateway, again, Warn,
        "the gateway is not ready: try again after the time in Retry-After";

    // The client side: the message.

    /// Not JSON (JSON-RPC 2.0, section 5.1).
    ParseError = "parse_error", -32700, BAD_REQUEST, Client, never, Debug,
        "the message is not JSON: send one JSON-RPC 2.0 message in UTF-8";
    /// JSON, but not a message of the protocol (JSON-RPC 2.0, section 5.1).
    InvalidRequest = "invalid_request", -32600, BAD_REQUEST, Client, never, Debug,
        "the message is not a JSON-RPC 2.0 message: send a request, a notification or a response";
    /// An array of messages.
    BatchRefused = "batch_refused", -32600, BAD_REQUEST, Client, never, Debug,
        "batches are not served here: send each message in a request of its own";
    /// Longer than the limit.
    TooLarge = "too_large", -32600, PAYLOAD_TOO_LARGE, Client, never, Debug,
        "the message is larger than this gateway accepts: send a smaller one";
    /// The body did not arrive in time.
    TooSlow = "too_slow", -32600, REQUEST_TIMEOUT, Client, again, Debug,
        "the message did not arrive in time: send it again over a better connection";

    // The client side: the HTTP around it (2025-11-25 and 2026-07-28, "Transports").

    /// A session is needed and none was named.
    SessionRequired = "session_required", -32600, BAD_REQUEST, Client, never, Debug,
        "this route needs a session: send initialize first, then its Mcp-Session-Id header with every request";
    /// The session ended, expired or never was; the client has to start anew.
    SessionUnknown = "session_unknown", -32600, NOT_FOUND, Client, never, Debug,
        "this session does not exist here any more: send initialize without the Mcp-Session-Id header";
    /// `Last-Event-ID` names nothing that can be resumed.
    ResumptionRefused = "resumption_refused", -32600, BAD_REQUEST, Client, never, Debug,
        "nothing can be resumed from this Last-Event-ID: open the stream without it";
    /// The stream is being read by someone else already.
    StreamTaken = "stream_taken", -32600, CONFLICT, Client, never, Debug,
        "this stream is open already: close the other connection first";
    /// A version nobody knows (2026-07-28, "Versioning"; 2025-11-25, "Transports", protocol version header).
    VersionUnsupported = "version_unsupported", -32022, BAD_REQUEST, Client, never, Debug,
        "this protocol version is not supported: use one of those in error.data.supported";
    /// Headers and body disagree (2026-07-28, "Streamable HTTP", server validation).
    HeaderMismatch = "header_mismatch", -32020, BAD_REQUEST, Client, never, Debug,
        "the MCP headers and the body disagree: send in the headers what stands in the body";
    /// `Accept` lacks what the answer may be.
    NotAcceptable = "not_acceptable", -32600, NOT_ACCEPTABLE, Client, never, Debug,
        "the answer may be JSON or an event stream: send Accept: application/json, text/event-stream";
    /// The body is of another type than JSON.
    UnsupportedMediaType = "unsupported_media_type", -32600, UNSUPPORTED_MEDIA_TYPE, Client, never, Debug,
        "the body must be JSON: send Content-Type: application/json";
    /// A web page of a foreign origin.
    OriginRefused = "origin_refused", -32600, FORBIDDEN, Client, never, Info,
        "this Origin is not allowed: add it to the route's cors.allow_origins";
    /// A foreign `Host`, as in DNS rebinding.
    HostRefused = "host_refused", -32600, FORBIDDEN, Client, never, Info,
        "this Host is not served here: use the address the gateway listens on, or set match.host on the route";
    /// A method other than POST, GET and DELETE, or one that the route does not serve.
    MethodNotAllowed = "method_not_allowed", -32600, METHOD_NOT_ALLOWED, Client, never, Debug,
        "this HTTP method is not served here: use one of those in the Allow header";
    /// No route for host, path and headers.
    NoRoute = "no_route", -32600, NOT_FOUND, Client, never, Debug,
        "no MCP endpoint answers here: check the path of the URL";

    // Ours.

    /// A defect.
    Internal = "internal", -32603, INTERNAL_SERVER_ERROR, Gateway, never, Error,
        "the gateway failed: report this with the trace id";
}

impl ErrorKind {
    /// The name in metrics and logs, in snake case.
    #[must_use]
    pub const fn label(self) -> &'static str {
        self.row().label
    }

    /// The JSON-RPC error code.
    #[must_use]
    pub const fn code(self) -> i32 {
        self.row().code
    }

    /// The HTTP status, where the head of the answer is not out yet.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.row().status
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn fault(self) -> Fault {
        self.row().fault
    }

    /// Whether the same call may be sent again without harm and with hope.
    #[must_use]
    pub const fn retryable(self) -> bool {
        self.row().retryable
    }

    /// How loudly it is logged.
    #[must_use]
    pub const fn severity(self) -> Severity {
        self.row().severity
    }

    /// The public sentence where the occasion has none of its own: what happened, and the cure.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.row().text
    }

    /// Whether the answer carries `Retry-After` (RFC 6585, section 4; RFC 9110, section 15.6.4).
    #[must_use]
    pub fn asks_to_come_back(self) -> bool {
        matches!(self.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
    }
}
