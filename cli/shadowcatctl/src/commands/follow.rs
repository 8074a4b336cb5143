//! A version on its way to the nodes.

use std::time::Duration;

use shadowcat_proto::admin::v1::{Progress, WatchRequest};
use tonic::Status;

use super::Desk;
use super::line::Line;
use crate::connect::Client;
use crate::output::{Format, count};
use crate::view::{progress, rejection};
use crate::{Exit, Failure};

/// How long a version is followed. A control plane gives a node 60 s before it lets it go, so this is the time for five of them,
/// one after the other, to fail.
const FOLLOW_FOR: Duration = Duration::from_secs(300);

/// Shows the progress of a version until every connected node has answered.
///
/// A failure here is told apart from that of the commit, which was done.
pub(super) async fn run(desk: &Desk, client: &Client, number: u64) -> Result<(), Failure> {
    let mut line = Line::new(desk.printer.format());
    let followed = tokio::time::timeout(FOLLOW_FOR, to_the_end(desk, client, number, &mut line)).await;
    line.clear();
    let last = match followed {
        Ok(Ok(last)) => last,
        Ok(Err(Stopped::Output(failure))) => return Err(failure),
        Ok(Err(Stopped::Call(status))) => {
            let why = client.failure("follow it to the nodes", &status);
            let text = format!("version {number} is committed, but {why}; see `shadowcatctl status` for how far it is");
            return Err(Failure::new(why.exit(), text));
        }
        Err(_) => {
            let text = format!(
                "version {number} is committed, but not every node answered within {} s; see `shadowcatctl nodes list`",
                FOLLOW_FOR.as_secs()
            );
            return Err(Failure::failed(text));
        }
    };
    conclude(desk, &last)
}

/// Why following ended before the version did.
enum Stopped {
    Call(Status),
    Output(Failure),
}

async fn to_the_end(desk: &Desk, client: &Client, number: u64, line: &mut Line) -> Result<Progress, Stopped> {
    let request = WatchRequest { fleet: client.fleet(), number };
    let mut stream = client.try_call(client.configurations().watch(request)).await.map_err(Stopped::Call)?;
    let mut last = None;
    while let Some(told) = stream.message().await.map_err(Stopped::Call)? {
        line.draw(&progress(&told));
        if desk.printer.format() == Format::Jsonl {
            let page = desk.printer.page(&client.fleet(), client.server());
            desk.printer.show(&told, &page).map_err(Stopped::Output)?;
        }
        let done = told.done;
        last = Some(told);
        if done {
            break;
        }
    }
    match last {
        Some(last) if last.done => Ok(last),
        _ => {
            Err(Stopped::Call(Status::unavailable("the control plane ended the watch before every node had answered")))
        }
    }
}

/// The last word: how far it came, and which nodes refused.
fn conclude(desk: &Desk, last: &Progress) -> Result<(), Failure> {
    desk.printer.say(&progress(last))?;
    if last.rejections.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = last.rejections.iter().flat_map(rejection).collect();
    let refused = count(last.rejections.len() as u64, "node");
    let text = format!(
        "version {} was rejected by {refused}, which run what they ran before; correct it, or `shadowcatctl rollback`",
        last.number
    );
    Err(Failure::new(Exit::Rejected, text).with_report(lines.join("\n")))
}
