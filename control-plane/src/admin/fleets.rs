//! The fleet as a whole, and the record of who changed it.

use std::collections::BTreeSet;
use std::sync::Arc;

use shadowcat_proto::admin::v1::audit_record::Outcome;
use shadowcat_proto::admin::v1::fleets_server::Fleets;
use shadowcat_proto::admin::v1::traffic_request::{GroupBy, Order, Window};
use shadowcat_proto::admin::v1::{
    AuditRecord, ListAuditRequest, ListAuditResponse, ListFleetsRequest, ListFleetsResponse, Rejection, StatusRequest,
    StatusResponse, TrafficRequest, TrafficResponse, Upstream, node,
};
use tonic::{Request, Response, Status};

use super::answer::{timestamp, version};
use super::{Admin, fleet_of, page, refused};
use crate::fleet::hub::Replicas;
use crate::store;
use crate::traffic::Sums;
use crate::traffic::rows::Overview;

/// Rows of traffic unless asked otherwise.
const ROWS_DEFAULT: u32 = 50;

/// Tools with errors that a status names: more are for whoever asks for them.
const FAILING_MAX: usize = 3;

/// Audit records of a page unless asked otherwise.
const PAGE_DEFAULT: u32 = 50;

#[tonic::async_trait]
impl Fleets for Admin {
    async fn list(&self, _: Request<ListFleetsRequest>) -> Result<Response<ListFleetsResponse>, Status> {
        let live: BTreeSet<String> = self.hub.fleets().iter().map(|fleet| fleet.name.clone()).collect();
        let kept = match self.store.fleets().await {
            Ok(kept) => kept,
            Err(error) if live.is_empty() => return Err(refused(error)),
            Err(_) => Vec::new(),
        };
        Ok(Response::new(ListFleetsResponse {
            fleets: live.into_iter().chain(kept).collect::<BTreeSet<_>>().into_iter().collect(),
        }))
    }

    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let request = request.into_inner();
        let name = fleet_of(&request.fleet)?;
        let fleet = self.hub.known(name);
        let head = fleet.as_ref().and_then(|fleet| fleet.head());
        let number = head.as_ref().map(|head| head.version.number);
        let mut told = StatusResponse {
            current: head.as_ref().map(|head| version(self.hub.epoch(), &head.version)),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            ..StatusResponse::default()
        };
        // While the database is gone, what is connected here is all there is to say.
        for node in
            self.nodes_of(name).await.or_else(|error| self.store.health().map_or(Ok(Vec::new()), |()| Err(error)))?
        {
            match node.state() {
                node::State::Away | node::State::Unknown => told.away += 1,
                node::State::Connected | node::State::Draining | node::State::Ahead => told.connected += 1,
            }
            let runs = node.version.as_ref().map(|version| version.number);
            told.current_nodes += u32::from(runs.is_some() && runs == number);
            if let Some(refusal) = node.refusal.filter(|refusal| refusal.r#ref.as_ref().map(|r| r.number) == number) {
                told.rejections.push(Rejection { node: node.name, errors: refusal.errors });
            }
        }
        if let Some(fleet) = fleet.filter(|_| head.is_some()) {
            let failing = |upstream: &Upstream| {
                upstream.nodes.iter().any(|node| node.health.as_ref().is_some_and(|health| !health.reachable))
            };
            told.unreachable = self.upstreams_of(&fleet).await?;
            told.unreachable.retain(failing);
        }
        let sums = self.traffic_of(name, Window::OneMinute).await?;
        let traffic = Overview::new(&sums);
        told.traffic = Some(traffic.total());
        told.failing = traffic.rows(GroupBy::Tool, Order::Errors, FAILING_MAX).rows;
        told.failing.retain(|row| row.errors > 0);
        told.stale_since = self.store.health().err().map(timestamp);
        Ok(Response::new(told))
    }

    async fn traffic(&self, request: Request<TrafficRequest>) -> Result<Response<TrafficResponse>, Status> {
        let request = request.into_inner();
        let sums = self.traffic_of(fleet_of(&request.fleet)?, request.window()).await?;
        let limit = page(request.limit, ROWS_DEFAULT) as usize;
        Ok(Response::new(Overview::new(&sums).rows(request.group_by(), request.order(), limit)))
    }

    async fn list_audit(&self, request: Request<ListAuditRequest>) -> Result<Response<ListAuditResponse>, Status> {
        let ListAuditRequest { fleet, limit, before } = request.into_inner();
        let limit = page(limit, PAGE_DEFAULT);
        let records = self.store.audit(fleet_of(&fleet)?, before, limit).await.map_err(refused)?;
        let last = records.last().filter(|_| records.len() >= limit as usize);
        let next_before = last.map_or(0, |record| record.sequence);
        Ok(Response::new(ListAuditResponse { records: records.into_iter().map(record).collect(), next_before }))
    }
}

impl Admin {
    /// What a window of a fleet came to: at this replica, and at the others as they told last. Without the database only the former can
    /// be said.
    async fn traffic_of(&self, fleet: &str, window: Window) -> Result<Vec<Sums>, Status> {
        let (traffic, name) = (Arc::clone(&self.tapes.traffic), fleet.to_owned());
        let here = self.aside.run(move || Ok(traffic.sums(&name, window))).await?;
        let mut sums = vec![here];
        if self.hub.replicas() == Replicas::Several {
            sums.extend(self.tapes.traffic.of_others(self.store.as_ref(), fleet, window).await.unwrap_or_default());
        }
        Ok(sums)
    }
}

fn record(kept: store::AuditRecord) -> AuditRecord {
    let outcome = match kept.outcome {
        store::Outcome::Done => Outcome::Done,
        store::Outcome::Denied => Outcome::Denied,
    };
    AuditRecord {
        sequence: kept.sequence,
        at: Some(timestamp(kept.at)),
        actor: kept.actor.name,
        address: kept.actor.address,
        verb: kept.actor.verb,
        resource: kept.actor.resource,
        outcome: outcome.into(),
        reason: kept.reason,
    }
}
