//! Deletes old entries of the log.
//!
//! [`step`] removes a small amount at a time, so that the log can be written in between. Bodies are removed by whole
//! days, the oldest first, and within a day in the order of their requests: `body_days.removed_to` is all that
//! [`crate::exchanges`] needs to avoid references to removed bodies. The database file does not shrink; freed space is
//! reused.

use std::collections::BTreeMap;

use crate::bodies::{Key, day};
use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::tables::usage_minutes;
use crate::transaction::Transaction;
use crate::{Error, Store, erasure, uncount};

/// Maximum number of rows of a table that one step removes.
const STEP_ROWS: i64 = 500;

/// Maximum bytes of bodies that one step removes, unless a single body is larger: freeing a long row costs as much as
/// writing it.
const MAX_STEP_BYTES: i64 = 16 << 20;

/// Sums the bytes of the bodies of all days.
const BODY_BYTES: &str = "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS total FROM body_days";

/// The entries to delete. `None` keeps them forever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Deletes requests that arrived before this time, in Unix milliseconds, with their responses and bodies.
    pub rows_before: Option<i64>,
    /// Deletes bodies of days that ended before this time, in Unix milliseconds. Their rows are kept, and so are short
    /// bodies, which are part of the rows.
    pub bodies_before: Option<i64>,
    /// Maximum stored bytes of all bodies together; the oldest ones are deleted if they exceed it.
    pub max_body_bytes: Option<i64>,
}

/// The result of one [`step`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Number of deleted rows of `requests`.
    pub requests: u64,
    /// Number of deleted bodies of requests and answers.
    pub bodies: u64,
    /// Whether nothing is left to remove; otherwise the caller should make another step soon.
    pub done: bool,
}

struct Id(i64);

/// A body that may be deleted.
struct Oldest {
    key: Key,
    size: i64,
}

pub(crate) const OLDEST: &str =
    "SELECT day, request_id, part, CAST(LENGTH(bytes) AS BIGINT) AS size FROM bodies WHERE day < $1
     ORDER BY day, request_id, part LIMIT $2";

pub(crate) const DELETE_BODIES: &str = "DELETE FROM bodies WHERE (day, request_id, part) <= ($1, $2, $3)";

pub(crate) const OLD_REQUESTS: &str = "SELECT id FROM requests WHERE timestamp < $1 ORDER BY timestamp, id LIMIT $2";

/// The router's sessions expire a fixed time after their newest request, so expired ones should have no requests left;
/// the statement verifies that.
pub(crate) const DELETE_SESSIONS: &str = "DELETE FROM sessions WHERE id IN
     (SELECT id FROM sessions WHERE expires_at < $1 AND source = 'router'
         AND NOT EXISTS (SELECT 1 FROM requests WHERE requests.session_id = sessions.id)
      ORDER BY expires_at LIMIT $2)";

pub(crate) const DELETE_SUMS: &str = "DELETE FROM usage_minutes
     WHERE (span, minute, provider_id, model, key_id, status) IN
     (SELECT span, minute, provider_id, model, key_id, status FROM usage_minutes WHERE span = $1 AND minute < $2
      ORDER BY minute LIMIT $3)";

/// Removes a small batch of the entries that are due at `now_ms` (Unix milliseconds), in one short transaction.
///
/// # Errors
/// See [`Error`].
pub async fn step(store: &Store, policy: &RetentionPolicy, now_ms: i64) -> Result<Removed, Error> {
    let mut tx = store.write_log().await?;
    let aged = remove_aged(&mut tx, policy).await?;
    let excess = remove_excess(&mut tx, policy).await?;
    let rows = remove_rows(&mut tx, policy, now_ms).await?;
    let sums_done = remove_sums(&mut tx, now_ms).await?;
    tx.commit().await?;
    Ok(Removed {
        requests: rows.requests,
        bodies: aged.bodies + excess.bodies,
        done: aged.done && excess.done && rows.done && sums_done,
    })
}

struct Newest(Option<i64>);

/// Returns the arrival time of the newest request, in Unix milliseconds.
///
/// # Errors
/// See [`Error`].
pub async fn newest(store: &Store) -> Result<Option<i64>, Error> {
    let newest = store.first::<Newest>(Statement::new("SELECT MAX(timestamp) AS newest FROM requests")).await?;
    Ok(newest.and_then(|newest| newest.0))
}

/// Returns the bytes of the long bodies in the database, compressed and without duplicates. See [`crate::bodies`].
///
/// # Errors
/// See [`Error`].
pub async fn body_bytes(store: &Store) -> Result<i64, Error> {
    store.read().await?.total(Statement::new(BODY_BYTES)).await
}

/// Removes bodies of days that are too old for the policy.
async fn remove_aged(tx: &mut Transaction, policy: &RetentionPolicy) -> Result<Removed, Error> {
    // The requests of a day may refer to bodies of the previous day.
    let by_rows = policy.rows_before.map(|before| day(before).saturating_sub(1));
    match policy.bodies_before.map(day).max(by_rows) {
        Some(before) => remove_bodies(tx, before, i64::MAX).await,
        None => Ok(Removed { done: true, ..Removed::default() }),
    }
}

/// Removes the oldest bodies if all bodies together exceed the limit.
async fn remove_excess(tx: &mut Transaction, policy: &RetentionPolicy) -> Result<Removed, Error> {
    let Some(most) = policy.max_body_bytes else {
        return Ok(Removed { done: true, ..Removed::default() });
    };
    match tx.total(Statement::new(BODY_BYTES)).await?.saturating_sub(most) {
        excess if excess > 0 => remove_bodies(tx, i64::MAX, excess).await,
        _ => Ok(Removed { done: true, ..Removed::default() }),
    }
}

/// Removes the oldest bodies of days before `before`, until `enough` bytes are free or the step is large enough.
async fn remove_bodies(tx: &mut Transaction, before: i64, enough: i64) -> Result<Removed, Error> {
    let oldest: Vec<Oldest> = tx.all(Statement::new(OLDEST).bind(before).bind(STEP_ROWS)).await?;
    let found = oldest.len();
    let mut days = BTreeMap::<i64, (i64, i64)>::new();
    let (mut last, mut freed, mut count) = (None, 0, 0);
    for Oldest { key, size } in oldest {
        if freed >= enough.min(MAX_STEP_BYTES) {
            break;
        }
        let (bytes, removed_to) = days.entry(key.day).or_default();
        (*bytes, *removed_to) = (*bytes + size, key.request_id);
        (last, freed, count) = (Some(key), freed + size, count + 1);
    }
    let Some(last) = last else {
        return Ok(Removed { done: true, ..Removed::default() });
    };
    let delete = Statement::new(DELETE_BODIES).bind(last.day).bind(last.request_id).bind(last.part.number());
    let bodies = tx.execute(delete).await?;
    // The answer to an old request may arrive late, so the mark must never decrease.
    for (day, (bytes, removed_to)) in days {
        let subtract = Statement::new(
            "UPDATE body_days SET bytes = CASE WHEN bytes > $2 THEN bytes - $2 ELSE 0 END,
                 removed_to = CASE WHEN removed_to < $3 THEN $3 ELSE removed_to END
             WHERE day = $1",
        );
        tx.execute(subtract.bind(day).bind(bytes).bind(removed_to)).await?;
    }
    let all_seen = i64::try_from(found).is_ok_and(|found| found < STEP_ROWS);
    Ok(Removed { requests: 0, bodies, done: freed >= enough || (all_seen && count == found) })
}

/// Removes requests with their responses, and then the sessions that have no requests left.
async fn remove_rows(tx: &mut Transaction, policy: &RetentionPolicy, now_ms: i64) -> Result<Removed, Error> {
    let Some(before) = policy.rows_before else {
        return Ok(Removed { done: true, ..Removed::default() });
    };
    let old: Vec<Id> = tx.all(Statement::new(OLD_REQUESTS).bind(before).bind(STEP_ROWS)).await?;
    let ids = || old.iter().map(|Id(id)| *id);
    uncount::requests(tx, ids()).await?;
    let requests = erasure::by_id(erasure::DELETE, ids()).execute(tx).await?;
    let expired = now_ms.min(crate::exchanges::expiry(before));
    let sessions = tx.execute(Statement::new(DELETE_SESSIONS).bind(expired).bind(STEP_ROWS)).await?;
    let less = |count: u64| i64::try_from(count).is_ok_and(|count| count < STEP_ROWS);
    Ok(Removed { requests, bodies: 0, done: less(requests) && less(sessions) })
}

/// Removes sums by minute and by hour that are too old; returns whether none are left.
async fn remove_sums(tx: &mut Transaction, now_ms: i64) -> Result<bool, Error> {
    let mut is_done = true;
    for (span, kept_ms) in
        [(usage_minutes::MINUTE, usage_minutes::MINUTES_KEPT_MS), (usage_minutes::HOUR, usage_minutes::HOURS_KEPT_MS)]
    {
        let before = now_ms.saturating_sub(kept_ms) / usage_minutes::MINUTE_MS;
        let removed = tx.execute(Statement::new(DELETE_SUMS).bind(span).bind(before).bind(STEP_ROWS)).await?;
        is_done &= i64::try_from(removed).is_ok_and(|count| count < STEP_ROWS);
    }
    Ok(is_done)
}

// === impl Id, Newest, Oldest ===

impl FromRow for Id {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.int("id").map(Self)
    }
}

impl FromRow for Newest {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.optional_int("newest").map(Self)
    }
}

impl FromRow for Oldest {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { key: Key::from_row(row)?, size: row.int("size")? })
    }
}
