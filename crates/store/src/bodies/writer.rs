//! Decides where the bodies of a batch are stored.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::base::Base;
use super::chunk::{self, Key, Part};
use super::pieces::{self, Piece, SharedBody};
use super::{day, is_stored_apart};
use crate::Error;
use crate::row::{Columns, FromRow};
use crate::rows::Rows;
use crate::statement::Statement;
use crate::transaction::Transaction;

/// Decides how each body of a batch is stored, and collects the chunks to write.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    chunks: Rows<'a>,
    /// Number of new bytes by day.
    sizes: BTreeMap<i64, i64>,
    /// The request up to which the chunks of a day have been removed, by day.
    removed_to: HashMap<i64, i64>,
    /// The lowest number of the new requests of this batch.
    first_new: i64,
    /// The bodies that other requests of this batch repeat, by the UUIDs of their requests. Empty for bodies that are
    /// not known yet or that are short.
    bases: HashMap<&'a str, Vec<Piece>>,
}

/// A stored body: two columns of its row.
#[derive(Debug)]
pub(crate) struct Body<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) pieces: Option<String>,
}

struct Day {
    day: i64,
    removed_to: i64,
}

const DAYS: &str = "SELECT day, removed_to FROM body_days WHERE day >= $1";

/// A chunk with this key may already exist, without references, if the request numbers were reset.
const INSERT: (&str, usize, &str) = (
    "INSERT INTO bodies (day, request_id, part, bytes) VALUES ",
    4,
    " ON CONFLICT (day, request_id, part) DO UPDATE SET bytes = excluded.bytes",
);

const COUNT: (&str, usize, &str) = (
    "INSERT INTO body_days (day, bytes) VALUES ",
    2,
    " ON CONFLICT (day) DO UPDATE SET bytes = body_days.bytes + excluded.bytes",
);

// === impl Writer ===

impl<'a> Writer<'a> {
    /// Creates a writer for requests with numbers from `first_new` on. `bases` are the UUIDs that may be referred to,
    /// with the pieces of those in the log. No request to be written arrived before `earliest` (Unix milliseconds).
    pub(crate) async fn load<'b>(
        tx: &mut Transaction,
        first_new: i64,
        bases: impl Iterator<Item = (&'a str, Option<&'b str>)>,
        earliest: i64,
    ) -> Result<Self, Error> {
        // An unreadable list is not used as a base; the body is stored whole instead.
        let pieces = |json: Option<&str>| json.and_then(|json| pieces::parse(json).ok()).unwrap_or_default();
        let bases: HashMap<_, _> = bases.map(|(id, json)| (id, pieces(json))).collect();
        let days: Vec<Day> = if bases.values().all(Vec::is_empty) {
            Vec::new()
        } else {
            tx.all(Statement::new(DAYS).bind(day(earliest).saturating_sub(1))).await?
        };
        Ok(Self {
            chunks: Rows::new(INSERT.0, INSERT.1, INSERT.2),
            sizes: BTreeMap::new(),
            removed_to: days.into_iter().map(|row| (row.day, row.removed_to)).collect(),
            first_new,
            bases,
        })
    }

    /// Stores the body of a new request.
    pub(crate) fn request(
        &mut self,
        (number, uuid): (i64, &str),
        received_at: i64,
        text: Cow<'a, str>,
        base: Option<&Base>,
    ) -> Body<'a> {
        if !is_stored_apart(text.len()) {
            return Body { text, pieces: None };
        }
        let today = day(received_at);
        // If U+0000 was replaced, the caller's lengths no longer apply.
        let base = base.filter(|_| matches!(text, Cow::Borrowed(_)));
        let pieces = match base.and_then(|base| self.share(base, &text, today)) {
            Some(sharing) if sharing.is_short() => {
                let new = text[sharing.new.clone()].to_owned();
                sharing.with(Piece::Text(new))
            }
            Some(sharing) => {
                let new = self.chunk(today, number, &text[sharing.new.clone()]);
                sharing.with(new)
            }
            None => vec![self.chunk(today, number, &text)],
        };
        let json = pieces::to_json(&pieces);
        if let Some(base) = self.bases.get_mut(uuid) {
            *base = pieces;
        }
        Body { text: Cow::Borrowed(""), pieces: Some(json) }
    }

    /// Stores the answer to a request; returns whether it is stored apart from its row.
    pub(crate) fn answer(&mut self, number: i64, ended_at: i64, text: &str) -> bool {
        let long = is_stored_apart(text.len());
        if long {
            self.add(Key { day: day(ended_at), request_id: number, part: Part::Answer }, text);
        }
        long
    }

    /// Writes the chunks.
    pub(crate) async fn write(self, tx: &mut Transaction) -> Result<(), Error> {
        self.chunks.execute(tx).await?;
        let mut days = Rows::new(COUNT.0, COUNT.1, COUNT.2);
        for (day, bytes) in self.sizes {
            days.push([day.into(), bytes.into()]);
        }
        days.execute(tx).await.map(drop)
    }

    fn share(&self, base: &Base, text: &str, today: i64) -> Option<SharedBody> {
        // Chunks are removed by day: one that is older than the previous day would be removed long before this body.
        // One of a later day (the clock went back) is not used, so that the search for references can be limited by
        // day.
        let usable = |piece: &Piece| match piece {
            Piece::Chunk(day, request, ..) => {
                (0..=1).contains(&today.saturating_sub(*day)) && self.is_there(*day, *request)
            }
            Piece::Own(..) => false,
            Piece::Text(_) => true,
        };
        pieces::share(self.bases.get(&*base.request_id)?, text, (base.prefix, base.suffix), usable)
    }

    fn is_there(&self, day: i64, request: i64) -> bool {
        request >= self.first_new || self.removed_to.get(&day).is_some_and(|removed| request > *removed)
    }

    fn chunk(&mut self, day: i64, number: i64, text: &str) -> Piece {
        self.add(Key { day, request_id: number, part: Part::Request }, text);
        Piece::Chunk(day, number, 0, text.len())
    }

    fn add(&mut self, key: Key, text: &str) {
        let bytes = chunk::encode(text);
        let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        let day = self.sizes.entry(key.day).or_default();
        *day = day.saturating_add(size);
        self.chunks.push([key.day.into(), key.request_id.into(), key.part.number().into(), bytes.into()]);
    }
}

// === impl Body ===

impl<'a> Body<'a> {
    /// Stores the body sent to a provider; `text` is `None` if it equals the client's body.
    pub(crate) fn upstream(body: &str, text: Option<Cow<'a, str>>) -> Self {
        let Some(text) = text else {
            return Self { text: Cow::Borrowed(super::DELETED_BODY), pieces: None };
        };
        match pieces::relative(body, &text) {
            Some(json) => Self { text: Cow::Borrowed(""), pieces: Some(json) },
            None => Self { text, pieces: None },
        }
    }
}

// === impl Day ===

impl FromRow for Day {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { day: row.int("day")?, removed_to: row.int("removed_to")? })
    }
}
