//! Every table, and the same as JSON and YAML.

use shadowcat_proto::admin::v1 as admin;
use shadowcat_proto::admin::v1::traffic_request::{GroupBy, Window};
use shadowcatctl_cli::context::{Context, Contexts};
use shadowcatctl_cli::output::{Format, Now, Page, Paint, View, render};
use shadowcatctl_cli::view::{
    Blobs, Columns, ContextList, ContextShown, Conversation, FoundFrames, FrameRows, Layout, Recorded, Routes, Said,
    Top, Upstreams,
};

use crate::answers::{self, NOW};
use crate::conversations;
use crate::golden::Golden;
use crate::recorded;

fn page(paint: Paint) -> Page {
    Page { paint, now: Now(NOW), width: 100, fleet: "default".to_owned(), server: "http://127.0.0.1:7070".to_owned() }
}

impl Golden {
    /// One answer in every format.
    fn view<V: View>(&mut self, name: &str, view: &V) {
        let mut text = String::new();
        for (option, format) in
            [("table", Format::Table), ("json", Format::Json), ("jsonl", Format::Jsonl), ("yaml", Format::Yaml)]
        {
            let rendered = render(view, format, &page(Paint::Plain)).expect("can be said");
            text.push_str(&format!("$ -o {option}\n{rendered}\n"));
        }
        self.compare(name, &text);
    }
}

#[test]
fn every_answer_is_shown_as_it_was() {
    let mut golden = Golden::new("view");
    golden.view("apply", &answers::applied());
    golden.view("apply-unchanged", &admin::ApplyResponse { changed: false, changes: Vec::new(), ..answers::applied() });
    golden.view("audit", &answers::audit());
    golden.view("diff", &admin::DiffResponse { changes: answers::changes() });
    golden.view("diff-none", &admin::DiffResponse::default());
    golden.view("history", &answers::history());
    golden.view("history-none", &admin::HistoryResponse::default());
    golden.view("nodes", &answers::nodes());
    golden.view("nodes-none", &admin::ListNodesResponse::default());
    golden.view("node", &answers::node());
    let sentence = "edge-1 drains, and stops within 30 s".to_owned();
    golden.view("node-drain", &Said { answer: admin::DrainNodeResponse { grace_ms: 30_000 }, sentence });
    golden.view("node-token", &answers::token());
    golden.view("plan", &answers::plan());
    golden.view("plan-first", &admin::PlanResponse { current: None, ..answers::plan() });
    golden.view("plan-none", &admin::PlanResponse { changes: Vec::new(), ..answers::plan() });
    golden.view("progress", &answers::progress(1, vec![answers::rejection("edge-1")]));
    golden.view("progress-nobody", &admin::Progress { number: 12, done: true, ..admin::Progress::default() });
    golden.view("progress-superseded", &admin::Progress { superseded_by: 13, ..answers::progress(2, Vec::new()) });
    golden.view("routes", &Routes { routes: answers::upstreams().routes });
    golden.view("sessions", &answers::sessions());
    golden.view("session", &answers::session("kX3v"));
    golden.view("sessions-ended", &admin::EndSessionsResponse { count: 2, silent: vec!["edge-2".to_owned()] });
    golden.view("show", &answers::shown());
    golden.view("status", &answers::status());
    let well = admin::StatusResponse {
        connected: 3,
        current_nodes: 3,
        away: 0,
        build: "0.1.0".to_owned(),
        traffic: Some(admin::TrafficRow::default()),
        ..Default::default()
    };
    golden.view("status-new", &well);
    let top = |answer, by| Top { answer, by, window: Window::OneMinute };
    for (name, by) in [("top-tools", GroupBy::Tool), ("top-nodes", GroupBy::Node)] {
        golden.view(name, &top(answers::traffic(by), by));
    }
    golden.view("top-none", &top(admin::TrafficResponse::default(), GroupBy::Route));
    golden.view("upstreams", &Upstreams { upstreams: answers::upstreams().upstreams });
    golden.view("upstream", &answers::upstream());
    golden.view("tapes-list", &recorded::tapes());
    golden.view("tapes-list-none", &admin::ListTapesResponse::default());
    golden.view("tapes-stats", &recorded::stats());
    golden.view("tapes-stats-none", &admin::TapeStatsResponse::default());
    let found = FoundFrames { frames: recorded::calls(), next: "c2".to_owned(), remark: "cut".to_owned() };
    golden.view("tapes-search", &found);
    for (name, columns) in [("tapes-search-live", Columns::Found), ("tapes-tail", Columns::Followed)] {
        let mut rows = FrameRows::new(columns);
        let live: String = recorded::calls().iter().map(|frame| rows.line(frame, &page(Paint::Colour))).collect();
        golden.compare(name, &live);
    }
    for (name, layout) in [("tapes-show", Layout::Operations), ("tapes-show-frames", Layout::Frames)] {
        let conversation = conversation(conversations::conversation(), layout);
        let shown = |paint| render(&conversation, Format::Table, &page(paint)).expect("text");
        golden.compare(name, &shown(Paint::Plain));
        golden.compare(&format!("{name}-coloured"), &shown(Paint::Colour));
    }
    let contexts = contexts();
    golden.view("contexts", &ContextList::from(&contexts));
    golden.view("context", &ContextShown::of(&contexts.contexts[1], contexts.current.as_deref()));
    golden.compare("nodes-coloured", &render(&answers::nodes(), Format::Table, &page(Paint::Colour)).expect("a table"));
    golden.finish();
}

fn conversation(records: Vec<admin::TapeRecord>, layout: Layout) -> Conversation {
    let recorded = |record: admin::TapeRecord| Recorded { frame: record.frame.unwrap_or_default(), line: record.line };
    let records = records.into_iter().map(recorded).collect();
    Conversation { records, blobs: Blobs::new(), cure: "`tapes export`", layout }
}

fn contexts() -> Contexts {
    let local = Context {
        name: "local".to_owned(),
        server: "http://127.0.0.1:7070".to_owned(),
        token: Some("shadowcat_secret".to_owned()),
        fleet: None,
        ca: None,
    };
    let remote = Context {
        name: "production".to_owned(),
        server: "https://control.example.com:7070".to_owned(),
        token: None,
        fleet: Some("edge".to_owned()),
        ca: Some("ab".repeat(32).parse().expect("a fingerprint")),
    };
    Contexts { current: Some("local".to_owned()), contexts: vec![local, remote] }
}

#[test]
fn what_show_prints_can_be_applied_again() {
    let text = render(&answers::shown(), Format::Table, &page(Paint::Plain)).expect("a file");
    let again = shadowcat_config::parse_fleet(&[("-".to_owned(), text)]).expect("valid");
    assert_eq!(Some(again.config()), answers::shown().config.as_ref());
}

#[test]
fn text_of_others_cannot_drive_the_terminal() {
    let mut history = answers::history();
    history.versions[0].message = "\u{1b}]0;gotcha\u{7}\nspoof".to_owned();
    let text = render(&history, Format::Table, &page(Paint::Plain)).expect("a table");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
    assert_eq!(text.lines().count(), 5, "{text}");
}
