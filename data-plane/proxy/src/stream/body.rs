//! The one body type of everything the gateway answers.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use shadowcat_upstream::{UpstreamBody, UpstreamError};
use tokio::sync::mpsc;

use super::account::Account;
use super::events::EventStream;
use crate::observe::Outcome;
use crate::record::Gathering;

/// An answer's body, with the account of its call.
#[derive(Debug)]
pub(crate) struct GatewayBody {
    kind: Kind,
    account: Option<Account>,
}

#[derive(Debug)]
enum Kind {
    /// Known as a whole.
    Full(Option<Bytes>),
    /// The upstream's bytes, as they are; those that were read ahead come first.
    Relayed(Bytes, Box<Relayed>),
    /// Events of an upstream.
    Events(Box<EventStream>),
    /// What a task of ours sends; it waits while the client does not read.
    Sent(mpsc::Receiver<Bytes>),
}

/// An upstream's body, and what gathers it for the record.
#[derive(Debug)]
struct Relayed {
    body: UpstreamBody,
    gathering: Option<Gathering>,
}

impl GatewayBody {
    pub(crate) fn empty() -> Self {
        Self { kind: Kind::Full(None), account: None }
    }

    pub(crate) fn full(bytes: Bytes) -> Self {
        Self { kind: Kind::Full(Some(bytes)), account: None }
    }

    pub(crate) fn relayed(begin: Bytes, rest: UpstreamBody) -> Self {
        Self { kind: Kind::Relayed(begin, Box::new(Relayed { body: rest, gathering: None })), account: None }
    }

    /// What passes is gathered for the record.
    pub(crate) fn gathered(mut self, gathering: Option<Gathering>) -> Self {
        if let Kind::Relayed(_, relayed) = &mut self.kind {
            relayed.gathering = gathering;
        }
        self
    }

    pub(crate) fn events(stream: EventStream) -> Self {
        Self { kind: Kind::Events(Box::new(stream)), account: None }
    }

    pub(crate) fn sent(receiver: mpsc::Receiver<Bytes>) -> Self {
        Self { kind: Kind::Sent(receiver), account: None }
    }

    /// Binds the call's account to the end of this body.
    pub(crate) fn with_account(mut self, account: Account) -> Self {
        self.account = Some(account);
        self
    }

    fn settle(&mut self, outcome: Outcome) {
        if let Some(account) = &mut self.account {
            account.settle(outcome);
        }
    }
}

impl Relayed {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(gathering) = &mut self.gathering {
            match &frame {
                Some(Ok(frame)) => frame.data_ref().into_iter().for_each(|data| gathering.push(data)),
                Some(Err(_)) => {}
                None => gathering.finish(),
            }
            // hyper asks no further once the declared length has come.
            if self.body.is_end_stream() {
                gathering.finish();
            }
        }
        Poll::Ready(frame)
    }
}

impl Body for GatewayBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let this = &mut *self;
        match &mut this.kind {
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Sent(receiver) => receiver.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Relayed(begin, _) if !begin.is_empty() => Poll::Ready(Some(Ok(Frame::data(std::mem::take(begin))))),
            Kind::Relayed(_, relayed) => {
                let frame = ready!(relayed.poll_frame(cx));
                match &frame {
                    None => this.settle(Outcome::Ok),
                    Some(Err(_)) => this.settle(Outcome::Failed),
                    Some(Ok(_)) => {}
                }
                Poll::Ready(frame)
            }
            Kind::Events(stream) => {
                let bytes = ready!(stream.poll_bytes(cx));
                if let Some(outcome) = stream.outcome() {
                    this.settle(outcome);
                }
                Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full(bytes) => bytes.is_none(),
            Kind::Relayed(begin, body) => begin.is_empty() && body.body.is_end_stream(),
            Kind::Events(_) | Kind::Sent(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Relayed(begin, body) => match body.body.size_hint().exact() {
                Some(rest) => SizeHint::with_exact(begin.len() as u64 + rest),
                None => SizeHint::default(),
            },
            Kind::Events(_) | Kind::Sent(_) => SizeHint::default(),
        }
    }
}
