//! The bound on silence between two frames.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// How long a body may be silent.
///
/// Written for the case that nothing ever expires: a frame costs one store and no look at the clock; the timer is armed
/// when a body is first waited for and moved only when it fires too early. It is boxed because most bodies never wait.
#[derive(Debug)]
pub(crate) struct Idle {
    limit: Option<Duration>,
    /// When the present silence was first noticed; absent while frames come.
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Idle {
    /// Silence is an error after `limit`.
    pub(crate) fn after(limit: Duration) -> Self {
        Self { limit: Some(limit), since: None, timer: None }
    }

    /// Silence is no error: nobody waits for an answer.
    pub(crate) fn never() -> Self {
        Self { limit: None, since: None, timer: None }
    }

    /// Shortens the limit; a body that may be silent for ever stays so.
    pub(crate) fn shorten(&mut self, limit: Duration) {
        self.limit = self.limit.map(|own| own.min(limit));
    }

    /// A frame came.
    pub(crate) fn touch(&mut self) {
        self.since = None;
    }

    /// To be polled when no frame is there; ready, with the limit, once the silence has lasted that long.
    pub(crate) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let Some(limit) = self.limit else {
            return Poll::Pending;
        };
        let since = *self.since.get_or_insert_with(Instant::now);
        let deadline = since + limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                return Poll::Ready(limit);
            }
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::time::{Instant, advance, timeout};

    use super::Idle;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn silence_expires_after_the_limit() {
        let mut idle = Idle::after(LIMIT);
        let since = Instant::now();
        poll_fn(|cx| idle.poll_expired(cx)).await;
        assert_eq!(since.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_starts_the_silence_anew() {
        let mut idle = Idle::after(LIMIT);
        assert!(timeout(LIMIT / 2, poll_fn(|cx| idle.poll_expired(cx))).await.is_err());
        idle.touch();
        advance(LIMIT / 4).await;
        let since = Instant::now();
        poll_fn(|cx| idle.poll_expired(cx)).await;
        assert_eq!(since.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_without_a_limit_never_expires() {
        let mut idle = Idle::never();
        assert!(timeout(LIMIT * 1_000, poll_fn(|cx| idle.poll_expired(cx))).await.is_err());
    }
}
