//! The data plane: MCP clients on one side, MCP servers on the other, and what passes between them.
//!
//! The folders follow the way of a call, so that it can be read from the top of this list down:
//!
//! | Room | Does |
//! |---|---|
//! | [`listen`] | accepts connections, with caps and deadlines; TLS |
//! | [`service`] | takes a request from room to room |
//! | [`admit`] | checks head and envelope |
//! | [`route`] | finds the upstream and the session; both eras |
//! | [`stream`] | brings the answer back, event by event, and keeps what a client may have to hear again |
//! | [`record`] | keeps what passed |
//! | [`fleet`] | brings configurations |
//! | [`observe`] | metrics, health, logs |
//! | [`drain`] | stops without cutting |
//!
//! # A gateway in a program
//!
//! A server of the program's own behind a gateway of its own, with sessions where the program wants them. Any
//! [`Upstream`](shadowcat_upstream::Upstream) and any [`SessionStore`](shadowcat_session::SessionStore) will do.
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use http::Response;
//! use http::header::CONTENT_TYPE;
//! use shadowcat_config::{Config, SessionMode, Transport};
//! use shadowcat_proxy::{Gateway, Stop};
//! use shadowcat_session::MemoryStore;
//! use shadowcat_upstream::{Call, Upstream, UpstreamBody, UpstreamError, UpstreamStatus, Verb};
//!
//! /// A server without sessions that answers every request with an empty result.
//! struct Agreeable;
//!
//! #[async_trait]
//! impl Upstream for Agreeable {
//!     fn name(&self) -> &str {
//!         "agreeable"
//!     }
//!
//!     async fn call(&self, call: Call) -> Result<Response<UpstreamBody>, UpstreamError> {
//!         let id = match &call.verb {
//!             Verb::Post(message) => message.id().map(|id| id.as_json().to_owned()),
//!             Verb::Get | Verb::Delete => None,
//!         };
//!         let body = id.map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)).unwrap_or_default();
//!         let mut response = Response::new(UpstreamBody::full(body));
//!         response.headers_mut().insert(CONTENT_TYPE, "application/json".parse().expect("a media type"));
//!         Ok(response)
//!     }
//!
//!     fn status(&self) -> UpstreamStatus {
//!         UpstreamStatus { reachable: true, ..UpstreamStatus::default() }
//!     }
//!
//!     async fn shutdown(&self) {}
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::single(Transport::http("http://agreeable.invalid/mcp")?, SessionMode::Optional);
//! let name = config.upstreams()[0].name.as_str().to_owned();
//! let builder = Gateway::builder(config).bind("127.0.0.1:0".parse()?).upstream(name, Arc::new(Agreeable));
//! let store = MemoryStore::new(builder.store_options());
//! let gateway = builder.session_store(Arc::new(store)).build().await?;
//! let url = format!("http://{}/mcp", gateway.local_addr()?);
//!
//! let asked = async {
//!     let answer = reqwest::Client::builder().no_proxy().build()?.post(url)
//!         .header("content-type", "application/json")
//!         .header("accept", "application/json, text/event-stream")
//!         .header("mcp-protocol-version", "2026-07-28")
//!         .body(r#"{"jsonrpc":"2.0","id":"a","method":"tools/list","params":{}}"#)
//!         .send().await?.text().await?;
//!     assert_eq!(answer, r#"{"jsonrpc":"2.0","id":"a","result":{}}"#);
//!     Ok::<_, reqwest::Error>(Stop::PROMPT)
//! };
//! gateway.serve(async { asked.await.expect("the gateway answers") }).await;
//! # Ok(())
//! # }
//! ```

mod admit;
pub mod drain;
pub mod fleet;
mod gateway;
mod listen;
mod observe;
mod process;
pub mod record;
mod refuse;
mod route;
mod service;
mod stream;

pub use fleet::watch_file;
pub use gateway::{Control, DEFAULT_BIND, Gateway, GatewayBuilder, StartError, Stop};
pub use listen::TlsError;
pub use observe::{LogFormat, init_logging};
pub use process::{raise_file_limit, stop_signal};
pub use route::BuildError;
