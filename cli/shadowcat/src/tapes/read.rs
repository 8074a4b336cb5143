//! Reading a place from its first record to its last, past everything that is damaged.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use shadowcat_tape::segment::{Contents, Found, Line, Scan, Summary, unseal};
use shadowcat_tape::tape::Problem;
use shadowcatctl_cli::output::cut;

use super::files::{self, words};
use super::parts::{Part, parts};
use super::{Place, Unusable};

/// Characters of what is wrong with a line. A reason may quote the line, which has up to 1 MiB.
const WHAT_CHARACTERS: usize = 300;

/// Who made the records that follow, as the last head says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The boot of the node: 32 hexadecimal digits. Empty before the first head of a tape.
    pub instance: String,
    /// The node's name; empty where there is none.
    pub node: String,
    /// Nanoseconds since 1970 at `t` = 0; 0 if nobody knows.
    pub clock: u64,
}

/// What stands at one place of the recording.
#[derive(Debug)]
pub enum Event<'a> {
    /// A segment begins, which is read from this file.
    Begin {
        /// Which one.
        part: &'a Part,
        /// The name of its file.
        file: &'a str,
    },
    /// A segment went before it was read: it is shipped.
    Gone(&'a Part),
    /// A record, and whose it is.
    Record(&'a Line<'a>, &'a Origin),
    /// Something that cannot be read.
    Problem(Problem),
    /// The end of a segment that was not sealed: a record that is being written, or whose writer died.
    Unfinished(Problem),
    /// What a newer build wrote. Nothing behind it in this segment is read.
    Refused(Problem),
    /// A segment ends, and this came of it.
    End(&'a Summary),
}

/// Segments that a newer build wrote.
pub type Refusals = u64;

/// Shows everything in order, until the visitor breaks off.
///
/// # Errors
/// The directory cannot be listed.
pub fn read(place: &Place, visit: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>) -> Result<Refusals, Unusable> {
    let mut reading = Reading { place, origin: Origin::default(), refusals: 0, visit };
    for part in parts(place)? {
        if reading.part(&part).is_break() {
            break;
        }
    }
    Ok(reading.refusals)
}

struct Reading<'a> {
    place: &'a Place,
    origin: Origin,
    refusals: Refusals,
    visit: &'a mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
}

/// The text of a segment, as far as there is any.
struct Text {
    name: String,
    plain: Vec<u8>,
    problems: Vec<Problem>,
    clock: Option<u64>,
}

impl Reading<'_> {
    fn part(&mut self, part: &Part) -> ControlFlow<()> {
        let text = match self.text(part) {
            Ok(Some(text)) => text,
            Ok(None) => return (self.visit)(Event::Gone(part)),
            Err(problem) => {
                (self.visit)(Event::Begin { part, file: &problem.file })?;
                return (self.visit)(Event::Problem(problem));
            }
        };
        self.enter(part, &text);
        (self.visit)(Event::Begin { part, file: &text.name })?;
        for problem in &text.problems {
            (self.visit)(Event::Problem(problem.clone()))?;
        }
        let mut scan = Scan::new(&text.plain);
        for found in scan.by_ref() {
            let problem = |at, what: String| Problem { file: text.name.clone(), at, what: short(&what) };
            let event = match found {
                Ok(Found::Record(line)) => {
                    self.meet(&line);
                    (self.visit)(Event::Record(&line, &self.origin))?;
                    continue;
                }
                Ok(Found::Corrupt { at, why }) => Event::Problem(problem(Some(at), format!("no record: {why}"))),
                Ok(Found::Torn { at, why }) => {
                    let torn = problem(Some(at), format!("no record: {why}"));
                    if part.is_last && text.name == part.open_name() {
                        Event::Unfinished(torn)
                    } else {
                        Event::Problem(torn)
                    }
                }
                Err(refused) => {
                    self.refusals += 1;
                    Event::Refused(problem(None, refused.to_string()))
                }
            };
            (self.visit)(event)?;
        }
        (self.visit)(Event::End(scan.summary()))
    }

    /// Another instance is another clock. Those of a spool are told by names, should a head be lost.
    fn enter(&mut self, part: &Part, text: &Text) {
        let Some(segment) = &part.segment else { return };
        if self.origin.instance != segment.instance {
            self.origin = Origin { instance: segment.instance.clone(), ..Origin::default() };
        }
        self.origin.clock = text.clock.unwrap_or(self.origin.clock);
    }

    fn meet(&mut self, line: &Line<'_>) {
        if let Some(head) = &line.record.head {
            let (instance, node) = (head.instance.to_string(), head.node.to_string());
            self.origin = Origin { instance, node, clock: head.clock };
        }
    }

    /// The sealed file is looked for first: it is the better one of two, and what an open one turns into meanwhile.
    fn text(&self, part: &Part) -> Result<Option<Text>, Problem> {
        let max = self.place.kind.segment_bytes_max();
        for name in [part.sealed_name(), part.open_name(), part.sealed_name()] {
            let problem = |what: String| Problem { file: name.clone(), at: None, what };
            match files::read(&self.place.path.join(&name), max) {
                Ok(bytes) => return unpack(&name, bytes, max).map(Some),
                Err(why) if why.kind() == io::ErrorKind::NotFound && !dangles(&self.place.path.join(&name)) => {}
                Err(why) => return Err(problem(words(&why))),
            }
        }
        Ok(None)
    }
}

/// Whether something of this name is there that leads nowhere.
fn dangles(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|entry| entry.is_symlink())
}

/// What is wrong, without the most of what a hostile line may put into it.
fn short(what: &str) -> String {
    cut(what, WHAT_CHARACTERS).into_owned()
}

fn unpack(name: &str, bytes: Vec<u8>, max: usize) -> Result<Text, Problem> {
    let text = |plain| Text { name: name.to_owned(), plain, problems: Vec::new(), clock: None };
    if !name.ends_with(".zst") {
        return Ok(text(bytes));
    }
    let problem = |at, what| Problem { file: name.to_owned(), at, what };
    let unsealed = unseal(&bytes, max).map_err(|why| problem(None, why.to_string()))?;
    let damage = unsealed.damage.into_iter();
    let problems = damage.map(|damage| problem(Some(damage.at), format!("cannot be unpacked: {}", damage.why)));
    let clock = unsealed.contents.as_ref().map(|contents: &Contents| contents.clock).filter(|clock| *clock > 0);
    Ok(Text { problems: problems.collect(), clock, ..text(unsealed.plain) })
}
