//! Table `errors`: the errors reported by qwen-proxy.

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::{Error, Store};

/// An error report. The caller removes secrets and truncates long texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewReport {
    /// A UUID; clients see it as `error_id`.
    pub error_id: String,
    /// When the error occurred, in Unix milliseconds.
    pub timestamp: i64,
    /// `http_error`, `api_error`, `stream_error`, `database_error`, `validation_error` or `unknown_error`.
    pub error_type: &'static str,
    /// The stable name of the error.
    pub error_code: Option<String>,
    /// The error message.
    pub error_message: String,
    /// The path of the request.
    pub endpoint: Option<String>,
    /// The method of the request.
    pub method: Option<String>,
    /// The `User-Agent` of the client.
    pub user_agent: Option<String>,
    /// The body of the request.
    pub request_payload: Option<String>,
    /// `critical`, `error` or `warning`.
    pub severity: &'static str,
}

/// The summary of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// See [`NewReport::error_id`].
    pub error_id: String,
    /// See [`NewReport::timestamp`].
    pub timestamp: i64,
    /// See [`NewReport::error_type`].
    pub error_type: String,
    /// See [`NewReport::error_message`].
    pub error_message: String,
    /// See [`NewReport::endpoint`].
    pub endpoint: Option<String>,
    /// See [`NewReport::severity`].
    pub severity: String,
}

/// The number of rows of a type and severity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// See [`NewReport::error_type`].
    pub error_type: String,
    /// See [`NewReport::severity`].
    pub severity: String,
    /// All reports.
    pub total: i64,
    /// Reports that are not marked as resolved.
    pub unresolved: i64,
}

/// Stores all reports in one transaction.
///
/// # Errors
/// See [`Error`].
pub async fn put(store: &Store, reports: &[NewReport]) -> Result<(), Error> {
    let mut tx = store.write_log().await?;
    for report in reports {
        let statement = Statement::new(
            "INSERT INTO errors (error_id, timestamp, error_type, error_code, error_message, endpoint, method,
                 user_agent, request_payload, severity, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $2)",
        )
        .bind(&report.error_id)
        .bind(report.timestamp)
        .bind(report.error_type)
        .bind(report.error_code.as_deref())
        .bind(&report.error_message)
        .bind(report.endpoint.as_deref())
        .bind(report.method.as_deref())
        .bind(report.user_agent.as_deref())
        .bind(report.request_payload.as_deref())
        .bind(report.severity);
        tx.execute(statement.replacing_nul()).await?;
    }
    tx.commit().await
}

/// Returns the newest report, if any.
///
/// # Errors
/// See [`Error`].
pub async fn newest(store: &Store) -> Result<Option<Report>, Error> {
    store.first(Statement::new("SELECT * FROM errors ORDER BY timestamp DESC, id DESC LIMIT 1")).await
}

/// Counts the reports since `since` (Unix milliseconds) by type and severity.
///
/// # Errors
/// See [`Error`].
pub async fn counts(store: &Store, since: i64) -> Result<Vec<Count>, Error> {
    let select = "SELECT error_type, severity, COUNT(*) AS total,
             CAST(SUM(CASE WHEN resolved THEN 0 ELSE 1 END) AS BIGINT) AS unresolved
         FROM errors WHERE timestamp >= $1 GROUP BY error_type, severity ORDER BY error_type, severity";
    store.all(Statement::new(select).bind(since)).await
}

/// Deletes up to `limit` reports older than `before` (Unix milliseconds); returns their number.
///
/// # Errors
/// See [`Error`].
pub async fn delete_before(store: &Store, before: i64, limit: i64) -> Result<u64, Error> {
    let mut tx = store.write_log().await?;
    let statement = Statement::new(
        "DELETE FROM errors WHERE id IN (SELECT id FROM errors WHERE timestamp < $1 ORDER BY timestamp LIMIT $2)",
    );
    let deleted = tx.execute(statement.bind(before).bind(limit)).await?;
    tx.commit().await?;
    Ok(deleted)
}

// === impl FromRow ===

impl FromRow for Report {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            error_id: row.text("error_id")?,
            timestamp: row.int("timestamp")?,
            error_type: row.text("error_type")?,
            error_message: row.text("error_message")?,
            endpoint: row.optional_text("endpoint")?,
            severity: row.text("severity")?,
        })
    }
}

impl FromRow for Count {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            error_type: row.text("error_type")?,
            severity: row.text("severity")?,
            total: row.int("total")?,
            unresolved: row.int("unresolved")?,
        })
    }
}
