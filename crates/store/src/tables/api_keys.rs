//! Rows of the table `api_keys`.

use signalbox_core::schema::{ApiKey, ApiKeyFields};

use super::routes::{document, read_document};
use crate::Error;
use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::transaction::Transaction;

/// The name of a row of this table in errors.
pub(crate) const ENTITY: &str = "key";

/// Replaces the fields of a key that a user may change.
pub(crate) async fn update(
    tx: &mut Transaction,
    id: &str,
    fields: &ApiKeyFields,
    now_ms: i64,
) -> Result<ApiKey, Error> {
    let statement = Statement::new(
        "UPDATE api_keys SET name = $2, document = $3, expires_at = $4, updated_at = $5 WHERE id = $1 RETURNING *",
    )
    .bind(id)
    .bind(&fields.name)
    .bind(document(&fields.grant)?)
    .bind(fields.expires_at)
    .bind(now_ms);
    tx.one(statement, ENTITY).await
}

// === impl FromRow ===

impl FromRow for ApiKey {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            id: row.text("id")?,
            name: row.text("name")?,
            hint: row.text("hint")?,
            digest: row.text("digest")?,
            previous_digest: row.optional_text("previous_digest")?,
            previous_expires_at: row.optional_int("previous_expires_at")?,
            grant: read_document(row)?,
            expires_at: row.optional_int("expires_at")?,
            revoked_at: row.optional_int("revoked_at")?,
            created_at: row.int("created_at")?,
            updated_at: row.int("updated_at")?,
        })
    }
}
