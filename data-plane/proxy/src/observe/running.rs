//! `/config`: what runs, for operators.

use http::{Response, StatusCode};
use prost::Message as _;
use serde_json::json;
use shadowcat_proto::config::v1 as raw;

use super::health::answer;
use crate::fleet::Provenance;
use crate::stream::GatewayBody;

/// The version that runs, where it came from, and what it says. Secrets are references in it; a value that was written where a
/// reference could have been is masked.
pub(crate) fn running_config(provenance: &Provenance) -> Response<GatewayBody> {
    let version = provenance.version.as_ref().map(
        |version| json!({ "epoch": version.epoch, "number": version.number, "digest": version.digest.to_string() }),
    );
    let config = provenance.canonical.as_ref().and_then(|canonical| raw::Config::decode(canonical.clone()).ok());
    let config = config.map(|config| serde_json::to_value(shadowcat_config::mask(&config)));
    match config.transpose() {
        Ok(config) => {
            let origin = provenance.origin.label();
            answer(StatusCode::OK, &json!({ "version": version, "origin": origin, "config": config }))
        }
        Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "error": error.to_string() })),
    }
}
