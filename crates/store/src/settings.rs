//! Table `settings`: options that can be changed at run time.

use signalbox_core::schema::Setting;
use tokio::time::{Duration, MissedTickBehavior, interval};

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
pub use crate::tables::ACTIVE_PROVIDER;
use crate::transaction::Transaction;
use crate::{Error, Store, catalog};

/// Setting: whether the log keeps the bodies of requests.
pub const LOG_REQUESTS: &str = "logging.logRequests";
/// Setting: whether the log keeps the answers.
pub const LOG_RESPONSES: &str = "logging.logResponses";

/// Setting: amount of dollars that all requests together may cost in each [`BUDGET_PERIOD`].
pub const BUDGET_AMOUNT: &str = "budget.amount_usd";
/// Setting: period of [`BUDGET_AMOUNT`].
pub const BUDGET_PERIOD: &str = "budget.period";
/// Setting: budgets of the owners of client keys, a JSON object.
pub const BUDGET_OWNERS: &str = "budget.owners";
/// Setting: whether requests whose price is unknown are allowed where a budget applies.
pub const BUDGET_UNPRICED: &str = "budget.unpriced";

/// Poll interval: two polls a second, so that a change takes effect within one second.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Returns the settings that differ from their defaults, by key.
///
/// # Errors
/// See [`Error`].
pub async fn list(store: &Store) -> Result<Vec<Setting>, Error> {
    store.all(Statement::new("SELECT * FROM settings ORDER BY key")).await
}

/// Returns one setting; `None` if it has its default value.
///
/// # Errors
/// See [`Error`].
pub async fn get(store: &Store, key: &str) -> Result<Option<Setting>, Error> {
    store.first(Statement::new("SELECT * FROM settings WHERE key = $1").bind(key)).await
}

/// Returns whether a setting still has the value that it got when the database was created. The user has not chosen
/// such a value, so it may be replaced with a better one.
///
/// # Errors
/// See [`Error`].
pub async fn is_seeded(store: &Store, key: &str) -> Result<bool, Error> {
    let statement = Statement::new("SELECT 1 AS one FROM settings WHERE key = $1 AND seeded").bind(key);
    Ok(store.first::<()>(statement).await?.is_some())
}

/// Writes settings, given as pairs of key and value, atomically.
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

/// Resets a setting to its default; returns whether it had another value.
///
/// # Errors
/// See [`Error`].
pub async fn delete(store: &Store, key: &str) -> Result<bool, Error> {
    let mut tx = store.write().await?;
    let deleted = tx.execute(Statement::new("DELETE FROM settings WHERE key = $1").bind(key)).await?;
    tx.commit().await?;
    Ok(deleted > 0)
}

/// Calls `changed` with the values of these settings, immediately and whenever one of them changes, until the future is
/// dropped; `None` stands for the default. While the database is unavailable, the last values stay in effect.
pub async fn watch<const N: usize>(store: &Store, keys: [&str; N], mut changed: impl FnMut([Option<&str>; N])) {
    let mut ticks = interval(POLL_INTERVAL);
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

/// Returns whether a switch that is on by default is on. An invalid value counts as off, because it was set to change
/// the default.
#[must_use]
pub fn is_on(key: &str, value: Option<&str>) -> bool {
    match value {
        None | Some("true") => true,
        Some("false") => false,
        Some(value) => {
            tracing::warn!(key, value, "setting is not true or false and counts as false");
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
