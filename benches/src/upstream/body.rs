//! What an answer's body can be.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// The body of an answer.
pub(crate) enum AnswerBody {
    /// All at once, or nothing.
    Whole(Option<Bytes>),
    /// SSE events, each a chunk of its own as a server that streams would send it.
    Events {
        /// The events, end to end.
        text: Bytes,
        /// Where each of those not yet sent ends within what is left, last first.
        lengths: Vec<usize>,
    },
    /// A stream on which nothing ever happens.
    Silence,
}

impl AnswerBody {
    /// An event for each message.
    pub(super) fn events(messages: &[String]) -> Self {
        /// `data: ` before a message, and two line ends after it.
        const FRAME: usize = 8;
        let mut text = BytesMut::with_capacity(messages.iter().map(|message| message.len() + FRAME).sum());
        for message in messages {
            text.extend_from_slice(b"data: ");
            text.extend_from_slice(message.as_bytes());
            text.extend_from_slice(b"\n\n");
        }
        let lengths = messages.iter().rev().map(|message| message.len() + FRAME).collect();
        Self::Events { text: text.freeze(), lengths }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match &mut *self {
            Self::Whole(body) => body.take(),
            Self::Events { text, lengths } => lengths.pop().map(|length| text.split_to(length)),
            // No waker is kept: hyper drops the body when the client is gone, and nothing else ends it.
            Self::Silence => return Poll::Pending,
        };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Self::Events { .. } | Self::Silence => SizeHint::default(),
        }
    }
}
