//! Whether this process lives, is ready, and what each thing it depends on says.

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;
use shadowcat_session::SessionStore;

use super::ConfigMetrics;
use crate::drain::Drain;
use crate::route::Runtime;
use crate::stream::GatewayBody;

/// The word for a gateway that waits for its first configuration.
const NOT_CONFIGURED: &str = "waiting";

/// What the health endpoints look at.
pub(crate) struct Health<'a> {
    pub(crate) drain: &'a Drain,
    pub(crate) store: &'a dyn SessionStore,
    pub(crate) runtime: &'a Runtime,
    pub(crate) configs: &'a ConfigMetrics,
}

impl Health<'_> {
    /// `/health/live`: the process answers.
    pub(crate) fn live() -> Response<GatewayBody> {
        answer(StatusCode::OK, &json!({ "status": "ok" }))
    }

    /// `/health/ready`: traffic is welcome. A dependency that is down does not change it: what needs it says so per call.
    pub(crate) fn ready(&self) -> Response<GatewayBody> {
        if self.drain.is_announced() {
            return answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "draining" }));
        }
        if self.runtime.config.is_none() {
            let body = json!({ "status": NOT_CONFIGURED, "reason": self.why_not_configured() });
            return answer(StatusCode::SERVICE_UNAVAILABLE, &body);
        }
        answer(StatusCode::OK, &json!({ "status": "ok" }))
    }

    fn why_not_configured(&self) -> &'static str {
        match self.configs.is_connected() {
            None => "no configuration yet",
            Some(true) => "the control plane is connected and has sent no configuration yet: apply one to the fleet",
            Some(false) => {
                "no configuration on disk and no seed, and no line to the control plane yet: the log says why"
            }
        }
    }

    /// `/health`: ready or not, with every dependency.
    pub(crate) fn report(&self) -> Response<GatewayBody> {
        let store = self.store.health();
        let upstreams: serde_json::Map<_, _> = self
            .runtime
            .upstreams()
            .map(|upstream| {
                let status = upstream.upstream.status();
                let said = json!({
                    "reachable": status.reachable,
                    "last_error": status.last_error,
                    "in_flight": status.in_flight,
                    "children": status.children,
                });
                (upstream.name.to_string(), said)
            })
            .collect();
        let (status, word) = match self.drain.is_announced() {
            true => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
            false if self.runtime.config.is_none() => (StatusCode::SERVICE_UNAVAILABLE, NOT_CONFIGURED),
            false if store.is_err() => (StatusCode::OK, "degraded"),
            false => (StatusCode::OK, "ok"),
        };
        let sessions = json!({ "status": if store.is_ok() { "ok" } else { "unavailable" }, "error": store.err() });
        let mut report = json!({ "status": word, "sessions": sessions, "upstreams": upstreams });
        if let Some(connected) = self.configs.is_connected() {
            report["control_plane"] = json!({ "connected": connected, "kept_on_disk": self.configs.is_kept() });
        }
        answer(status, &report)
    }
}

pub(super) fn answer(status: StatusCode, body: &serde_json::Value) -> Response<GatewayBody> {
    let mut response = Response::new(GatewayBody::full(body.to_string().into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
