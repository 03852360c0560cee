//! Reads chunks and reassembles bodies.

use std::collections::{BTreeMap, BTreeSet};

use signalbox_core::excerpt::excerpt;

use super::chunk::{self, Key, Part};
use super::pieces::{self, Piece};
use super::{MAX_BODY, MAX_EXCERPT, day};
use crate::Error;
use crate::row::{Columns, FromRow};
use crate::rows::Rows;
use crate::transaction::Transaction;

/// Collects the chunks that a page of rows needs, each once, and reads them with few statements.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    wanted: BTreeSet<Key>,
    chunks: BTreeMap<Key, Vec<u8>>,
    /// Chunks of which only the beginning was read.
    cut: BTreeSet<Key>,
}

struct Row {
    key: Key,
    bytes: Vec<u8>,
}

pub(crate) const FETCH: (&str, usize, &str) =
    ("SELECT day, request_id, part, bytes FROM bodies WHERE (day, request_id, part) IN (VALUES ", 3, ")");

/// Like [`FETCH`], but reads only the bytes that [`chunk::decode_start`] needs.
const FETCH_START: (&str, usize, &str) = (
    "SELECT day, request_id, part, substr(bytes, 1, 131094) AS bytes FROM bodies WHERE (day, request_id, part) IN (VALUES ",
    3,
    ")",
);

/// Reads the bytes that [`chunk::decoded_length`] needs.
const FETCH_LENGTH: (&str, usize, &str) = (
    "SELECT day, request_id, part, substr(bytes, 1, 19) AS bytes, CAST(length(bytes) AS BIGINT) AS length
     FROM bodies WHERE (day, request_id, part) IN (VALUES ",
    3,
    ")",
);

/// Maximum decoded bytes of a chunk that are read for the beginning of a body.
const MAX_START_DECODED: usize = 64 << 10;

/// The beginning of a body.
#[derive(Debug)]
pub(crate) struct BodyStart {
    text: String,
    goes_on: bool,
}

/// The decoded length of a chunk.
struct Length {
    key: Key,
    length: usize,
}

// === impl Reader ===

impl Reader {
    /// Parses a list of pieces and adds its chunks to the wanted ones. `None` if the list is unreadable.
    pub(crate) fn want(&mut self, request_id: i64, json: &str) -> Option<Vec<Piece>> {
        let pieces = pieces::parse(json)
            .inspect_err(|error| tracing::error!(request_id, %error, "a list of pieces is damaged"))
            .ok()?;
        self.wanted.extend(pieces.iter().filter_map(Piece::key));
        Some(pieces)
    }

    /// Adds the chunk of an answer that ended at `ended_at` to the wanted ones.
    pub(crate) fn want_answer(&mut self, request_id: i64, ended_at: i64) {
        self.wanted.insert(answer(request_id, ended_at));
    }

    /// Reads the wanted chunks.
    pub(crate) async fn fetch(&mut self, tx: &mut Transaction) -> Result<(), Error> {
        for statement in self.wanted(FETCH).groups() {
            for Row { key, bytes } in tx.all(statement).await? {
                match chunk::decode(&bytes) {
                    Ok(bytes) => drop(self.chunks.insert(key, bytes)),
                    Err(error) => tracing::error!(?key, %error, "a body is damaged"),
                }
            }
        }
        Ok(())
    }

    /// Parses a list of pieces and adds the chunks that the beginning of its body needs to the wanted ones. `None` if
    /// the list is unreadable.
    pub(crate) fn want_start(&mut self, request_id: i64, json: &str) -> Option<Vec<Piece>> {
        let pieces = pieces::parse(json)
            .inspect_err(|error| tracing::error!(request_id, %error, "a list of pieces is damaged"))
            .ok()?;
        let mut length = 0_usize;
        for piece in pieces.iter().take_while(|piece| {
            let begins = length;
            length = length.saturating_add(piece.length());
            begins <= MAX_EXCERPT
        }) {
            self.wanted.extend(piece.key());
        }
        Some(pieces)
    }

    /// Reads the beginnings of the wanted chunks; deleted or damaged chunks are left out.
    pub(crate) async fn fetch_starts(&mut self, tx: &mut Transaction) -> Result<(), Error> {
        for statement in self.wanted(FETCH_START).groups() {
            for Row { key, bytes } in tx.all(statement).await? {
                match chunk::decode_start(&bytes, MAX_START_DECODED) {
                    Ok((bytes, goes_on)) => {
                        self.cut.extend(goes_on.then_some(key));
                        self.chunks.insert(key, bytes);
                    }
                    Err(error) => tracing::error!(?key, %error, "a body is damaged"),
                }
            }
        }
        Ok(())
    }

    /// Returns the lengths of the wanted answers by request; the answers stay wanted.
    pub(crate) async fn lengths(&self, tx: &mut Transaction) -> Result<BTreeMap<i64, usize>, Error> {
        let mut rows = Rows::new(FETCH_LENGTH.0, FETCH_LENGTH.1, FETCH_LENGTH.2);
        for key in &self.wanted {
            rows.push([key.day.into(), key.request_id.into(), key.part.number().into()]);
        }
        let lengths: Vec<Length> = rows.all(tx).await?;
        Ok(lengths.into_iter().map(|Length { key, length }| (key.request_id, length)).collect())
    }

    /// Returns the beginning of the body described by `pieces`; `own` is the beginning of the client's body. `None` if
    /// a part has been deleted.
    pub(crate) fn start(&self, pieces: Option<Vec<Piece>>, own: Option<&BodyStart>) -> Option<BodyStart> {
        let mut bytes = Vec::new();
        let mut goes_on = false;
        for piece in &pieces? {
            // Bytes beyond the limit only tell that the body is longer.
            if bytes.len() > MAX_EXCERPT {
                goes_on = true;
                break;
            }
            let (source, is_cut, from, length) = match piece {
                Piece::Chunk(_, _, from, length) => {
                    let key = piece.key()?;
                    (self.chunks.get(&key)?.as_slice(), self.cut.contains(&key), *from, *length)
                }
                Piece::Own(from, length) => {
                    let own = own?;
                    (own.text.as_bytes(), own.goes_on, *from, *length)
                }
                Piece::Text(text) => (text.as_bytes(), false, 0, text.len()),
            };
            let found = source.get(from..).unwrap_or_default();
            let found = &found[..found.len().min(length)];
            bytes.extend_from_slice(found);
            if found.len() < length {
                if !is_cut {
                    return None;
                }
                goes_on = true;
                break;
            }
        }
        Some(BodyStart::of(bytes, goes_on))
    }

    /// Returns the beginning of the answer that ended at `ended_at`; `None` if it has been deleted.
    pub(crate) fn answer_start(&self, request_id: i64, ended_at: i64) -> Option<BodyStart> {
        let key = answer(request_id, ended_at);
        Some(BodyStart::of(self.chunks.get(&key)?.clone(), self.cut.contains(&key)))
    }

    fn wanted(&mut self, select: (&'static str, usize, &'static str)) -> Rows<'static> {
        let mut rows = Rows::new(select.0, select.1, select.2);
        for key in std::mem::take(&mut self.wanted) {
            rows.push([key.day.into(), key.request_id.into(), key.part.number().into()]);
        }
        rows
    }

    /// Returns the body described by `pieces`; `own` is the client's body. `None` if the list was unreadable or a part
    /// has been deleted.
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

    /// Returns the answer that ended at `ended_at`; `None` if it has been deleted.
    pub(crate) fn answer(&self, request_id: i64, ended_at: i64) -> Option<String> {
        let bytes = self.chunks.get(&answer(request_id, ended_at))?;
        String::from_utf8(bytes.clone()).ok()
    }
}

fn part(bytes: &[u8], from: usize, length: usize) -> Option<&[u8]> {
    bytes.get(from..from.checked_add(length)?)
}

/// Returns the key of the answer that ended at `ended_at`.
pub(crate) const fn answer(request_id: i64, ended_at: i64) -> Key {
    Key { day: day(ended_at), request_id, part: Part::Answer }
}

// === impl Piece ===

impl Piece {
    /// Returns the key of the chunk that the piece refers to.
    fn key(&self) -> Option<Key> {
        match self {
            Self::Chunk(day, request_id, ..) => Some(Key { day: *day, request_id: *request_id, part: Part::Request }),
            Self::Own(..) | Self::Text(_) => None,
        }
    }
}

// === impl BodyStart ===

impl BodyStart {
    /// Creates a start from a whole body, or from the beginning of a body that `goes_on`.
    fn of(mut bytes: Vec<u8>, goes_on: bool) -> Self {
        let goes_on = goes_on || bytes.len() > MAX_EXCERPT;
        bytes.truncate(MAX_EXCERPT);
        let valid = match std::str::from_utf8(&bytes) {
            Ok(_) => bytes.len(),
            Err(error) => error.valid_up_to(),
        };
        bytes.truncate(valid);
        Self { text: String::from_utf8(bytes).unwrap_or_default(), goes_on }
    }

    /// Creates a start from the text of a column, which may be truncated after [`MAX_EXCERPT`] bytes.
    pub(crate) fn of_column(text: String) -> Self {
        Self::of(text.into_bytes(), false)
    }

    /// Creates the start of a body whose content must not be shown.
    pub(crate) fn hidden() -> Self {
        Self { text: "{".to_owned(), goes_on: true }
    }

    /// Returns the body if it is short, and an excerpt otherwise.
    pub(crate) fn excerpt(self) -> String {
        if self.goes_on { excerpt(&self.text) } else { self.text }
    }
}

// === impl Row, Length, Key ===

impl FromRow for Row {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { key: Key::from_row(row)?, bytes: row.bytes("bytes")? })
    }
}

impl FromRow for Length {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        let length = usize::try_from(row.int("length")?.saturating_sub(1)).unwrap_or_default();
        Ok(Self { key: Key::from_row(row)?, length: chunk::decoded_length(&row.bytes("bytes")?, length) })
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
