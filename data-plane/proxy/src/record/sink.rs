//! Where records go: the seam that a program may fill.

use std::time::Duration;

use shadowcat_tape::line::Message;
use shadowcat_tape::record::Record;

/// Takes records in the order in which they happened, on the recorder's own thread. What it does may block; a call never waits for it.
///
/// A sink has no errors to return: whoever records cannot mend them. It says in the record itself what it has lost.
///
/// # Example
///
/// A program that wants to know how calls end, and nothing else of them.
///
/// ```
/// use std::sync::mpsc::{SyncSender, sync_channel};
/// use std::time::Duration;
///
/// use shadowcat_config::parse_local_in;
/// use shadowcat_proxy::record::TapeSink;
/// use shadowcat_proxy::{Gateway, Stop};
/// use shadowcat_tape::line::Message;
/// use shadowcat_tape::record::{Outcome, Record};
///
/// struct Outcomes {
///     to: SyncSender<(String, Outcome)>,
///     /// The place of the latest record.
///     seq: u64,
/// }
///
/// impl TapeSink for Outcomes {
///     fn append(&mut self, record: Record<'_>, _: Option<Message<'_>>) -> u64 {
///         self.seq += 1;
///         if let (Some(method), Some(outcome)) = (record.m, record.out) {
///             // The recorder does not wait for a reader that is too slow.
///             let _ = self.to.try_send((method.into_owned(), outcome));
///         }
///         self.seq
///     }
///
///     fn lost(&mut self, frames: u64, why: &str) {
///         eprintln!("{frames} frames are missing ({why})");
///     }
///
///     // It keeps no tags, so their key is nothing to it.
///     fn rekeyed(&mut self, _: &str) {}
///
///     // Nothing is ever due.
///     fn settle(&mut self, _: Duration) -> Duration {
///         Duration::from_secs(60)
///     }
///
///     fn can_promise(&self) -> bool {
///         true
///     }
///
///     fn end(&mut self, _: Duration) {}
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Nobody listens there, so the call fails.
/// let text = "
/// upstreams: [{ name: away, http: { endpoints: [{ url: 'http://127.0.0.1:9/mcp' }] } }]
/// routes: [{ name: all, match: { path: /mcp }, targets: [{ upstream: away }], recording: outcomes }]
/// recordings: [{ name: outcomes, capture: METADATA }]
/// ";
/// let config = parse_local_in(text, "", &|_| None).expect("a configuration").config;
/// let (to, outcomes) = sync_channel(1024);
/// let sink = Box::new(Outcomes { to, seq: 0 });
/// let gateway = Gateway::builder(config).bind("127.0.0.1:0".parse()?).tape_sink(sink).build().await?;
/// let url = format!("http://{}/mcp", gateway.local_addr()?);
///
/// let asked = async {
///     let answer = reqwest::Client::builder().no_proxy().build()?.post(url)
///         .header("content-type", "application/json")
///         .header("accept", "application/json, text/event-stream")
///         .header("mcp-protocol-version", "2026-07-28")
///         .body(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#)
///         .send().await?;
///     assert!(answer.status().is_server_error());
///     Ok::<_, reqwest::Error>(Stop::PROMPT)
/// };
/// gateway.serve(async { asked.await.expect("the gateway answers") }).await;
/// assert_eq!(outcomes.recv()?, ("tools/list".to_owned(), Outcome::Failed));
/// # Ok(())
/// # }
/// ```
pub trait TapeSink: Send + 'static {
    /// Takes a record, and the message that it is about where the recording keeps it; says which place in the order it has. `record.seq`
    /// means nothing here; `record.t` is set.
    fn append(&mut self, record: Record<'_>, message: Option<Message<'_>>) -> u64;

    /// So many frames never came here.
    fn lost(&mut self, frames: u64, why: &str);

    /// Tags of what is blotted out are made with another key from now on; its name.
    fn rekeyed(&mut self, key_id: &str);

    /// Time for what is done now and then: called every 10 ms or so while frames come, soon after the last of them, and else after as long
    /// as the last call asked. `now` is since the recorder began. Returns after how long it wants to be called again.
    fn settle(&mut self, now: Duration) -> Duration;

    /// False while what is taken would be lost: routes that must not lose a record take no calls meanwhile.
    fn can_promise(&self) -> bool;

    /// Nothing follows.
    fn end(&mut self, now: Duration);
}
