//! Recorded traffic, as the control plane that a test plays tells it: by a script, and with a note of what it was asked.

use std::pin::Pin;

use shadowcat_proto::admin::v1 as admin;
use shadowcat_proto::admin::v1::tapes_server::Tapes;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use crate::fake::{ALL, Answer, CHANGING, Fake};
use crate::recorded;

/// Nothing has an id that begins so.
pub(crate) const ABSENT: &str = "absent";

/// What the server tells, and what it was asked.
#[derive(Default)]
pub(crate) struct Script {
    /// What a search tells; it ends there, with the last message or without.
    pub(crate) found: Vec<admin::SearchTapesResponse>,
    /// What a read tells, in the same way.
    pub(crate) records: Vec<admin::ReadTapesResponse>,
    /// What following tells; it goes on without a word after that, unless it breaks.
    pub(crate) tailed: Vec<admin::TailTapesResponse>,
    /// A search or a read goes on without a word after what it tells.
    pub(crate) endless: bool,
    /// The end of a stream, after what it tells.
    pub(crate) breaks: Option<Status>,
    /// Tapes that are on hold, and so are not deleted.
    pub(crate) held: Vec<String>,
    /// What was searched for, last.
    pub(crate) searched: Option<admin::SearchTapesRequest>,
    /// What was read, last.
    pub(crate) read: Option<admin::ReadTapesRequest>,
    /// What was listed, last.
    pub(crate) listed: Option<admin::ListTapesRequest>,
    /// What was followed, last.
    pub(crate) followed: Option<admin::TailTapesRequest>,
    /// What was to be deleted, each time.
    pub(crate) deleted: Vec<admin::DeleteTapesRequest>,
    /// What was to be held or released, each time.
    pub(crate) holds: Vec<admin::HoldTapesRequest>,
}

type Told<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A stream of what the script has, and the way it ends.
fn tell<T: Send + 'static>(told: Vec<T>, breaks: Option<Status>) -> impl Stream<Item = Result<T, Status>> + Send {
    let told: Vec<_> = told.into_iter().map(Ok).chain(breaks.map(Err)).collect();
    tokio_stream::iter(told)
}

#[tonic::async_trait]
impl Tapes for Fake {
    async fn list(&self, request: Request<admin::ListTapesRequest>) -> Answer<admin::ListTapesResponse> {
        let asked = self.admit(request, &ALL)?;
        let limit = asked.limit as usize;
        self.state().tapes.listed = Some(asked);
        let mut answer = recorded::tapes();
        answer.tapes.truncate(limit);
        Ok(Response::new(answer))
    }

    type SearchStream = Told<admin::SearchTapesResponse>;

    async fn search(&self, request: Request<admin::SearchTapesRequest>) -> Answer<Self::SearchStream> {
        let asked = self.admit(request, &ALL)?;
        let script = &mut self.state().tapes;
        script.searched = Some(asked);
        let told = tell(script.found.clone(), script.breaks.clone());
        Ok(Response::new(if script.endless { Box::pin(told.chain(tokio_stream::pending())) } else { Box::pin(told) }))
    }

    type ReadStream = Told<admin::ReadTapesResponse>;

    async fn read(&self, request: Request<admin::ReadTapesRequest>) -> Answer<Self::ReadStream> {
        let asked = self.admit(request, &ALL)?;
        let script = &mut self.state().tapes;
        script.read = Some(asked);
        let told = tell(script.records.clone(), script.breaks.clone());
        Ok(Response::new(if script.endless { Box::pin(told.chain(tokio_stream::pending())) } else { Box::pin(told) }))
    }

    type TailStream = Told<admin::TailTapesResponse>;

    async fn tail(&self, request: Request<admin::TailTapesRequest>) -> Answer<Self::TailStream> {
        let asked = self.admit(request, &ALL)?;
        let script = &mut self.state().tapes;
        script.followed = Some(asked);
        let told = tell(script.tailed.clone(), script.breaks.clone());
        Ok(Response::new(match script.breaks {
            Some(_) => Box::pin(told),
            None => Box::pin(told.chain(tokio_stream::pending())),
        }))
    }

    async fn delete(&self, request: Request<admin::DeleteTapesRequest>) -> Answer<admin::DeleteTapesResponse> {
        let asked = self.admit(request, &CHANGING)?;
        let script = &mut self.state().tapes;
        let ids = asked.selection.as_ref().map(|selection| selection.ids.clone()).unwrap_or_default();
        script.deleted.push(asked);
        if !ids.is_empty() && ids.iter().all(|id| id.starts_with(ABSENT)) {
            return Ok(Response::new(admin::DeleteTapesResponse::default()));
        }
        Ok(Response::new(admin::DeleteTapesResponse { frames: 1842, bytes: 3 << 20, held: script.held.clone() }))
    }

    async fn hold(&self, request: Request<admin::HoldTapesRequest>) -> Answer<admin::HoldTapesResponse> {
        let asked = self.admit(request, &CHANGING)?;
        // The first of them was held, or free, before.
        let changed = asked.tapes.iter().skip(1).cloned().collect();
        self.state().tapes.holds.push(asked);
        Ok(Response::new(admin::HoldTapesResponse { changed }))
    }

    async fn stats(&self, request: Request<admin::TapeStatsRequest>) -> Answer<admin::TapeStatsResponse> {
        self.admit(request, &ALL).map(|_| Response::new(recorded::stats()))
    }
}
