//! Recorded traffic as the tests find it: a tape and a spool of the same two sessions, made with the crate that makes them anywhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shadowcat_tape::line::{Message, encode, encode_message};
use shadowcat_tape::record::{BlobRef, Direction, Gap, Head, Kind, Outcome, Record};
use shadowcat_tape::spool::{Now, Shelf, Spool, SpoolSettings, Writer};
use shadowcat_tape::tape::{TapeSettings, TapeWriter};
use tempfile::TempDir;

/// When the recordings began: nanoseconds since 1970.
pub(crate) const WALL: u64 = 1_800_000_000_000_000_000;

/// The boot that recorded everything here.
pub(crate) const INSTANCE: &str = "3f9a21c0d4e5f60718293a4b5c6d7e8f";

/// The session that was heard last, and the one before it.
pub(crate) const LATEST: &str = "kX3vQ9aZ";
pub(crate) const EARLIER: &str = "Zp0qW8bY";

/// Plain bytes of a segment: a few records, so that some are sealed.
const SEAL_BYTES: usize = 2 * 1024;

/// A message that is kept apart.
pub(crate) fn image() -> String {
    let data = "iVBORw0KGgo".repeat(8_000);
    format!(
        r#"{{"jsonrpc":"2.0","id":9,"result":{{"content":[{{"type":"image","data":"{data}","mimeType":"image/png"}}]}}}}"#
    )
}

/// A record and its message.
pub(crate) struct Said {
    pub(crate) record: Record<'static>,
    pub(crate) message: Option<String>,
}

fn call(seq: u64, session: &'static str, tool: &'static str) -> Said {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":{seq},"method":"tools/call","params":{{"name":"{tool}","arguments":{{"query":"refund {seq}"}}}}}}"#
    );
    let record = Record { dir: Some(Direction::C2s), ..about(seq, session, tool) };
    Said { record, message: Some(body) }
}

fn answer(request: u64, session: &'static str, outcome: Outcome) -> Said {
    let is_error = outcome == Outcome::ToolError;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":{request},"result":{{"content":[{{"type":"text","text":"two of {request} found"}}],"isError":{is_error}}}}}"#
    );
    let about = about(request + 1, session, "search");
    let record = Record {
        dir: Some(Direction::S2c),
        re: Some(request),
        op: Some(request),
        lat: Some(12_300),
        out: Some(outcome),
        ..about
    };
    Said { record: Record { sz: Some(body.len() as u64), ..record }, message: Some(body) }
}

fn about(seq: u64, session: &'static str, tool: &'static str) -> Record<'static> {
    Record {
        seq,
        t: seq * 250_000,
        tape: Some(session.into()),
        session: Some(session.into()),
        m: Some("tools/call".into()),
        name: Some(tool.into()),
        route: Some("workbench".into()),
        upstream: Some("everything".into()),
        era: Some("2025-11-25".into()),
        sz: Some(100),
        ..Record::default()
    }
}

/// Two sessions, ten calls: one went wrong, and one brought an image. The places of a spool's own records are left out.
pub(crate) fn said() -> Vec<Said> {
    let mut said = Vec::new();
    for round in 0..10_u64 {
        let session = if round % 2 == 0 { EARLIER } else { LATEST };
        let outcome = if round == 3 { Outcome::ToolError } else { Outcome::Ok };
        let request = 2 * round + 2;
        said.extend([call(request, session, "search"), answer(request, session, outcome)]);
    }
    if let Some(last) = said.last_mut() {
        last.message = Some(image());
        last.record.sz = Some(image().len() as u64);
    }
    said
}

/// The head of a recording of this format.
pub(crate) fn head(format: (u32, u32)) -> Vec<u8> {
    let head = Head {
        format,
        instance: INSTANCE.into(),
        segment: 1,
        node: "edge-1".into(),
        created_by: "shadowcat 0.1.0".into(),
        clock: WALL,
        redaction_key: "00112233".into(),
        critical: Vec::new(),
    };
    line(&Record { k: Kind::Head, seq: 1, head: Some(head), ..Record::default() })
}

pub(crate) fn line(record: &Record<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    encode(record, &mut line);
    line
}

/// A directory for a test, and what it puts there.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a directory"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `<name>.tape`, whole, with a gap that the recording tells.
    pub(crate) fn tape(&self, name: &str) -> PathBuf {
        let (path, mut writer) = self.tape_of_calls(name);
        let gap = Some(Gap { why: "queue_full".into(), frames: Some(3), ..Gap::default() });
        let told = Record { k: Kind::Gap, seq: 22, t: 5_500_000, gap, ..Record::default() };
        writer.append(&line(&told)).expect("written");
        writer.finish().expect("finished");
        path
    }

    /// The same, as it is while it is written, or when its writer died.
    pub(crate) fn open_tape(&self, name: &str) -> PathBuf {
        let (path, mut writer) = self.tape_of_calls(name);
        writer.flush().expect("written");
        path
    }

    fn tape_of_calls(&self, name: &str) -> (PathBuf, TapeWriter) {
        let path = self.join(&format!("{name}.tape"));
        let settings = TapeSettings { roll_bytes: SEAL_BYTES, ..TapeSettings::default() };
        let mut writer = TapeWriter::create(&path, settings).expect("a tape");
        writer.append(&head((1, 0))).expect("written");
        for Said { mut record, message } in said() {
            let message = message.expect("said");
            let mut line = Vec::new();
            if message.len() > 10_000 {
                let hash = writer.add_blob(message.as_bytes()).expect("written");
                record.blob = Some(BlobRef { hash: hash.into(), bytes: message.len() as u64 });
                encode(&record, &mut line);
            } else {
                encode_message(&record, Message::of(message.as_bytes()), &mut line);
            }
            writer.append(&line).expect("written");
        }
        (path, writer)
    }

    /// A spool under this name, whose node runs until what is returned goes.
    pub(crate) fn spool(&self, name: &str) -> Node {
        let mut settings = SpoolSettings::new(self.join(name), INSTANCE.to_owned());
        settings.node = "local".to_owned();
        settings.seal_bytes = SEAL_BYTES;
        let (writer, shelf, _) = Spool::open(settings, now(0)).expect("a spool");
        let mut node = Node { path: self.join(name), writer, shelf, last: 0 };
        for Said { record, message } in said() {
            // The spool numbers records, and answers follow their requests here.
            let asked = record.re.map(|_| node.last);
            node.append(Record { re: asked, op: asked, ..record }, message.as_deref());
        }
        node
    }
}

/// A node that records.
pub(crate) struct Node {
    pub(crate) path: PathBuf,
    pub(crate) shelf: Arc<Shelf>,
    writer: Writer,
    last: u64,
}

impl Node {
    pub(crate) fn append(&mut self, record: Record<'_>, message: Option<&str>) {
        self.writer.tick(now(record.t));
        self.last = self.writer.append(record, message.map(|message| Message::of(message.as_bytes())));
        self.writer.flush();
    }

    /// The node stops in order.
    pub(crate) fn stop(self) -> PathBuf {
        self.writer.end();
        self.path
    }

    /// The node is killed.
    pub(crate) fn die(self) -> PathBuf {
        self.path
    }
}

/// So many microseconds after the beginning.
fn now(micros: u64) -> Now {
    Now { at: Duration::from_micros(micros), wall: WALL + micros * 1_000 }
}

/// The names of files in a directory, in order.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let listed = fs::read_dir(dir).expect("a directory");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("listed").file_name().into_string().expect("UTF-8");
    let mut names: Vec<String> = listed.map(name).collect();
    names.sort_unstable();
    names
}

/// The sealed segments of a tape or a spool, in order.
pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    names(dir).into_iter().filter(|name| name.ends_with(".jsonl.zst")).map(|name| dir.join(name)).collect()
}

/// Damages a file.
pub(crate) fn change(path: &Path, with: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("readable");
    with(&mut bytes);
    fs::write(path, bytes).expect("written");
}

/// So many spaces as one zstd frame.
pub(crate) fn zstd_of_spaces(bytes: usize) -> Vec<u8> {
    zstd::bulk::compress(&vec![b' '; bytes], 3).expect("packed")
}
