//! Searches the remaining requests for references to the chunks of requests that are about to be deleted.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Doomed;
use crate::bodies::{DAY_MS, Key, references_of};
use crate::row::{Columns, FromRow};
use crate::rows::Rows;
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{Error, Store};

/// Number of requests that one step reads.
const STEP_ROWS: i64 = 500;

/// The references to a chunk.
#[derive(Debug, Default)]
struct Uses {
    /// Number of requests that refer to it and are about to be deleted.
    doomed: usize,
    /// Another request that refers to it.
    kept_by: Option<i64>,
}

/// The search for references. It reads the requests of a few days in steps, usually outside of the transaction that
/// deletes; requests that are logged in the meantime are read by their numbers, which ascend.
#[derive(Debug)]
pub(super) struct References {
    uses: HashMap<Key, Uses>,
    doomed: HashSet<i64>,
    /// The ranges of time that are still to be read: exclusive start, with the number of the last request that was read
    /// there, and exclusive end.
    ranges: Vec<((i64, i64), i64)>,
    /// Requests with higher numbers are still to be read, wherever their times are; `None` before the first step.
    seen: Option<i64>,
}

struct Row {
    id: i64,
    timestamp: i64,
    pieces: String,
}

struct Id(i64);

pub(crate) const OF_DAYS: &str = "SELECT id, timestamp, pieces FROM requests
     WHERE (timestamp, id) > ($1, $2) AND timestamp < $3 AND pieces IS NOT NULL ORDER BY timestamp, id LIMIT $4";

pub(crate) const NEWER: &str =
    "SELECT id, timestamp, pieces FROM requests WHERE id > $1 AND pieces IS NOT NULL ORDER BY id LIMIT $2";

pub(crate) const EXISTING: (&str, usize, &str) = ("SELECT id FROM requests WHERE id IN (VALUES ", 1, ")");

const LAST: &str = "SELECT COALESCE(MAX(id), 0) AS total FROM requests";

// === impl References ===

impl References {
    pub(super) fn new(rows: &[Doomed]) -> Self {
        let mut uses = HashMap::<Key, Uses>::new();
        for key in rows.iter().flat_map(|row| &row.chunks) {
            uses.entry(*key).or_default().doomed += 1;
        }
        let doomed = rows.iter().map(|row| row.id).collect();
        let mut references = Self { uses, doomed, ranges: Vec::new(), seen: None };
        references.restart();
        references
    }

    /// Begins the search again for the chunks that the remaining doomed requests refer to.
    pub(super) fn restart(&mut self) {
        self.uses.values_mut().for_each(|uses| uses.kept_by = None);
        self.ranges = ranges(self.uses.keys().map(|key| key.day));
        self.seen = None;
    }

    /// Searches outside of a transaction that writes. Each step is a transaction of its own, so that the search does
    /// not keep SQLite from checkpointing or PostgreSQL from vacuuming.
    pub(super) async fn search(&mut self, store: &Store) -> Result<(), Error> {
        loop {
            let mut tx = store.read().await?;
            if !self.step(&mut tx).await? {
                return Ok(());
            }
        }
    }

    /// Completes the search within a transaction that serialises writers: nothing is left to read afterwards.
    pub(super) async fn complete(&mut self, tx: &mut Transaction) -> Result<(), Error> {
        while self.step(tx).await? {}
        Ok(())
    }

    /// Returns whether each request because of which a chunk of these rows will be kept still exists.
    pub(super) async fn are_current(&self, tx: &mut Transaction, rows: &[Doomed]) -> Result<bool, Error> {
        let keepers: BTreeSet<i64> =
            rows.iter().flat_map(|row| &row.chunks).filter_map(|key| self.uses.get(key)?.kept_by).collect();
        let mut select = Rows::new(EXISTING.0, EXISTING.1, EXISTING.2);
        keepers.iter().for_each(|id| select.push([(*id).into()]));
        let found: Vec<Id> = select.all(tx).await?;
        let found: BTreeSet<i64> = found.into_iter().map(|Id(id)| id).collect();
        Ok(found == keepers)
    }

    /// Returns the chunks that no request refers to once these rows have been deleted.
    pub(super) fn released(&self, rows: &[Doomed]) -> BTreeSet<Key> {
        let mut counts = HashMap::<Key, usize>::new();
        for key in rows.iter().flat_map(|row| &row.chunks) {
            *counts.entry(*key).or_default() += 1;
        }
        let is_released = |(key, count): &(Key, usize)| {
            self.uses.get(key).is_some_and(|uses| uses.kept_by.is_none() && uses.doomed <= *count)
        };
        counts.into_iter().filter(is_released).map(|(key, _)| key).collect()
    }

    /// Forgets rows that have been deleted.
    pub(super) fn forget(&mut self, rows: &[Doomed]) {
        for row in rows {
            for key in &row.chunks {
                if let Some(uses) = self.uses.get_mut(key) {
                    uses.doomed = uses.doomed.saturating_sub(1);
                    if uses.doomed == 0 {
                        self.uses.remove(key);
                    }
                }
            }
        }
    }

    /// Reads the next requests; returns whether there may be more.
    async fn step(&mut self, tx: &mut Transaction) -> Result<bool, Error> {
        if self.uses.values().all(|uses| uses.kept_by.is_some()) {
            return Ok(false);
        }
        let seen = match self.seen {
            Some(seen) => seen,
            None => *self.seen.insert(tx.total(Statement::new(LAST)).await?),
        };
        if let Some(((at, id), end)) = self.ranges.last().copied() {
            let select = Statement::new(OF_DAYS).bind(at).bind(id).bind(end).bind(STEP_ROWS);
            let rows: Vec<Row> = tx.all(select).await?;
            match rows.last().filter(|_| is_full(&rows)) {
                Some(last) => self.ranges.last_mut().into_iter().for_each(|range| range.0 = (last.timestamp, last.id)),
                None => drop(self.ranges.pop()),
            }
            self.note(&rows);
            return Ok(true);
        }
        let rows: Vec<Row> = tx.all(Statement::new(NEWER).bind(seen).bind(STEP_ROWS)).await?;
        self.seen = Some(rows.last().map_or(seen, |row| row.id));
        self.note(&rows);
        Ok(is_full(&rows))
    }

    fn note(&mut self, rows: &[Row]) {
        for row in rows.iter().filter(|row| !self.doomed.contains(&row.id)) {
            for key in references_of(&row.pieces) {
                if let Some(uses) = self.uses.get_mut(&key) {
                    uses.kept_by = Some(row.id);
                }
            }
        }
    }
}

fn is_full(rows: &[Row]) -> bool {
    i64::try_from(rows.len()).is_ok_and(|rows| rows >= STEP_ROWS)
}

/// Returns the ranges of time of the requests that may refer to chunks of these days: those of the same and of the next
/// day, and of the day before, because earlier versions referred to chunks of a later day if the clock had gone back.
fn ranges(days: impl Iterator<Item = i64>) -> Vec<((i64, i64), i64)> {
    let days: BTreeSet<i64> = days.flat_map(|day| [day.saturating_sub(1), day, day.saturating_add(1)]).collect();
    let mut ranges: Vec<((i64, i64), i64)> = Vec::new();
    for day in days {
        let (start, end) = (day.saturating_mul(DAY_MS), day.saturating_add(1).saturating_mul(DAY_MS));
        match ranges.last_mut() {
            Some((_, last)) if *last == start => *last = end,
            _ => ranges.push(((start.saturating_sub(1), i64::MAX), end)),
        }
    }
    ranges
}

// === impl Row, Id ===

impl FromRow for Row {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { id: row.int("id")?, timestamp: row.int("timestamp")?, pieces: row.text("pieces")? })
    }
}

impl FromRow for Id {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.int("id").map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_adjacent_days_are_merged() {
        let start = |day: i64| (day * DAY_MS - 1, i64::MAX);
        assert_eq!(ranges([7, 8, 7, 20].into_iter()), [(start(6), 10 * DAY_MS), (start(19), 22 * DAY_MS)]);
        assert_eq!(ranges(std::iter::empty()), []);
        assert_eq!(ranges([i64::MAX, i64::MIN].into_iter()).len(), 2);
    }
}
