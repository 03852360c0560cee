//! Sums over the table `usage_hours`.

/// Milliseconds of an hour.
pub(crate) const HOUR_MS: i64 = 3_600_000;

/// Counts the requests; the caller appends filters.
pub(crate) const REQUESTS: &str = "SELECT CAST(COALESCE(SUM(requests), 0) AS BIGINT) AS total FROM usage_hours";

/// Computes [`crate::responses::Stats`] over all answers.
///
/// The casts are for PostgreSQL, where sums and quotients of integers have another type.
pub(crate) const ANSWERS: &str = "SELECT CAST(COALESCE(SUM(answers), 0) AS BIGINT) AS total_responses,
         CAST(COALESCE(SUM(answers - errors), 0) AS BIGINT) AS succeeded,
         CAST(COALESCE(SUM(total_tokens), 0) AS BIGINT) AS total_tokens,
         CAST(COALESCE(SUM(completion_tokens), 0) AS BIGINT) AS total_completion_tokens,
         CAST(COALESCE(SUM(prompt_tokens), 0) AS BIGINT) AS total_prompt_tokens,
         CAST(ROUND(COALESCE(SUM(duration_ms) * 1.0 / NULLIF(SUM(timed), 0), 0)) AS BIGINT) AS avg_duration_ms,
         CAST(COALESCE(SUM(cost_nanos), 0) AS BIGINT) AS cost_nanos,
         CAST(COALESCE(SUM(unpriced), 0) AS BIGINT) AS unpriced
     FROM usage_hours";
