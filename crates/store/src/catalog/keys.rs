//! Reads the client keys that have changed since they were read last.
//!
//! Triggers note in `api_key_versions` at which version of the catalogue a key was changed. A deleted key has no row
//! there: the number of keys tells that some were deleted, and only then are the ids of all keys read.

use std::collections::HashSet;

use signalbox_core::schema::ApiKey;

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{Error, Store};

/// Keys that a reader has taken over, and the version of the catalogue to which they belong. The default has none.
#[derive(Clone, Debug, Default)]
pub struct KnownKeys {
    version: i64,
    generation: u64,
    ids: HashSet<String>,
}

/// Difference between the keys that a reader knows and those of the catalogue.
#[derive(Clone, Debug, Default)]
pub struct KeyChanges {
    /// Whether `rows` has all keys, so that every other key is gone.
    pub is_complete: bool,
    /// Keys that were created or changed, by name.
    pub rows: Vec<ApiKey>,
    /// Ids of keys that were deleted, or that cannot be read any more.
    pub gone: Vec<String>,
}

/// Id of a key, and the key if it can be read.
struct KeyRow(String, Option<ApiKey>);

struct KeyId(String);

/// Reads the changes since `known`, and what is known after them. `version` is that of the transaction.
pub(super) async fn read(
    store: &Store,
    tx: &mut Transaction,
    known: &KnownKeys,
    version: i64,
) -> Result<(KeyChanges, KnownKeys), Error> {
    let generation = store.generation();
    if known.version == 0 || known.generation != generation || known.version > version {
        return read_all(generation, tx, version).await;
    }
    let changed = Statement::new(
        // Without an order, so that both databases begin with the versions and read no other key.
        "SELECT * FROM api_keys WHERE id IN (SELECT key_id FROM api_key_versions WHERE version > $1)",
    );
    let changed: Vec<KeyRow> = tx.all(changed.bind(known.version)).await?;
    let total = tx.total(Statement::new("SELECT COUNT(*) AS total FROM api_keys")).await?;
    let mut next = KnownKeys { version, generation, ids: known.ids.clone() };
    let mut changes = KeyChanges::default();
    for KeyRow(id, key) in changed {
        match key {
            Some(key) => changes.rows.push(key),
            None => changes.gone.push(id.clone()),
        }
        next.ids.insert(id);
    }
    changes.rows.sort_by(|one, other| one.name.cmp(&other.name));
    if usize::try_from(total) != Ok(next.ids.len()) {
        let present: Vec<KeyId> = tx.all(Statement::new("SELECT id FROM api_keys")).await?;
        let present: HashSet<String> = present.into_iter().map(|KeyId(id)| id).collect();
        if !present.is_subset(&next.ids) {
            return read_all(generation, tx, version).await;
        }
        changes.gone.extend(next.ids.difference(&present).cloned());
        next.ids = present;
    }
    Ok((changes, next))
}

async fn read_all(generation: u64, tx: &mut Transaction, version: i64) -> Result<(KeyChanges, KnownKeys), Error> {
    let all: Vec<KeyRow> = tx.all(Statement::new("SELECT * FROM api_keys ORDER BY name")).await?;
    let mut next = KnownKeys { version, generation, ids: HashSet::with_capacity(all.len()) };
    let mut changes = KeyChanges { is_complete: true, ..KeyChanges::default() };
    for KeyRow(id, key) in all {
        next.ids.insert(id);
        changes.rows.extend(key);
    }
    Ok((changes, next))
}

// === impl KeyRow, KeyId ===

impl FromRow for KeyRow {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        let id = row.text("id")?;
        match ApiKey::from_row(row) {
            Ok(key) => Ok(Self(id, Some(key))),
            Err(error @ Error::Corrupt(_)) => {
                tracing::warn!(%id, %error, "a client key cannot be read and is not accepted");
                Ok(Self(id, None))
            }
            Err(error) => Err(error),
        }
    }
}

impl FromRow for KeyId {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.text("id").map(Self)
    }
}
