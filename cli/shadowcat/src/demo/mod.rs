//! The built-in demo MCP server: what `shadowcat up` stands in front of when it is given nothing else.
//!
//! Its tools are chosen so that each shows one thing a gateway must carry: plain and structured results (`echo`, `add`, `now`),
//! progress while a call runs (`count`), and a question back to the client (`greet`). It needs no network and keeps no state,
//! speaks every version the official SDK speaks, and knows nothing of the gateway in front of it.

mod http;
mod question;
mod tools;

use rmcp::ServiceExt;
use rmcp::transport::io::stdio_pipes;

pub use http::HttpListener;
pub use tools::DemoServer;

/// Serves one client over stdin and stdout until the client closes its end.
///
/// # Errors
///
/// The first message was no MCP opening, or the serving task panicked.
pub async fn serve_stdio() -> anyhow::Result<()> {
    let session = DemoServer::new().serve(stdio_pipes()).await?;
    session.waiting().await?;
    Ok(())
}
