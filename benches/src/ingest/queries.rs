//! Questions to the index, asked as `shadowcatctl tapes search` asks them, one after the other.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use fastrand::Rng;
use shadowcat_proto::admin::v1::search_tapes_response::Kind;
use shadowcat_proto::admin::v1::{SearchTapesRequest, TapeSelection};

use super::traffic::{Example, OUTCOMES, TOOLS, tool_name};
use crate::plane::Admin;

/// Questions of each kind that count.
const COUNTED: usize = 200;

/// Those before, which warm what can be warmed.
const WARM_UP: usize = 20;

/// With this seed every run asks the same.
const SEED: u64 = 7;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    ToolAndOutcome,
    Failures,
    Session,
    Trace,
}

impl Question {
    const ALL: [Self; 4] = [Self::ToolAndOutcome, Self::Failures, Self::Session, Self::Trace];

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::ToolAndOutcome => "by tool and outcome",
            Self::Failures => "what did not end well",
            Self::Session => "by session",
            Self::Trace => "by trace",
        }
    }

    fn selection(self, random: &mut Rng, examples: &[Example]) -> TapeSelection {
        let example = examples[random.usize(..examples.len())].clone();
        let nothing = TapeSelection::default();
        match self {
            Self::ToolAndOutcome => TapeSelection {
                name: tool_name(random.u32(..TOOLS)),
                outcomes: vec![OUTCOMES[random.usize(..OUTCOMES.len())].0.as_str().to_owned()],
                ..nothing
            },
            Self::Failures => TapeSelection { outcomes: vec!["error".to_owned()], ..nothing },
            Self::Session => TapeSelection { session: example.session, ..nothing },
            Self::Trace => TapeSelection { trace: example.trace, ..nothing },
        }
    }
}

/// What questions of one kind came to.
pub(super) struct Asked {
    pub(super) question: Question,
    /// Frames in the index.
    pub(super) frames: u64,
    /// From asking until the end of the answer, in milliseconds; the shortest first.
    pub(super) ms: Vec<f64>,
    /// Frames found by all of them.
    pub(super) found: u64,
}

/// Asks questions of every kind.
pub(super) async fn ask(admin: &Admin, examples: &[Example], frames: u64) -> anyhow::Result<Vec<Asked>> {
    ensure!(!examples.is_empty(), "nothing was recorded");
    let mut random = Rng::with_seed(SEED);
    let mut all = Vec::new();
    for question in Question::ALL {
        let mut asked = Asked { question, frames, ms: Vec::new(), found: 0 };
        for number in 0..WARM_UP + COUNTED {
            let selection = question.selection(&mut random, examples);
            let began = Instant::now();
            let found = search(admin, selection).await?;
            if number >= WARM_UP {
                asked.ms.push(began.elapsed().as_secs_f64() * 1_000.0);
                asked.found += found;
            }
        }
        ensure!(asked.found > 0, "nothing was found {}", question.words());
        asked.ms.sort_by(f64::total_cmp);
        all.push(asked);
    }
    Ok(all)
}

/// Frames that one search found. It must have come to its end.
async fn search(admin: &Admin, selection: TapeSelection) -> anyhow::Result<u64> {
    let request = SearchTapesRequest { selection: Some(selection), ..SearchTapesRequest::default() };
    let mut stream = admin.tapes().search(admin.ask(request)?).await?.into_inner();
    let mut found = 0;
    loop {
        match stream.message().await?.context("a search without an end")?.kind {
            Some(Kind::Found(_)) => found += 1,
            Some(Kind::End(end)) => {
                ensure!(end.remark.is_empty(), "a search broke off: {}", end.remark);
                return Ok(found);
            }
            Some(Kind::Progress(_)) | None => {}
        }
    }
}
