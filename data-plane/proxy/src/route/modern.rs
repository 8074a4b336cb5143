//! Messages of 2026-07-28 and later: each stands alone, so it goes to a server that speaks its version as it came.

use http::{HeaderMap, Response};
use shadowcat_mcp::Envelope;
use shadowcat_upstream::{Call, Verb};

use super::headers::for_upstream;
use super::{Exchange, Refusal};
use crate::stream::{Account, Answer, GatewayBody};

/// Passes a message on. When the client leaves, the upstream's stream is closed, which is how this era cancels
/// (MCP 2026-07-28, "Transports", "Cancellation").
pub(crate) async fn post(
    exchange: Exchange,
    headers: HeaderMap,
    message: Envelope,
    account: &mut Account,
) -> Result<Response<GatewayBody>, Refusal> {
    let answer = Answer::to(&exchange, &message);
    let call =
        Call { verb: Verb::Post(message), headers: for_upstream(headers), session: None, exchange: account.exchange() };
    account.go().map_err(|error| answer.refusal(error))?;
    let response = exchange.route.call(call).await.map_err(|error| answer.refuse(&error))?;
    answer.relay(response, None, account).await
}
