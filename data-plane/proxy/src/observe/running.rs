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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_file_is_shown_as_it_runs_without_the_secrets_in_it() {
        let text = "routes: [{ name: a, match: { path: /files }, targets: [{ upstream: a }] }]\n\
                    upstreams: [{ name: a, http: { endpoints: [{ url: 'http://127.0.0.1:9/mcp' }], \
                    headers: [{ name: x-site-token, value: hunter2 }] } }]\n";
        let config = shadowcat_config::parse_local(text, "gateway.yaml").unwrap().config;
        let provenance = Provenance::file(config.canonical().map(Bytes::copy_from_slice));
        let shown = running_config(&provenance).into_body().collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8_lossy(&shown).contains("hunter2"));
        let shown: serde_json::Value = serde_json::from_slice(&shown).unwrap();
        assert_eq!((&shown["origin"], &shown["version"]), (&"file".into(), &serde_json::Value::Null));
        assert_eq!(shown["config"]["routes"][0]["match"]["path"], "/files");
    }
}
