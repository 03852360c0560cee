//! Table `settings`.

use signalbox_core::schema::Setting;
use tokio::time::{Duration, MissedTickBehavior, interval};

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{Error, Store, catalog};

/// Two looks a second: a change is in force within one.
const PERIOD: Duration = Duration::from_millis(500);

/// The settings that are not at their defaults, by key.
///
/// # Errors
/// See [`Error`].
pub async fn list(store: &Store) -> Result<Vec<Setting>, Error> {
    store.all(Statement::new("SELECT * FROM settings ORDER BY key")).await
}

/// One setting, unless it is at its default.
///
/// # Errors
/// See [`Error`].
pub async fn get(store: &Store, key: &str) -> Result<Option<Setting>, Error> {
    store.first(Statement::new("SELECT * FROM settings WHERE key = $1").bind(key)).await
}

/// Writes settings as pairs of key and value, all or none.
///
/// # Errors
/// See [`Error`].
pub async fn put(store: &Store, settings: &[(String, String)], now_ms: i64) -> Result<(), Error> {
    let mut tx = store.write().await?;
    for (key, value) in settings {
        set(&mut tx, key, value, now_ms).await?;
    }
    tx.commit().await
}

/// Puts a setting back to its default; answers whether it was at another value.
///
/// # Errors
/// See [`Error`].
pub async fn delete(store: &Store, key: &str) -> Result<bool, Error> {
    let mut tx = store.write().await?;
    let deleted = tx.execute(Statement::new("DELETE FROM settings WHERE key = $1").bind(key)).await?;
    tx.commit().await?;
    Ok(deleted > 0)
}

/// Calls `changed` with the value of a setting, at once and whenever it has become another one, until it is dropped;
/// `None` is its default. While the database is away, the last value stays in force.
pub async fn watch(store: &Store, key: &str, mut changed: impl FnMut(Option<&str>)) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut version, mut known) = (None, None);
    loop {
        ticks.tick().await;
        let Ok(current) = catalog::version(store).await else { continue };
        if version == Some(current) {
            continue;
        }
        let Ok(row) = get(store, key).await else { continue };
        version = Some(current);
        let value = Some(row.map(|row| row.value));
        if value != known {
            changed(value.as_ref().and_then(Option::as_deref));
            known = value;
        }
    }
}

pub(crate) async fn set(tx: &mut Transaction, key: &str, value: &str, now_ms: i64) -> Result<(), Error> {
    let statement = Statement::new(
        "INSERT INTO settings (key, value, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
    );
    tx.execute(statement.bind(key).bind(value).bind(now_ms)).await.map(drop)
}

// === impl FromRow ===

impl FromRow for Setting {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { key: row.text("key")?, value: row.text("value")?, updated_at: row.int("updated_at")? })
    }
}
