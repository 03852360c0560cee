//! Rows of the table `provider_configs`.

use signalbox_core::schema::{ConfigValue, ProviderConfig};
use signalbox_core::secret::{Secret, is_sensitive_key};

use crate::row::{Columns, FromRow};
use crate::sealer::SecretLocation;
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{Error, Sealer};

/// Returns the values as stored, with secrets sealed.
pub(crate) fn sealed(sealer: &Sealer, provider_id: &str, values: &[ConfigValue]) -> Result<Vec<ConfigValue>, Error> {
    let seal = |value: &ConfigValue| {
        let mut value = value.clone();
        if is_secret(&value.key, value.is_sensitive) {
            value.value = Secret::new(sealer.seal(secret_location(provider_id, &value.key), value.value.expose())?);
        }
        Ok(value)
    };
    values.iter().map(seal).collect()
}

/// Returns whether a value is a secret. Rows of the Node.js version may lack the mark: that version did not treat
/// cookies as secrets.
pub(crate) fn is_secret(key: &str, is_sensitive: bool) -> bool {
    is_sensitive || is_sensitive_key(key)
}

/// Returns the place of a value, to which its seal is bound.
pub(crate) const fn secret_location<'a>(provider_id: &'a str, key: &'a str) -> SecretLocation<'a> {
    SecretLocation { table: "provider_configs", row: provider_id, column: key }
}

/// Writes values whose secrets are already sealed.
pub(crate) async fn upsert(
    tx: &mut Transaction,
    provider_id: &str,
    values: &[ConfigValue],
    now_ms: i64,
) -> Result<(), Error> {
    for value in values {
        let statement = Statement::new(
            "INSERT INTO provider_configs (provider_id, key, value, is_sensitive, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $5)
             ON CONFLICT (provider_id, key) DO UPDATE
             SET value = excluded.value, is_sensitive = excluded.is_sensitive, updated_at = excluded.updated_at",
        )
        .bind(provider_id)
        .bind(&value.key)
        .bind(value.value.expose())
        .bind(value.is_sensitive)
        .bind(now_ms);
        tx.execute(statement).await?;
    }
    Ok(())
}

// === impl FromRow ===

impl FromRow for ProviderConfig {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            provider_id: row.text("provider_id")?,
            key: row.text("key")?,
            value: Secret::new(row.text("value")?),
            is_sensitive: row.flag("is_sensitive")?,
            updated_at: row.int("updated_at")?,
        })
    }
}
