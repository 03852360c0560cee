//! Statistics of the answers, by provider.

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::{Error, Store};

/// The requests that one provider answered or was the last to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderActivity {
    /// `None` for requests that reached no provider, and for those logged before providers were recorded.
    pub provider_id: Option<String>,
    /// Number of logged requests that have ended.
    pub requests: i64,
    /// Number of those requests that have an error.
    pub errors: i64,
    /// Mean duration, rounded; `None` if it was never measured.
    pub avg_duration_ms: Option<i64>,
    /// The sum of the known costs, in nano-dollars.
    pub cost_nanos: i64,
    /// Number of requests whose cost is unknown.
    pub unpriced: i64,
}

/// Returns the statistics by provider, the busiest first. Reads every row of `responses`, so it must not be polled.
///
/// # Errors
/// See [`Error`].
pub async fn by_provider(store: &Store) -> Result<Vec<ProviderActivity>, Error> {
    // The casts are for PostgreSQL, where sums and averages of integers have another type.
    let select = "SELECT provider_id, COUNT(*) AS requests,
             CAST(SUM(CASE WHEN error IS NULL THEN 0 ELSE 1 END) AS BIGINT) AS errors,
             CAST(ROUND(AVG(duration_ms)) AS BIGINT) AS avg_duration_ms,
             CAST(COALESCE(SUM(cost_nanos), 0) AS BIGINT) AS cost_nanos,
             CAST(SUM(CASE WHEN cost_nanos IS NULL AND cost_origin IS NOT NULL THEN 1 ELSE 0 END) AS BIGINT) AS unpriced
         FROM responses GROUP BY provider_id ORDER BY requests DESC, provider_id";
    store.all(Statement::new(select)).await
}

// === impl FromRow ===

impl FromRow for ProviderActivity {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            provider_id: row.optional_text("provider_id")?,
            requests: row.int("requests")?,
            errors: row.int("errors")?,
            avg_duration_ms: row.optional_int("avg_duration_ms")?,
            cost_nanos: row.int("cost_nanos")?,
            unpriced: row.int("unpriced")?,
        })
    }
}
