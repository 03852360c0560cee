//! Bodies, put together again.

use std::collections::{BTreeMap, BTreeSet};

use super::chunk::{self, Key, Part};
use super::pieces::{self, Piece};
use super::{MAX_BODY, day};
use crate::Error;
use crate::row::{Columns, FromRow};
use crate::rows::Rows;
use crate::transaction::Transaction;

/// Gathers the chunks that a page of rows needs, each once, and reads them with few statements.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    wanted: BTreeSet<Key>,
    chunks: BTreeMap<Key, Vec<u8>>,
}

struct Row {
    key: Key,
    bytes: Vec<u8>,
}

pub(crate) const FETCH: (&str, usize, &str) =
    ("SELECT day, request_id, part, bytes FROM bodies WHERE (day, request_id, part) IN (VALUES ", 3, ")");

// === impl Reader ===

impl Reader {
    /// Understands a list of pieces, and notes what it needs. `None` if it is unreadable.
    pub(crate) fn want(&mut self, request_id: i64, json: &str) -> Option<Vec<Piece>> {
        let pieces = pieces::parse(json)
            .inspect_err(|error| tracing::error!(request_id, %error, "a list of pieces is damaged"))
            .ok()?;
        self.wanted.extend(pieces.iter().filter_map(Piece::key));
        Some(pieces)
    }

    /// Notes that the answer is needed which ended at that time.
    pub(crate) fn want_answer(&mut self, request_id: i64, ended_at: i64) {
        self.wanted.insert(answer(request_id, ended_at));
    }

    /// Reads what was noted.
    pub(crate) async fn fetch(&mut self, tx: &mut Transaction) -> Result<(), Error> {
        let mut rows = Rows::new(FETCH.0, FETCH.1, FETCH.2);
        for key in std::mem::take(&mut self.wanted) {
            rows.push([key.day.into(), key.request_id.into(), key.part.number().into()]);
        }
        for statement in rows.groups() {
            for Row { key, bytes } in tx.all(statement).await? {
                match chunk::decode(&bytes) {
                    Ok(bytes) => drop(self.chunks.insert(key, bytes)),
                    Err(error) => tracing::error!(?key, %error, "a body is damaged"),
                }
            }
        }
        Ok(())
    }

    /// The body of that list, if it could be understood; `own` is the one that the client sent. `None` if a part is gone.
    pub(crate) fn text(&self, pieces: Option<Vec<Piece>>, own: Option<&str>) -> Option<String> {
        let pieces = pieces?;
        let length = pieces::length(&pieces).filter(|length| *length <= MAX_BODY)?;
        let mut bytes = Vec::with_capacity(length);
        for piece in &pieces {
            bytes.extend_from_slice(match piece {
                Piece::Chunk(_, _, from, length) => part(self.chunks.get(&piece.key()?)?, *from, *length)?,
                Piece::Own(from, length) => part(own?.as_bytes(), *from, *length)?,
                Piece::Text(text) => text.as_bytes(),
            });
        }
        String::from_utf8(bytes).ok()
    }

    /// The answer which ended at that time; `None` if it is gone.
    pub(crate) fn answer(&self, request_id: i64, ended_at: i64) -> Option<String> {
        let bytes = self.chunks.get(&answer(request_id, ended_at))?;
        String::from_utf8(bytes.clone()).ok()
    }
}

fn part(bytes: &[u8], from: usize, length: usize) -> Option<&[u8]> {
    bytes.get(from..from.checked_add(length)?)
}

const fn answer(request_id: i64, ended_at: i64) -> Key {
    Key { day: day(ended_at), request_id, part: Part::Answer }
}

// === impl Piece ===

impl Piece {
    /// The chunk it is from.
    fn key(&self) -> Option<Key> {
        match self {
            Self::Chunk(day, request_id, ..) => Some(Key { day: *day, request_id: *request_id, part: Part::Request }),
            Self::Own(..) | Self::Text(_) => None,
        }
    }
}

// === impl Row, Key ===

impl FromRow for Row {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { key: Key::from_row(row)?, bytes: row.bytes("bytes")? })
    }
}

impl FromRow for Key {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        let part = row.int("part")?;
        Ok(Self {
            day: row.int("day")?,
            request_id: row.int("request_id")?,
            part: Part::of(part)
                .ok_or_else(|| Error::unreadable("bodies.part", format_args!("unknown number {part}")))?,
        })
    }
}
