use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::{DEFAULT_RETRY_AFTER, ErrorKind, Fault, GatewayError};
use crate::{Envelope, Kind, Limits, ProtocolVersion};

fn parsed(error: &GatewayError, id: Option<&str>) -> Value {
    serde_json::from_slice(&error.to_json(id)).expect("an error is JSON")
}

#[test]
fn every_row_is_complete() {
    for kind in ErrorKind::ALL {
        let (label, text) = (kind.label(), kind.text());
        assert!(!label.is_empty() && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{label}");
        assert!(text.starts_with(char::is_lowercase), "{label}: {text}");
        assert!(text.contains(": ") && !text.ends_with('.'), "a public text is one sentence with a cure: {text}");
        let client_status = kind.status().is_client_error() || kind.status() == StatusCode::OK;
        assert_eq!(client_status, kind.fault() == Fault::Client || *kind == ErrorKind::Untranslatable, "{label}");
    }
}

#[test]
fn labels_are_unique_and_so_are_the_codes_of_our_own() {
    let mut labels = BTreeMap::new();
    let mut codes = BTreeMap::new();
    for kind in ErrorKind::ALL {
        assert_eq!(labels.insert(kind.label(), kind), None, "{kind:?}");
        if kind.code() != -32600 {
            assert_eq!(codes.insert(kind.code(), kind), None, "{kind:?}");
        }
    }
}

#[test]
fn codes_of_our_own_lie_outside_the_reserved_range_and_all_others_are_defined_by_the_protocol() {
    let defined = [-32700, -32600, -32603, -32020, -32022];
    for kind in ErrorKind::ALL {
        let reserved = (-32768..=-32000).contains(&kind.code());
        assert_eq!(reserved, defined.contains(&kind.code()), "{kind:?}");
        assert!(reserved || (-31010..=-31001).contains(&kind.code()), "{kind:?}");
    }
}

#[test]
fn a_call_that_may_have_run_is_never_called_retryable() {
    for kind in [ErrorKind::UpstreamTimedOut, ErrorKind::OutcomeUnknown, ErrorKind::UpstreamBrokeProtocol] {
        assert!(!kind.retryable(), "{kind:?}");
    }
    let unreachable = GatewayError::from(ErrorKind::UpstreamUnreachable);
    assert!(unreachable.retryable());
    assert!(!unreachable.may_have_run().retryable());
}

#[test]
fn whoever_is_told_to_wait_is_told_how_long() {
    for kind in ErrorKind::ALL {
        let waits = matches!(kind.status().as_u16(), 429 | 503);
        assert_eq!(GatewayError::from(*kind).retry_after_seconds().is_some(), waits, "{kind:?}");
        assert!(!waits || kind.retryable(), "{kind:?}");
    }
    let wait = |wait| GatewayError::from(ErrorKind::Limited).retry_after(wait).retry_after_seconds();
    assert_eq!(wait(DEFAULT_RETRY_AFTER), Some(1));
    assert_eq!(wait(Duration::from_millis(1001)), Some(2));
}

#[test]
fn an_error_names_what_failed_to_the_client_and_to_the_log() {
    let error = GatewayError::new(ErrorKind::UpstreamUnreachable, "The server \"files\"\nis down: start it")
        .on_route("workbench")
        .at_upstream("files")
        .in_stage("connect")
        .with_trace_id("4bf9");
    let data =
        json!({"retryable": true, "route": "workbench", "upstream": "files", "stage": "connect", "trace_id": "4bf9"});
    let told = json!({"code": -31001, "message": "The server \"files\"\nis down: start it", "data": data});
    assert_eq!(parsed(&error, Some(r#""a""#)), json!({"jsonrpc": "2.0", "id": "a", "error": told}));
    let log = error.to_string();
    for part in ["upstream_unreachable", "route=workbench", "upstream=files", "stage=connect", "trace_id=4bf9"] {
        assert!(log.contains(part), "{log}");
    }
}

#[test]
fn every_error_is_a_message_with_and_without_an_id() {
    for kind in ErrorKind::ALL {
        for id in [None, Some("12"), Some(r#""x""#)] {
            let envelope = Envelope::read(GatewayError::from(*kind).to_json(id), Limits::default()).expect("a message");
            assert_eq!(envelope.kind(), Kind::ErrorResponse);
            assert_eq!(envelope.id().map(crate::Id::as_json), id);
        }
    }
}

#[test]
fn an_unsupported_version_is_answered_with_the_supported_ones() {
    let refusal = "1999-01-01".parse::<ProtocolVersion>().expect_err("nobody published it");
    let answer = parsed(&refusal.into(), Some("1"));
    assert_eq!(answer["error"]["code"], -32022);
    assert_eq!(answer["error"]["data"]["requested"], "1999-01-01");
    assert_eq!(answer["error"]["data"]["supported"], json!(ProtocolVersion::ALL.map(ProtocolVersion::as_str)));
}

#[test]
fn a_malformed_message_becomes_its_row_with_its_own_sentence() {
    let malformed = Envelope::read("[]".into(), Limits::default()).expect_err("a batch");
    let error = GatewayError::from(&malformed);
    assert_eq!(error.kind(), ErrorKind::BatchRefused);
    assert_eq!(error.message(), malformed.to_string());
}
