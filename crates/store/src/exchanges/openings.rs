//! Table `openings`: the sessions of conversations, by the hash of their opening.
//!
//! The hashes are random, so an index on them would change another page with every row: at a million rows that is half
//! of the cost of a request. Therefore rows are only appended to the table, and each process that looks up
//! conversations keeps its content in memory. It reads the rows added since its last read, including those of other
//! processes.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::Error;
use crate::row::{Columns, FromRow};
use crate::rows::Rows;
use crate::statement::Statement;
use crate::transaction::Transaction;

/// Number of conversations that can be continued; older ones are deleted. They take six megabytes, both in memory and
/// in the table.
const MAX_OPENINGS: i64 = 1 << 16;

/// The content of the table, as far as it has been read.
#[derive(Debug, Default)]
pub(crate) struct Openings {
    /// The newest session of each opening: when it began, and its id.
    newest: HashMap<u64, (i64, Box<str>)>,
    hashes: RandomState,
    /// The id of the last row that was read.
    read_to: i64,
    /// The generation of the database that was read.
    generation: u64,
}

/// The opening of a session.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) hash: String,
    pub(super) session_id: String,
    pub(super) created_at: i64,
}

struct Row(i64, Opening);

/// Reads the newest rows after a row, up to a limit.
pub(crate) const READ: &str =
    "SELECT id, hash, session_id, created_at FROM openings WHERE id > $1 ORDER BY id DESC LIMIT $2";

const INSERT: (&str, usize, &str) = ("INSERT INTO openings (hash, session_id, created_at) VALUES ", 3, "");

pub(crate) const FORGET: &str = "DELETE FROM openings WHERE id IN
         (SELECT id FROM openings WHERE id <= (SELECT MAX(id) FROM openings) - $1 ORDER BY id LIMIT $2)";

/// Adds openings, and removes the oldest excess rows: at most twice as many as were added.
pub(super) async fn write(tx: &mut Transaction, openings: Vec<Opening>) -> Result<(), Error> {
    if openings.is_empty() {
        return Ok(());
    }
    let most = i64::try_from(openings.len()).unwrap_or(i64::MAX).saturating_mul(2);
    let mut rows = Rows::new(INSERT.0, INSERT.1, INSERT.2).with_capacity(openings.len());
    for Opening { hash, session_id, created_at } in openings {
        rows.push([hash.into(), session_id.into(), created_at.into()]);
    }
    rows.execute(tx).await?;
    tx.execute(Statement::new(FORGET).bind(MAX_OPENINGS).bind(most)).await.map(drop)
}

// === impl Openings ===

impl Openings {
    /// Discards the content of another database.
    pub(crate) fn reset_if_replaced(&mut self, generation: u64) {
        if self.generation != generation {
            *self = Self { generation, ..Self::default() };
        }
    }

    /// Reads the rows that were added since the last call. Writers are serialised, so no row can appear before one that
    /// was already read.
    pub(super) async fn catch_up(&mut self, tx: &mut Transaction) -> Result<(), Error> {
        if i64::try_from(self.newest.len()).is_ok_and(|len| len >= 2 * MAX_OPENINGS) {
            (self.newest, self.read_to) = (HashMap::new(), 0);
        }
        let rows: Vec<Row> = tx.all(Statement::new(READ).bind(self.read_to).bind(MAX_OPENINGS)).await?;
        for Row(id, Opening { hash, session_id, created_at }) in rows {
            self.read_to = self.read_to.max(id);
            let this = (created_at, session_id.into_boxed_str());
            let newest = self.newest.entry(self.hashes.hash_one(&*hash)).or_insert_with(|| this.clone());
            if *newest < this {
                *newest = this;
            }
        }
        Ok(())
    }

    /// Returns the newest session with this opening. The session may have been deleted.
    pub(super) fn find(&self, hash: &str) -> Option<&str> {
        self.newest(hash).map(|(_, id)| id)
    }

    /// Returns the newest session with this opening, and when the request arrived that opened it.
    pub(super) fn newest(&self, hash: &str) -> Option<(i64, &str)> {
        self.newest.get(&self.hashes.hash_one(hash)).map(|(at, id)| (*at, &**id))
    }
}

// === impl FromRow ===

impl FromRow for Row {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        let opening = Opening {
            hash: row.text("hash")?,
            session_id: row.text("session_id")?,
            created_at: row.int("created_at")?,
        };
        Ok(Self(row.int("id")?, opening))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    async fn add(store: &Store, ids: std::ops::Range<i64>) {
        let mut tx = store.write_log().await.unwrap();
        let opening = |id: i64| Opening { hash: format!("h{id}"), session_id: format!("s{id}"), created_at: id };
        write(&mut tx, ids.map(opening).collect()).await.unwrap();
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn openings_of_other_processes_are_read_and_the_oldest_evicted() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        let mut openings = Openings::default();
        let read = async |openings: &mut Openings| {
            let mut tx = store.write_log().await.unwrap();
            openings.catch_up(&mut tx).await.unwrap();
        };
        add(&store, 0..10).await;
        read(&mut openings).await;
        assert_eq!((openings.find("h9"), openings.find("h10")), (Some("s9"), None));
        add(&store, 10..MAX_OPENINGS + 20).await;
        read(&mut openings).await;
        assert_eq!(openings.find(&format!("h{}", MAX_OPENINGS + 19)), Some(&*format!("s{}", MAX_OPENINGS + 19)));

        let mut afresh = Openings::default();
        read(&mut afresh).await;
        assert_eq!((afresh.find("h19"), afresh.find("h20")), (None, Some("s20")));
        assert_eq!(i64::try_from(afresh.newest.len()), Ok(MAX_OPENINGS));
    }
}
