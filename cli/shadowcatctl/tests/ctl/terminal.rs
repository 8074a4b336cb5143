//! What is otherwise where somebody looks: at a terminal that the test holds.

use std::fs::File;
use std::io::{Read, Write};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::process::{Child, Command};

use crate::conversations;
use crate::fake::{EDITOR, Fake};
use crate::recorded;
use crate::showing::has;

/// Columns of the terminal.
const COLUMNS: u16 = 60;

/// The program at a terminal of its own.
struct Terminal {
    held: File,
    child: Child,
}

async fn at_terminal(fake: &Fake, arguments: &[&str]) -> Terminal {
    let url = fake.serve().await;
    let held = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&held).expect("ours");
    unlockpt(&held).expect("ours");
    let name = ptsname(&held, Vec::new()).expect("a name");
    let given = open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other end");
    tcsetwinsize(&given, Winsize { ws_row: 24, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 }).expect("a size");
    let end = || given.try_clone().expect("another one");
    let child = Command::new(env!("CARGO_BIN_EXE_shadowcatctl"))
        .args(["--server", &url, "--token", EDITOR])
        .args(arguments)
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    Terminal { held: File::from(held), child }
}

impl Terminal {
    /// What is shown up to `end`, or until the program ends.
    async fn until(&self, end: &'static str) -> String {
        let mut held = self.held.try_clone().expect("another one");
        let reading = move || {
            let mut shown = Vec::new();
            let mut some = [0; 4096];
            let mut looked = 0;
            while !String::from_utf8_lossy(&shown[looked..]).contains(end) {
                // It may be cut between two reads.
                looked = shown.len().saturating_sub(end.len());
                match held.read(&mut some) {
                    Ok(0) | Err(_) => break,
                    Ok(number) => shown.extend_from_slice(&some[..number]),
                }
            }
            String::from_utf8(shown).expect("UTF-8")
        };
        tokio::task::spawn_blocking(reading).await.expect("read")
    }

    async fn code(&mut self) -> Option<i32> {
        self.child.wait().await.expect("it ends").code()
    }
}

#[tokio::test]
async fn rows_and_progress_are_seen_while_a_search_goes_on() {
    let fake = Fake::new();
    let call = |name: &str| recorded::found(recorded::ended(4, name, "ok"));
    fake.state().tapes.found = vec![call("first"), recorded::searching(900), call("second")];
    fake.state().tapes.endless = true;
    let terminal = at_terminal(&fake, &["tapes", "search"]).await;
    let shown = terminal.until("tools/call second").await;
    let (row, progress) = (shown.find("tools/call first"), shown.find("900 frames looked at, 3 of 12 segments"));
    assert!(row.is_some() && row < progress, "{shown:?}");
    assert!(shown.contains("\u{1b}[2mTIME\u{1b}[0m"), "headings: {shown:?}");
}

#[tokio::test]
async fn a_conversation_has_the_width_and_the_colours_of_the_terminal() {
    let mut terminal = at_terminal(&has(conversations::conversation()), &["tapes", "show", "kX3vQ9aZ"]).await;
    let shown = terminal.until("stopped in order --").await;
    assert_eq!(terminal.code().await, Some(0));
    assert!(shown.contains("\u{1b}[31mtool_error\u{1b}[0m"), "{shown:?}");
    let bodies = shown.lines().filter(|line| line.starts_with(' '));
    let widest = bodies.map(|line| line.trim_end().chars().count()).max();
    assert!(widest.is_some_and(|widest| widest <= usize::from(COLUMNS)), "{shown}");
}

#[tokio::test]
async fn recorded_escape_sequences_stay_escaped_at_a_terminal() {
    for flags in [&["--frames"][..], &["--raw"], &["-o", "json"], &["-o", "yaml"]] {
        let fake = has(conversations::hostile());
        let mut terminal = at_terminal(&fake, &[&["tapes", "show", "kX3vQ9aZ"], flags].concat()).await;
        let shown = terminal.until("no such end").await;
        assert_eq!(terminal.code().await, Some(0), "{flags:?}");
        assert!(shown.len() > 1_000, "{shown}");
        // What the program itself says are its colours, which are few and short.
        let own = ["\u{1b}[0m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m"];
        let rest = own.iter().fold(shown, |shown, colour| shown.replace(colour, ""));
        for driving in ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\u{2069}', '\u{e0041}'] {
            assert!(!rest.contains(driving), "{flags:?}: {driving:?}");
        }
    }
}

#[tokio::test]
async fn deleting_asks_and_takes_only_a_yes_for_one() {
    for (answer, code, deleted) in [("y\n", 0, 2), ("n\n", 1, 1), ("\n", 1, 1)] {
        let fake = Fake::new();
        let mut terminal = at_terminal(&fake, &["tapes", "delete", "a"]).await;
        let asked = terminal.until("[y/N]").await;
        assert!(asked.contains("1842 frames of 3.0Mi would be deleted; delete it for good?"), "{asked:?}");
        terminal.held.write_all(answer.as_bytes()).expect("typed");
        assert_eq!(terminal.code().await, Some(code), "{answer:?}");
        let requests = fake.state().tapes.deleted.clone();
        assert_eq!((requests.len(), requests[0].dry_run), (deleted, true), "{answer:?}");
    }
}

#[tokio::test]
async fn top_is_drawn_anew_on_a_screen_of_its_own_until_somebody_quits() {
    let fake = Fake::new();
    let mut terminal = at_terminal(&fake, &["top", "--by", "tool"]).await;
    let shown = terminal.until("see --limit").await;
    let (entered, row) = (shown.find("\u{1b}[?1049h"), shown.find("tools/call sear"));
    assert!(entered.is_some() && entered < row, "{shown:?}");
    assert!(!shown.contains("\u{1b}[2J"), "a name drives the terminal: {shown:?}");
    let again = terminal.until("see --limit").await;
    assert!(again.contains("\u{1b}[H") && again.contains("tools/call sear"), "{again:?}");
    terminal.held.write_all(b"xq").expect("typed");
    let left = terminal.until("\u{1b}[?1049l").await;
    assert!(left.contains("\u{1b}[?25h"), "the cursor is back: {left:?}");
    assert_eq!(terminal.code().await, Some(0));
    assert!(fake.state().traffic.iter().all(|asked| asked.limit == 19), "24 lines have room for so many rows");
}

#[tokio::test]
async fn top_ends_in_order_when_it_is_interrupted() {
    for signal in ["-INT", "-TERM"] {
        let mut terminal = at_terminal(&Fake::new(), &["top"]).await;
        terminal.until("see --limit").await;
        let process = terminal.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([signal, &process]).status().await.expect("kill runs");
        assert!(sent.success());
        terminal.until("\u{1b}[?1049l").await;
        assert_eq!(terminal.code().await, Some(0), "{signal}");
    }
}
