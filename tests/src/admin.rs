//! The admin API, spoken directly: for what happens too often, or has to happen too exactly, for a process each time.

use serde_json::Value;
use shadowcat_proto::admin::v1::configurations_client::ConfigurationsClient;
use shadowcat_proto::admin::v1::{ApplyRequest, GetVersionRequest, HistoryRequest};
use shadowcat_proto::config::v1::Config;
use shadowcat_proto::fleet::v1::ConfigRef;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// The most versions that one answer lists.
const PAGE: u32 = 1000;

/// An operator's program.
#[derive(Debug, Clone)]
pub struct Admin {
    configurations: ConfigurationsClient<Channel>,
    token: String,
}

impl Admin {
    /// One at `url`, which connects when it has something to say.
    pub fn at(url: &str, token: &str) -> Self {
        let endpoint = Endpoint::from_shared(url.to_owned()).expect("the harness makes URLs");
        Self { configurations: ConfigurationsClient::new(endpoint.connect_lazy()), token: token.to_owned() }
    }

    fn ask<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let token = format!("Bearer {}", self.token).parse().expect("a token is printable");
        request.metadata_mut().insert("authorization", token);
        request
    }

    /// Commits a configuration; the version that is current then.
    pub async fn apply(&mut self, configuration: &Value) -> Result<ConfigRef, Status> {
        let config: Config = serde_json::from_value(configuration.clone()).expect("it is a configuration");
        let request = self.ask(ApplyRequest { config: Some(config), ..ApplyRequest::default() });
        let applied = self.configurations.apply(request).await?.into_inner();
        Ok(applied.version.and_then(|version| version.r#ref).expect("a fleet with a version has a current one"))
    }

    /// Every version there is, newest first.
    pub async fn history(&mut self) -> Result<Vec<ConfigRef>, Status> {
        let request = self.ask(HistoryRequest { limit: PAGE, ..HistoryRequest::default() });
        let versions = self.configurations.history(request).await?.into_inner().versions;
        Ok(versions.into_iter().filter_map(|version| version.r#ref).collect())
    }

    /// The content of a version.
    pub async fn content(&mut self, number: u64) -> Result<Config, Status> {
        let request = self.ask(GetVersionRequest { number, ..GetVersionRequest::default() });
        let version = self.configurations.get(request).await?.into_inner();
        Ok(version.config.expect("a version has a content"))
    }
}
