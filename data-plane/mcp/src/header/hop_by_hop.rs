//! Fields that concern one connection and must not be forwarded (RFC 9110, section 7.6.1).

use http::header::{CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName};

/// Fields removed whether `Connection` names them or not: the list of RFC 9110, section 7.6.1, `Trailer` (RFC 9112,
/// section 7.1.2, whose trailers are not forwarded) and the credentials for this hop (sections 11.7.1 and 11.7.2).
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
];

/// Removes every field that concerns one connection, those that `Connection` nominates included.
///
/// Allocates only if `Connection` nominates a field that is not in the list.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    for name in nominated(headers) {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// The fields that `Connection` names beyond the list. `close` names none; neither do texts that are no field name.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|option| !is_plain(option))
        .filter_map(|option| HeaderName::from_bytes(option).ok())
        .collect()
}

/// Connection options that ask for nothing that is not done anyway.
fn is_plain(option: &[u8]) -> bool {
    option.is_empty()
        || option.eq_ignore_ascii_case(b"close")
        || HOP_BY_HOP.iter().any(|name| option.eq_ignore_ascii_case(name.as_str().as_bytes()))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{HOP_BY_HOP, strip_hop_by_hop};

    fn stripped(connection: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in connection {
            headers.append("connection", HeaderValue::from_str(value).expect("a header value"));
        }
        for name in HOP_BY_HOP.iter().filter(|name| *name != "connection") {
            headers.insert(name, HeaderValue::from_static("hop"));
        }
        for name in ["x-one", "x-two", "mcp-session-id", "content-type"] {
            headers.insert(name, HeaderValue::from_static("end"));
        }
        strip_hop_by_hop(&mut headers);
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn fields_of_the_connection_go_and_all_others_stay() {
        assert_eq!(names(&stripped(&[])), ["content-type", "mcp-session-id", "x-one", "x-two"]);
        assert_eq!(names(&stripped(&["Keep-Alive, close"])), ["content-type", "mcp-session-id", "x-one", "x-two"]);
    }

    #[test]
    fn nominated_fields_go_whatever_their_case_and_wherever_they_are_named() {
        let headers = stripped(&["X-ONE ,, upgrade", "\tx-two"]);
        assert_eq!(headers.len(), 2, "{headers:?}");
    }

    #[test]
    fn options_that_are_no_field_names_harm_nothing() {
        assert_eq!(stripped(&["x one, (, =;", ""]).len(), 4);
    }
}
