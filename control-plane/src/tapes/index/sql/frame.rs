//! A frame as a row, on its way in and out.

use sqlx::{FromRow, Row as _};

use super::super::super::{FoundFrame, FrameRow};
use super::super::Database;
use super::{signed, unsigned};

/// The columns of a [`Frame`], in the order in which they are inserted.
pub(in super::super) const INSERT_FRAMES: &str = "INSERT INTO frames (fleet, at, source, seq, segment, place, tape, kind, direction, method, name,
 outcome, code, latency, size, route, upstream, endpoint, session, principal, trace, era, version, operation, recording) ";

/// A frame whose words, tape, segment and source have their numbers.
#[derive(Debug)]
pub(in super::super) struct Frame<'a> {
    pub(in super::super) row: &'a FrameRow,
    pub(in super::super) fleet: i64,
    pub(in super::super) source: i64,
    pub(in super::super) segment: i64,
    pub(in super::super) tape: Option<i64>,
    pub(in super::super) method: Option<i64>,
    pub(in super::super) name: Option<i64>,
    pub(in super::super) route: Option<i64>,
    pub(in super::super) upstream: Option<i64>,
    pub(in super::super) endpoint: Option<i64>,
    pub(in super::super) principal: Option<i64>,
    pub(in super::super) era: Option<i64>,
    pub(in super::super) recording: Option<i64>,
}

impl Frame<'_> {
    pub(in super::super) fn seq(&self) -> i64 {
        signed(self.row.seq)
    }

    pub(in super::super) fn place(&self) -> i64 {
        signed(self.row.place)
    }

    pub(in super::super) fn size(&self) -> i64 {
        signed(self.row.size)
    }

    pub(in super::super) fn latency(&self) -> Option<i64> {
        self.row.latency.map(signed)
    }

    pub(in super::super) fn version(&self) -> Option<i64> {
        self.row.version.map(signed)
    }

    pub(in super::super) fn operation(&self) -> Option<i64> {
        self.row.operation.map(signed)
    }
}

/// What a search selects of frames, before their words are looked up.
pub(super) const NUMBERS: &str = "f.at, f.source, f.seq, f.segment, f.place, f.tape, CAST(f.kind AS BIGINT) AS kind,
 CAST(f.direction AS BIGINT) AS direction, f.method, f.name, CAST(f.outcome AS BIGINT) AS outcome, f.code, f.latency, f.size, f.route,
 f.upstream, f.endpoint, f.session, f.principal, f.trace, f.era, f.version, f.operation";

/// What is selected of frames in the end: the columns of a [`Found`].
pub(super) const WORDS: &str = "SELECT g.at, g.source, g.seq, g.segment, g.place, t.id AS tape, n.word AS node, s.instance, g.kind,
 g.direction, m.word AS method, w.word AS name, g.outcome, g.code, g.latency, g.size, r.word AS route, u.word AS upstream,
 e.word AS endpoint, g.session, p.word AS principal, g.trace, a.word AS era, g.version, g.operation FROM (";

/// Where the words of [`WORDS`] are.
pub(super) const OF_WORDS: &str = ") g JOIN sources s ON s.number = g.source JOIN words n ON n.id = s.node
 LEFT JOIN tapes t ON t.number = g.tape LEFT JOIN words m ON m.id = g.method LEFT JOIN words w ON w.id = g.name
 LEFT JOIN words r ON r.id = g.route LEFT JOIN words u ON u.id = g.upstream LEFT JOIN words e ON e.id = g.endpoint
 LEFT JOIN words p ON p.id = g.principal LEFT JOIN words a ON a.id = g.era";

/// A frame as a search reads it.
pub(super) struct Found(pub(super) FoundFrame);

impl FromRow<'_, <Database as sqlx::Database>::Row> for Found {
    fn from_row(row: &<Database as sqlx::Database>::Row) -> Result<Self, sqlx::Error> {
        let text = |column: &str| row.try_get::<Option<String>, _>(column).map(Option::unwrap_or_default);
        let number = |column: &str| row.try_get::<i64, _>(column);
        let maybe = |column: &str| row.try_get::<Option<i64>, _>(column);
        let code = |found: i64| i16::try_from(found).unwrap_or(i16::MAX);
        Ok(Self(FoundFrame {
            at: number("at")?,
            source: number("source")?,
            seq: unsigned(number("seq")?),
            segment: number("segment")?,
            place: unsigned(number("place")?),
            tape: text("tape")?,
            node: text("node")?,
            instance: text("instance")?,
            kind: code(number("kind")?),
            direction: maybe("direction")?.map(code),
            method: text("method")?,
            name: text("name")?,
            outcome: maybe("outcome")?.map(code),
            code: maybe("code")?,
            latency: maybe("latency")?.map(unsigned),
            size: unsigned(number("size")?),
            route: text("route")?,
            upstream: text("upstream")?,
            endpoint: text("endpoint")?,
            session: text("session")?,
            principal: text("principal")?,
            trace: row.try_get("trace")?,
            era: text("era")?,
            version: maybe("version")?.map(unsigned),
            operation: maybe("operation")?.map(unsigned),
        }))
    }
}
