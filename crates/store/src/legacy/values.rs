//! Gives every value of the Node.js version the type of its column.
//!
//! A column of SQLite takes values of any type, and that version stored what providers and browsers sent: fractions of
//! tokens, times with fractions, texts.

use super::run;
use super::tables::{TABLES, Table};
use crate::Error;
use crate::transaction::Transaction;

/// Numbers that are not times, and whether they may be missing.
const COUNTS: [(&str, bool); 7] = [
    ("message_count", false),
    ("priority", false),
    ("completion_tokens", true),
    ("prompt_tokens", true),
    ("total_tokens", true),
    ("duration_ms", true),
    ("status_code", true),
];
const TIMES: [&str; 6] = ["timestamp", "created_at", "updated_at", "last_accessed", "expires_at", "applied_at"];
/// Tables whose times are seconds.
const IN_SECONDS: [&str; 3] = ["qwen_credentials", "request_logs", "schema_version"];

/// Rounds numbers, reads dates that were stored as text, empties what is no number, and takes bytes for text. Returns the number of values
/// that were changed.
///
/// # Errors
/// Returns an error of the database.
pub(super) async fn give_types(tx: &mut Transaction) -> Result<u64, Error> {
    let mut changed = 0;
    for Table { name, needed, later } in TABLES {
        for column in needed.iter().chain(*later) {
            let otherwise = if TIMES.contains(column) {
                let factor = if IN_SECONDS.contains(name) { 1 } else { 1000 };
                format!("COALESCE(CAST(strftime('%s', CAST({column} AS TEXT)) AS INTEGER) * {factor}, 0)")
            } else if let Some((_, may_be_missing)) = COUNTS.iter().find(|(count, _)| count == column) {
                if *may_be_missing { "NULL" } else { "0" }.to_owned()
            } else {
                // The audit log writes rows as JSON, which holds no bytes.
                let text = format!(
                    "UPDATE original_{name} SET {column} = CAST({column} AS TEXT) WHERE typeof({column}) = 'blob'"
                );
                changed += run(tx, text).await?;
                continue;
            };
            let text = format!(
                "UPDATE original_{name} SET {column} = CASE WHEN typeof({column}) = 'real' AND abs({column}) < 9e15 \
                 THEN CAST(round({column}) AS INTEGER) ELSE {otherwise} END \
                 WHERE typeof({column}) NOT IN ('integer', 'null')"
            );
            changed += run(tx, text).await?;
        }
    }
    Ok(changed)
}
