//! Calls at a steady rate.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::{Client, Failure, within};

/// Every call of a load has ended this long after the last one began.
const END: Duration = Duration::from_secs(20);

/// One call of a load.
#[derive(Debug)]
pub struct Call {
    /// Its token: `load-` and a number.
    pub token: String,
    /// Which of the URLs it went to.
    pub plane: usize,
    /// From when it was sent to its end.
    pub took: Duration,
}

/// An open loop: a call goes out when it is due, whether or not the one before has been answered.
#[derive(Debug)]
pub struct Load {
    rate: u32,
    urls: Vec<String>,
    clients: Vec<Client>,
    sent: usize,
    calls: JoinSet<(Call, Result<String, Failure>)>,
}

impl Load {
    /// Calls of `clients` in turn, `rate` a second.
    pub fn new(rate: u32, urls: Vec<String>, clients: Vec<Client>) -> Self {
        Self { rate, urls, clients, sent: 0, calls: JoinSet::new() }
    }

    /// Sends `count` calls, to these of the URLs in turn.
    pub async fn run(&mut self, count: u32, planes: &[usize]) {
        let mut due = self.due();
        for _ in 0..count {
            due.tick().await;
            self.send(planes);
        }
    }

    /// Sends calls until `work` is done; its outcome.
    pub async fn run_during<T>(&mut self, planes: &[usize], work: impl Future<Output = T>) -> T {
        let mut due = self.due();
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = due.tick() => self.send(planes),
            }
        }
    }

    /// How every call ended, in the order of their ends.
    pub async fn outcomes(self) -> Vec<(Call, Result<String, Failure>)> {
        within("every call ends", END, self.calls.join_all()).await
    }

    fn due(&self) -> tokio::time::Interval {
        let mut due = tokio::time::interval(Duration::from_secs(1) / self.rate);
        due.set_missed_tick_behavior(MissedTickBehavior::Burst);
        due
    }

    fn send(&mut self, planes: &[usize]) {
        let mut call = Call {
            token: format!("load-{}", self.sent),
            plane: planes[self.sent % planes.len()],
            took: Duration::ZERO,
        };
        let client = self.clients[self.sent % self.clients.len()].at(&*self.urls[call.plane]);
        self.sent += 1;
        self.calls.spawn(async move {
            let sent = Instant::now();
            let answer = client.call_text("echo", json!({ "token": call.token })).await;
            call.took = sent.elapsed();
            (call, answer)
        });
    }
}
