//! Table `settings`.

use signalbox_core::schema::Setting;

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::{Error, Store};

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
        let statement = Statement::new(
            "INSERT INTO settings (key, value, updated_at) VALUES ($1, $2, $3)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
        );
        tx.execute(statement.bind(key).bind(value).bind(now_ms)).await?;
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

// === impl FromRow ===

impl FromRow for Setting {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { key: row.text("key")?, value: row.text("value")?, updated_at: row.int("updated_at")? })
    }
}
