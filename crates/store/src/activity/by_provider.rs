//! Who answered how much.

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::{Error, Store};

/// What one provider has answered, or was the last to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderActivity {
    /// `None`: requests that reached none, and those of before providers were noted.
    pub provider_id: Option<String>,
    /// Requests in the log that have ended.
    pub requests: i64,
    /// Those of them with an error.
    pub errors: i64,
    /// Rounded; `None` where it was never measured.
    pub avg_duration_ms: Option<i64>,
}

/// The log by provider, the busiest first. It reads every answer's row, so it is for people, not for polling.
///
/// # Errors
/// See [`Error`].
pub async fn by_provider(store: &Store) -> Result<Vec<ProviderActivity>, Error> {
    // The casts are for PostgreSQL, whose sums and averages of integers are of another type.
    let select = "SELECT provider_id, COUNT(*) AS requests,
             CAST(SUM(CASE WHEN error IS NULL THEN 0 ELSE 1 END) AS BIGINT) AS errors,
             CAST(ROUND(AVG(duration_ms)) AS BIGINT) AS avg_duration_ms
         FROM responses GROUP BY provider_id ORDER BY requests DESC, provider_id";
    store.all(Statement::new(select)).await
}

// === impl FromRow ===

impl FromRow for ProviderActivity {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            provider_id: row.maybe_text("provider_id")?,
            requests: row.int("requests")?,
            errors: row.int("errors")?,
            avg_duration_ms: row.maybe_int("avg_duration_ms")?,
        })
    }
}
