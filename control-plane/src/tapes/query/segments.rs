//! Segments that are opened for what the index does not know.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use shadowcat_tape::line::{decode, message};
use shadowcat_tape::record::Record;
use shadowcat_tape::segment::{Found, Scan, unseal};

use crate::tapes::Tapes;
use crate::tapes::blobs::{BlobError, message_key};
use crate::tapes::decode::PLAIN_BYTES_MAX;
use crate::tapes::index::FoundFrame;

/// Plain bytes of segments that one question holds: a segment of each of thirty nodes, whose frames come by turns.
const HELD_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A message that is kept apart, unpacked: as what is taken.
const MESSAGE_PLAIN_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A segment's lines, by the place of their record.
pub(crate) struct Opened {
    plain: Vec<u8>,
    lines: HashMap<u64, Range<usize>>,
}

impl Opened {
    fn new(sealed: &[u8]) -> Result<Self, String> {
        let plain = unseal(sealed, PLAIN_BYTES_MAX).map_err(|error| error.to_string())?.plain;
        let mut lines = HashMap::new();
        for found in Scan::new(&plain) {
            if let Ok(Found::Record(line)) = found {
                lines.entry(line.record.seq).or_insert(line.at..line.at + line.bytes.len());
            }
        }
        Ok(Self { plain, lines })
    }

    /// The line of a record, without its end.
    pub(crate) fn line(&self, seq: u64) -> Option<&[u8]> {
        let line = &self.plain[self.lines.get(&seq)?.clone()];
        Some(line.strip_suffix(b"\n").unwrap_or(line))
    }

    /// A record.
    pub(crate) fn record(&self, seq: u64) -> Option<Record<'_>> {
        decode(self.line(seq)?).ok()
    }
}

/// The segments of one question: the last ones that were needed stay open.
pub(crate) struct Segments<'a> {
    tapes: &'a Tapes,
    held: VecDeque<(i64, Result<Arc<Opened>, String>)>,
    /// How many were opened.
    pub(crate) opened: u64,
    /// How many messages that are kept apart were fetched.
    messages: u64,
}

impl<'a> Segments<'a> {
    pub(crate) fn new(tapes: &'a Tapes) -> Self {
        Self { tapes, held: VecDeque::new(), opened: 0, messages: 0 }
    }

    /// Objects that were fetched: what a question costs.
    pub(crate) fn cost(&self) -> u64 {
        self.opened + self.messages
    }

    /// Whether a segment is open already.
    pub(crate) fn holds(&self, number: i64) -> bool {
        self.held.iter().any(|(held, _)| *held == number)
    }

    /// A segment; why it cannot be read, if it cannot.
    pub(crate) async fn open(&mut self, number: i64) -> Result<Arc<Opened>, String> {
        if let Some((_, opened)) = self.held.iter().find(|(held, _)| *held == number) {
            return opened.clone();
        }
        self.opened += 1;
        let opened = self.fetch(number).await.map(Arc::new);
        self.held.push_back((number, opened.clone()));
        let bytes = |held: &VecDeque<(i64, Result<Arc<Opened>, String>)>| -> usize {
            held.iter().map(|(_, opened)| opened.as_ref().map_or(0, |opened| opened.plain.len())).sum()
        };
        while self.held.len() > 1 && bytes(&self.held) > HELD_BYTES_MAX {
            self.held.pop_front();
        }
        opened
    }

    async fn fetch(&self, number: i64) -> Result<Opened, String> {
        let mut object = self.object(number).await?;
        let sealed = loop {
            match self.tapes.ingest.blobs.get(&Path::from(object.as_str())).await {
                Ok(sealed) => break sealed,
                Err(missing @ BlobError::Missing(_)) => {
                    // It may have been written anew since its place was looked up.
                    let now = self.object(number).await?;
                    if now == object {
                        return Err(missing.to_string());
                    }
                    object = now;
                }
                Err(error) => return Err(error.to_string()),
            }
        };
        aside(move || Opened::new(&sealed)).await
    }

    /// Where a segment is.
    async fn object(&self, number: i64) -> Result<String, String> {
        let kept = self.tapes.index().segments(&[number]).await.map_err(|error| error.to_string())?;
        let kept = kept.into_iter().next().map(|kept| kept.object);
        kept.ok_or_else(|| "the segment was deleted meanwhile".to_owned())
    }

    /// The message of a record of the fleet, if it is kept apart.
    pub(crate) async fn apart(&mut self, fleet: &str, record: &Record<'_>) -> Result<Option<Bytes>, String> {
        match &record.blob {
            Some(blob) => self.message(fleet, &blob.hash).await.map(Some),
            None => Ok(None),
        }
    }

    /// The message of the request `seq` that a frame of the fleet answers, wherever it is; empty if it was recorded without one.
    pub(crate) async fn asked(&mut self, fleet: &str, frame: &FoundFrame, seq: u64) -> Result<Bytes, String> {
        let mut opened = self.open(frame.segment).await?;
        if opened.line(seq).is_none() {
            // A call that lasts, or that began just before its segment was sealed.
            let before = self.tapes.index().segment_before(frame.segment, seq).await;
            let before = before.map_err(|error| error.to_string())?;
            opened = self.open(before.ok_or_else(|| "the request is not kept".to_owned())?).await?;
        }
        let record = opened.record(seq).ok_or_else(|| "the request cannot be read any more".to_owned())?;
        match self.apart(fleet, &record).await? {
            Some(apart) => Ok(apart),
            None => match message(&record) {
                Ok(body) => Ok(body.map(|body| Bytes::copy_from_slice(&body)).unwrap_or_default()),
                Err(error) => Err(error.to_string()),
            },
        }
    }

    /// A message that is kept apart.
    pub(crate) async fn message(&mut self, fleet: &str, hash: &str) -> Result<Bytes, String> {
        self.messages += 1;
        let hash = blake3::Hash::from_hex(hash).map_err(|error| error.to_string())?;
        let packed = self.tapes.ingest.blobs.get(&message_key(fleet, &hash)).await;
        let packed = packed.map_err(|error: BlobError| error.to_string())?;
        aside(move || {
            let plain = zstd::bulk::decompress(&packed, MESSAGE_PLAIN_BYTES_MAX).map_err(|error| error.to_string())?;
            if blake3::hash(&plain) == hash { Ok(plain.into()) } else { Err("it is not what its hash says".to_owned()) }
        })
        .await
    }
}

/// Work that takes a core, away from the threads of the runtime.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|stopped| stopped.to_string())?
}
