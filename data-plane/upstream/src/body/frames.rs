//! A body fed frame by frame through a bounded channel.

use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::idle::Idle;
use crate::{Stage, UpstreamError, Why};

/// Feeds an [`UpstreamBody`](crate::UpstreamBody). The body ends when every clone is dropped.
#[derive(Debug, Clone)]
pub struct FrameSender {
    frames: mpsc::Sender<Bytes>,
    failure: Arc<OnceLock<UpstreamError>>,
}

/// Why a frame was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The body holds as many frames as it may; its reader is slow.
    #[error("the body is full")]
    Full,
    /// The body was dropped.
    #[error("the body is gone")]
    Closed,
}

impl FrameSender {
    /// Hands over a frame, waiting while the body is full: this is the backpressure of a slow reader.
    ///
    /// # Errors
    /// [`SendError::Closed`] once the body was dropped.
    pub async fn send(&self, frame: Bytes) -> Result<(), SendError> {
        self.frames.send(frame).await.map_err(|_| SendError::Closed)
    }

    /// Hands over a frame unless the body is full.
    ///
    /// # Errors
    /// [`SendError::Full`] or [`SendError::Closed`]; the frame is lost.
    pub fn try_send(&self, frame: Bytes) -> Result<(), SendError> {
        self.frames.try_send(frame).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Closed,
        })
    }

    /// Ends the body with `error`, after the frames it still holds. The first failure of all clones counts.
    pub fn fail(self, error: UpstreamError) {
        // A second failure tells the reader nothing new.
        let _ = self.failure.set(error);
    }

    /// True once the body was dropped.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.frames.is_closed()
    }

    /// Returns once the body was dropped.
    pub async fn closed(&self) {
        self.frames.closed().await;
    }
}

/// The reading end.
pub(super) struct Frames {
    upstream: Arc<str>,
    frames: mpsc::Receiver<Bytes>,
    failure: Arc<OnceLock<UpstreamError>>,
    failed: bool,
    idle: Idle,
    /// What the body holds on to until it is dropped, such as a child that serves nobody else meanwhile.
    lease: Option<Box<dyn Send + Sync>>,
}

impl Frames {
    pub(super) fn idle_mut(&mut self) -> &mut Idle {
        &mut self.idle
    }

    pub(super) fn new(upstream: Arc<str>, capacity: usize, idle: Idle) -> (FrameSender, Self) {
        let (sender, frames) = mpsc::channel(capacity);
        let failure = Arc::new(OnceLock::new());
        let sender = FrameSender { frames: sender, failure: Arc::clone(&failure) };
        (sender, Self { upstream, frames, failure, failed: false, idle, lease: None })
    }

    pub(super) fn hold(&mut self, lease: Box<dyn Send + Sync>) {
        self.lease = Some(lease);
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UpstreamError>>> {
        match self.frames.poll_recv(cx) {
            Poll::Ready(Some(frame)) => {
                self.idle.touch();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => Poll::Ready(self.failure().map(Err)),
            Poll::Pending => self.idle.poll_expired(cx).map(|limit| {
                self.frames.close();
                self.failed = true;
                let detail = format!("sent nothing for {limit:?} in the middle of an answer");
                Some(Err(UpstreamError::sent(&self.upstream, Stage::Body, Why::TimedOut, detail)))
            }),
        }
    }

    pub(super) fn is_end(&self) -> bool {
        self.frames.is_closed() && self.frames.is_empty() && (self.failed || self.failure.get().is_none())
    }

    /// The failure, once.
    fn failure(&mut self) -> Option<UpstreamError> {
        if self.failed {
            return None;
        }
        self.failed = true;
        self.failure.get().cloned()
    }
}
