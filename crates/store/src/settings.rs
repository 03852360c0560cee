//! Table `settings`.

use signalbox_core::schema::Setting;
use tokio::time::{Duration, MissedTickBehavior, interval};

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{Error, Store, catalog};

/// Whether the request log keeps what people ask.
pub const LOG_REQUESTS: &str = "logging.logRequests";
/// Whether it keeps what they are answered.
pub const LOG_RESPONSES: &str = "logging.logResponses";

/// The provider that requests go to first.
pub const ACTIVE_PROVIDER: &str = "active_provider";

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

/// Returns whether a setting still has the value that the new database was given, so that it may be replaced by a better one:
/// nobody has chosen it.
///
/// # Errors
/// See [`Error`].
pub async fn is_seeded(store: &Store, key: &str) -> Result<bool, Error> {
    let statement = Statement::new("SELECT 1 AS one FROM settings WHERE key = $1 AND seeded").bind(key);
    Ok(store.first::<()>(statement).await?.is_some())
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

/// Calls `changed` with the values of these settings, at once and whenever one of them has become another one, until it is
/// dropped; `None` is a default. While the database is away, the last values stay in force.
pub async fn watch<const N: usize>(store: &Store, keys: [&str; N], mut changed: impl FnMut([Option<&str>; N])) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut version, mut known) = (None, None);
    loop {
        ticks.tick().await;
        let Ok(current) = catalog::version(store).await else { continue };
        if version == Some(current) {
            continue;
        }
        let Ok(rows) = list(store).await else { continue };
        version = Some(current);
        let values = keys.map(|key| rows.iter().find(|row| row.key == key).map(|row| row.value.clone()));
        if known.as_ref() != Some(&values) {
            changed(values.each_ref().map(Option::as_deref));
            known = Some(values);
        }
    }
}

/// Whether a switch that is on by default is on. Who has set it to something that is no answer wanted it off.
#[must_use]
pub fn is_on(key: &str, value: Option<&str>) -> bool {
    match value {
        None | Some("true") => true,
        Some("false") => false,
        Some(value) => {
            tracing::warn!(key, value, "a setting takes true or false; it counts as false");
            false
        }
    }
}

pub(crate) async fn set(tx: &mut Transaction, key: &str, value: &str, now_ms: i64) -> Result<(), Error> {
    let statement = Statement::new(
        "INSERT INTO settings (key, value, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at, seeded = FALSE",
    );
    tx.execute(statement.bind(key).bind(value).bind(now_ms)).await.map(drop)
}

// === impl FromRow ===

impl FromRow for Setting {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { key: row.text("key")?, value: row.text("value")?, updated_at: row.int("updated_at")? })
    }
}
