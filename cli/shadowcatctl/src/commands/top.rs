//! `top`: what calls come to now.
//!
//! On a terminal it is drawn anew until `q` or an interrupt, on a screen of its own, so that what was there before is there again.

use std::time::Duration;

use shadowcat_proto::admin::v1::TrafficRequest;
use tokio::signal::unix::SignalKind;

use super::Desk;
use super::interrupt::Interrupt;
use super::screen::Screen;
use crate::args::TopArgs;
use crate::connect::Client;
use crate::output::{Format, Page, View};
use crate::view::Top;
use crate::{Exit, Failure};

/// How often it is drawn: nodes tell what their calls come to every five seconds, each at a moment of its own.
const REDRAW_EVERY: Duration = Duration::from_secs(2);

/// Lines beside the rows: the sentence about all calls, an empty one, the headings, what is left out, and the one the cursor is on.
const OTHER_LINES: usize = 5;

pub(super) async fn run(desk: &Desk, args: TopArgs) -> Result<(), Failure> {
    let client = desk.client().await?;
    if args.once || desk.printer.format() != Format::Table || Screen::lines().is_none() {
        let top = ask(&client, args, args.limit).await?;
        return desk.printer.show(&top, &page(desk, &client));
    }
    let (mut interrupt, mut end) = (Interrupt::listen(), Interrupt::listen_to(SignalKind::terminate()));
    let mut screen = Screen::open()?;
    let quit = screen.quit();
    tokio::select! {
        ended = redraw(desk, &client, args, &mut screen) => ended,
        () = interrupt.comes() => Ok(()),
        () = end.comes() => Ok(()),
        () = quit => Ok(()),
    }
}

/// Draws until it fails. While the control plane is away, it says so.
async fn redraw(desk: &Desk, client: &Client, args: TopArgs, screen: &mut Screen) -> Result<(), Failure> {
    loop {
        let room = Screen::lines().map_or(1, |lines| lines.saturating_sub(OTHER_LINES).max(1));
        match ask(client, args, args.limit.min(u32::try_from(room).unwrap_or(u32::MAX))).await {
            Ok(top) => screen.draw(&top.text(&page(desk, client)))?,
            Err(failure) if failure.exit() == Exit::Unreachable => screen.draw(&failure.message())?,
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(REDRAW_EVERY).await;
    }
}

async fn ask(client: &Client, args: TopArgs, limit: u32) -> Result<Top, Failure> {
    let (by, window) = (args.by.into(), args.window.into());
    let mut request = TrafficRequest { fleet: client.fleet(), limit, ..TrafficRequest::default() };
    request.set_group_by(by);
    request.set_window(window);
    request.set_order(args.sort.into());
    let answer = client.call("show the traffic", client.fleets().traffic(request)).await?;
    Ok(Top { answer, by, window })
}

fn page(desk: &Desk, client: &Client) -> Page {
    desk.printer.page(&client.fleet(), client.server())
}
