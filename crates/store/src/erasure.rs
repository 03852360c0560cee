//! Deletes requests, responses and sessions on behalf of a user, with their texts.
//!
//! # Theory
//! A row is deleted together with its answer's chunk and with every chunk of [`crate::bodies`] that no remaining
//! request refers to, also if the chunk belongs to a request that was deleted earlier. A chunk that a remaining request
//! refers to is kept, because its text is part of that request's body.
//!
//! Any request of the same day or of the next one may refer to a chunk, whatever its session, so the requests of these
//! days have to be read ([`References`]). That happens in small steps before the transaction that deletes, so that it
//! delays no writer. The transaction then reads only the requests that were logged in the meantime, and checks that the
//! requests because of which it keeps chunks still exist; if one does not, the search is repeated.
//!
//! A session is deleted in parts: at most 2,000 requests are loaded, and their chunks searched for, at once, and at
//! most [`GROUP_ROWS`] of them, or [`MAX_GROUP_BYTES`], are deleted in one transaction, with their chunks. The row of
//! the session is deleted last. Thus memory is bounded, and other writers wait only for a group.
//!
//! Other tables with texts of a request: the preview of its session is cleared if it comes from the request. The turns
//! of its session in `qwen_turns`, which hold the beginnings of answers, are deleted. Error reports have no reference
//! to their request, so the bodies in the reports of the time of the request are deleted.

mod references;

use std::collections::{BTreeMap, BTreeSet};

use crate::bodies::{Key, Part, answer, day, references_of, removal};
use crate::row::{Columns, FromRow};
use crate::row_keys::{RequestKey, ResponseKey};
use crate::rows::Rows;
use crate::statement::{Statement, Value};
use crate::transaction::Transaction;
use crate::{Error, Store, uncount};

use references::References;
#[cfg(test)]
pub(crate) use references::{EXISTING, NEWER, OF_DAYS};

/// Maximum number of requests that one transaction deletes.
const GROUP_ROWS: usize = 200;

/// Maximum bytes of bodies that one transaction deletes, unless a single request has more. Bodies of requests count
/// uncompressed.
const MAX_GROUP_BYTES: usize = 16 << 20;

/// Number of searches outside of the transaction, after which it searches itself.
const MAX_SEARCHES: usize = 3;

/// The rows to delete.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Selection<'a> {
    /// One request.
    Request(&'a RequestKey),
    /// A session and its requests.
    Session(&'a str),
    /// Sessions that expired before a time in Unix milliseconds, and their requests: the oldest ones.
    Expired { before: i64, limit: i64 },
}

/// A request that is about to be deleted.
#[derive(Debug)]
struct Doomed {
    id: i64,
    session_id: String,
    timestamp: i64,
    /// The chunks that its body refers to, with its own.
    chunks: BTreeSet<Key>,
    /// Roughly the bytes of the bodies that are deleted with it.
    bytes: usize,
}

/// An answer that is about to be deleted.
struct Answer {
    id: i64,
    session_id: String,
    timestamp: i64,
    in_bodies: bool,
}

/// Selects at most 2,000 requests to delete.
macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT requests.id, requests.session_id, requests.timestamp, requests.pieces,
                 CAST(COALESCE((SELECT LENGTH(bodies.bytes) FROM bodies WHERE bodies.part = 1
                     AND bodies.day = responses.timestamp / 86400000 AND bodies.request_id = responses.id), 0) AS BIGINT)
                     AS answer_bytes
             FROM requests LEFT JOIN responses ON responses.id = requests.id WHERE ",
            $which,
            " LIMIT 2000"
        )
    };
}

const BY_ID: &str = select!("requests.id = $1");
const BY_UUID: &str = select!("requests.request_id = $1");
pub(crate) const OF_SESSION: &str = select!("requests.session_id = $1");
pub(crate) const OF_EXPIRED: &str =
    select!("requests.session_id IN (SELECT id FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)");

/// Does not delete a session that has got a request in the meantime.
const SESSION: &str = "DELETE FROM sessions WHERE id = $1
     AND NOT EXISTS (SELECT 1 FROM requests WHERE requests.session_id = sessions.id)";

pub(crate) const EXPIRED: &str = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < $1
         AND NOT EXISTS (SELECT 1 FROM requests WHERE requests.session_id = sessions.id) ORDER BY expires_at LIMIT $2)";

const SESSION_REPORTS: &str = "UPDATE errors SET request_payload = NULL, response_payload = NULL WHERE session_id = $1";

pub(crate) const EXPIRED_REPORTS: &str = "UPDATE errors SET request_payload = NULL, response_payload = NULL
     WHERE session_id IN (SELECT id FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";

pub(crate) const ANSWERS: (&str, usize, &str) = (
    "SELECT responses.id, requests.session_id, responses.timestamp, responses.in_bodies
     FROM responses JOIN requests ON requests.id = responses.id WHERE responses.id IN (VALUES ",
    1,
    ")",
);

const ANSWER_BY_UUID: &str = "SELECT responses.id, requests.session_id, responses.timestamp, responses.in_bodies
     FROM responses JOIN requests ON requests.id = responses.id WHERE requests.request_id = $1";

/// Deletes the bodies in the error reports of a request, which imported reports name. Reports of this program have no
/// reference to it: those of the time of the request, and of five seconds afterwards, are taken.
pub(crate) const REPORTS: (&str, usize, &str) =
    ("UPDATE errors SET request_payload = NULL, response_payload = NULL WHERE request_id IN (VALUES ", 1, ")");
pub(crate) const REPORTS_OF_TIME: (&str, usize, &str) = (
    "UPDATE errors SET request_payload = NULL, response_payload = NULL WHERE id IN
         (SELECT errors.id FROM requests LEFT JOIN responses ON responses.id = requests.id
              JOIN errors ON errors.timestamp >= requests.timestamp
                  AND errors.timestamp <= COALESCE(responses.timestamp, requests.timestamp) + 5000
          WHERE requests.id IN (VALUES ",
    1,
    "))",
);

pub(crate) const DELETE: (&str, usize, &str) = ("DELETE FROM requests WHERE id IN (VALUES ", 1, ")");

/// Clears the preview of a session if it comes from its first request and that has been deleted, or if the first
/// request that was left has been deleted.
pub(crate) const CLEAR_PREVIEW: &str = "UPDATE sessions SET first_user_message = '' WHERE id = $1
     AND first_user_message <> ''
     AND (created_at >= $2 OR NOT EXISTS (SELECT 1 FROM requests WHERE session_id = $1 AND timestamp < $2))";

const FORGET_TURNS: &str = "DELETE FROM qwen_turns WHERE session_id = $1";

/// Deletes the selected requests; returns their number.
///
/// # Errors
/// See [`Error`]. Some requests of a session may have been deleted then.
pub(crate) async fn requests(store: &Store, selection: Selection<'_>) -> Result<u64, Error> {
    let mut deleted = 0;
    loop {
        let rows: Vec<Doomed> = store.all(selection.requests()).await?;
        if rows.is_empty() {
            return Ok(deleted);
        }
        deleted += delete_part(store, rows).await?;
    }
}

/// Deletes the selected sessions with their requests; returns the number of sessions.
///
/// # Errors
/// See [`Error`]. Some of the requests may have been deleted then.
pub(crate) async fn sessions(store: &Store, selection: Selection<'_>) -> Result<u64, Error> {
    loop {
        requests(store, selection).await?;
        let mut tx = store.write_erasure().await?;
        let mut deleted = 0;
        for statement in selection.sessions() {
            deleted = tx.execute(statement).await?;
        }
        tx.commit().await?;
        // A session that has got a request in the meantime is left, unless it does not count as expired any more.
        if deleted > 0 || store.first::<Doomed>(selection.requests()).await?.is_none() {
            return Ok(deleted);
        }
    }
}

/// Deletes a response. Only its own request refers to its chunk.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub(crate) async fn response(store: &Store, key: &ResponseKey, entity: &'static str) -> Result<(), Error> {
    let mut tx = store.write_erasure().await?;
    let by = match key {
        ResponseKey::Id(id) => Statement::of_rows(ANSWERS.0, ANSWERS.1, ANSWERS.2, vec![Value::from(*id)]),
        ResponseKey::Uuid(uuid) => Statement::new(ANSWER_BY_UUID).bind(uuid),
    };
    let answer: Answer = tx.one(by, entity).await?;
    clear_reports(&mut tx, [answer.id].into_iter()).await?;
    uncount::answers(&mut tx, [answer.id].into_iter()).await?;
    tx.execute(Statement::new("DELETE FROM responses WHERE id = $1").bind(answer.id)).await?;
    tx.execute(Statement::new(FORGET_TURNS).bind(&answer.session_id)).await?;
    removal::remove(&mut tx, answer.chunk().into_iter()).await?;
    tx.commit().await
}

/// Deletes requests, in groups; returns their number.
async fn delete_part(store: &Store, mut rows: Vec<Doomed>) -> Result<u64, Error> {
    let mut references = References::new(&rows);
    references.search(store).await?;
    let (mut deleted, mut searches) = (0, 1);
    while !rows.is_empty() {
        let group = &rows[..group(&rows)];
        let mut tx = store.write_erasure().await?;
        references.complete(&mut tx).await?;
        if !references.are_current(&mut tx, group).await? {
            references.restart();
            searches += 1;
            if searches > MAX_SEARCHES {
                references.complete(&mut tx).await?;
            } else {
                drop(tx);
                references.search(store).await?;
                continue;
            }
        }
        let count = delete_group(&mut tx, group, references.released(group)).await?;
        tx.commit().await?;
        references.forget(group);
        deleted += count;
        let done = group.len();
        rows.drain(..done);
    }
    Ok(deleted)
}

/// Returns the number of requests that the next transaction deletes.
fn group(rows: &[Doomed]) -> usize {
    let mut bytes = 0_usize;
    let fits = |row: &&Doomed| {
        bytes = bytes.saturating_add(row.bytes);
        bytes <= MAX_GROUP_BYTES
    };
    rows.iter().take(GROUP_ROWS).take_while(fits).count().max(1)
}

/// Deletes requests, their answers, and these chunks; returns the number of requests.
async fn delete_group(tx: &mut Transaction, rows: &[Doomed], released: BTreeSet<Key>) -> Result<u64, Error> {
    let ids = || rows.iter().map(|row| row.id);
    let answers: Vec<Answer> = by_id(ANSWERS, ids()).all(tx).await?;
    clear_reports(tx, ids()).await?;
    uncount::requests(tx, ids()).await?;
    let deleted = by_id(DELETE, ids()).execute(tx).await?;
    let mut sessions = BTreeMap::<&str, i64>::new();
    for row in rows {
        let earliest = sessions.entry(&row.session_id).or_insert(row.timestamp);
        *earliest = row.timestamp.min(*earliest);
    }
    for (session_id, earliest) in sessions {
        tx.execute(Statement::new(CLEAR_PREVIEW).bind(session_id).bind(earliest)).await?;
        tx.execute(Statement::new(FORGET_TURNS).bind(session_id)).await?;
    }
    removal::remove(tx, released.into_iter().chain(answers.iter().filter_map(Answer::chunk))).await?;
    Ok(deleted)
}

/// Deletes the bodies in the error reports of these requests, which must still exist.
async fn clear_reports(tx: &mut Transaction, ids: impl Iterator<Item = i64> + Clone) -> Result<(), Error> {
    by_id(REPORTS, ids.clone()).execute(tx).await?;
    by_id(REPORTS_OF_TIME, ids).execute(tx).await.map(drop)
}

/// Returns the statement for the rows with these numbers.
pub(crate) fn by_id(
    (head, width, tail): (&'static str, usize, &'static str),
    ids: impl Iterator<Item = i64>,
) -> Rows<'static> {
    let mut rows = Rows::new(head, width, tail);
    ids.for_each(|id| rows.push([id.into()]));
    rows
}

// === impl Selection ===

impl<'a> Selection<'a> {
    /// Returns the statement for the next requests.
    fn requests(self) -> Statement<'a> {
        match self {
            Self::Request(RequestKey::Id(id)) => Statement::new(BY_ID).bind(*id),
            Self::Request(RequestKey::Uuid(uuid)) => Statement::new(BY_UUID).bind(uuid),
            Self::Session(id) => Statement::new(OF_SESSION).bind(id),
            Self::Expired { before, limit } => Statement::new(OF_EXPIRED).bind(before).bind(limit),
        }
    }

    /// Returns the statements that delete the sessions, which have no requests any more; the last one counts them.
    fn sessions(self) -> Vec<Statement<'a>> {
        match self {
            Self::Request(_) => Vec::new(),
            Self::Session(id) => [SESSION_REPORTS, SESSION].map(|text| Statement::new(text).bind(id)).into(),
            Self::Expired { before, limit } => {
                [EXPIRED_REPORTS, EXPIRED].map(|text| Statement::new(text).bind(before).bind(limit)).into()
            }
        }
    }
}

// === impl Answer ===

impl Answer {
    fn chunk(&self) -> Option<Key> {
        self.in_bodies.then(|| answer(self.id, self.timestamp))
    }
}

// === impl FromRow ===

impl FromRow for Doomed {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        let (id, timestamp) = (row.int("id")?, row.int("timestamp")?);
        let pieces = row.optional_text("pieces")?;
        let mut chunks = pieces.as_deref().map(references_of).unwrap_or_default();
        if pieces.is_some() {
            chunks.insert(Key { day: day(timestamp), request_id: id, part: Part::Request });
        }
        let length = pieces.as_deref().and_then(crate::bodies::length_of).unwrap_or_default();
        let answer = usize::try_from(row.int("answer_bytes")?).unwrap_or_default();
        let bytes = length.saturating_add(answer);
        Ok(Self { id, session_id: row.text("session_id")?, timestamp, chunks, bytes })
    }
}

impl FromRow for Answer {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            id: row.int("id")?,
            session_id: row.text("session_id")?,
            timestamp: row.int("timestamp")?,
            in_bodies: row.flag("in_bodies")?,
        })
    }
}

#[cfg(test)]
mod tests;
