//! Table `provider_configs`. The values of keys that are sensitive, or whose names sound sensitive, are sealed.

use serde_json::Value;
use signalbox_core::schema::{ConfigValue, ProviderConfig};
use signalbox_core::secret::Secret;

use crate::sealer::is_sealed;
use crate::statement::Statement;
use crate::tables::provider_configs::{is_secret, sealed, secret_location, upsert};
use crate::tables::providers::lock_row;
use crate::{Error, Sealer, Store};

/// The name of a row of this table in errors.
const ENTITY: &str = "config key";

/// Returns the configuration of a provider by key, with secrets as stored: see [`json`](fn@json). Empty for an unknown
/// provider.
///
/// # Errors
/// See [`Error`].
pub async fn list(store: &Store, provider_id: &str) -> Result<Vec<ProviderConfig>, Error> {
    let statement = Statement::new("SELECT * FROM provider_configs WHERE provider_id = $1 ORDER BY key");
    store.all(statement.bind(provider_id)).await
}

/// Writes values atomically; other keys keep their values.
///
/// # Errors
/// [`Error::NotFound`] if the provider does not exist; see [`Error`].
pub async fn put(
    store: &Store,
    sealer: &Sealer,
    provider_id: &str,
    values: &[ConfigValue],
    now_ms: i64,
) -> Result<(), Error> {
    let values = sealed(sealer, provider_id, values)?;
    let mut tx = store.write().await?;
    lock_row(&mut tx, provider_id).await?;
    upsert(&mut tx, provider_id, &values, now_ms).await?;
    tx.commit().await
}

/// Returns the number of values that were sealed with another key.
pub(crate) async fn count_foreign(store: &Store, sealer: &Sealer) -> Result<usize, Error> {
    let all: Vec<ProviderConfig> = store.all(Statement::new("SELECT * FROM provider_configs")).await?;
    Ok(all.iter().filter(|config| sealer.is_foreign(config.value.expose())).count())
}

/// Seals all secrets that were stored before secrets were sealed; returns their number. Does not change `updated_at`.
///
/// # Errors
/// See [`Error`].
pub async fn seal_all(store: &Store, sealer: &Sealer) -> Result<usize, Error> {
    let is_bare =
        |config: &ProviderConfig| is_secret(&config.key, config.is_sensitive) && !is_sealed(config.value.expose());
    let all: Vec<ProviderConfig> = store.all(Statement::new("SELECT * FROM provider_configs")).await?;
    let bare: Vec<ProviderConfig> = all.into_iter().filter(is_bare).collect();
    if bare.is_empty() {
        return Ok(0);
    }
    let mut tx = store.write().await?;
    for config in &bare {
        // The condition skips rows that have been changed in the meantime.
        let statement =
            Statement::new("UPDATE provider_configs SET value = $4 WHERE provider_id = $1 AND key = $2 AND value = $3")
                .bind(&config.provider_id)
                .bind(&config.key)
                .bind(config.value.expose())
                .bind(sealer.seal(secret_location(&config.provider_id, &config.key), config.value.expose())?);
        tx.execute(statement).await?;
    }
    tx.commit().await?;
    Ok(bare.len())
}

/// Deletes a key.
///
/// # Errors
/// [`Error::NotFound`]: `config key` or `provider`; see [`Error`].
pub async fn delete(store: &Store, provider_id: &str, key: &str) -> Result<(), Error> {
    let mut tx = store.write().await?;
    lock_row(&mut tx, provider_id).await?;
    let statement = Statement::new("DELETE FROM provider_configs WHERE provider_id = $1 AND key = $2");
    if tx.execute(statement.bind(provider_id).bind(key)).await? == 0 {
        return Err(Error::NotFound { entity: ENTITY });
    }
    tx.commit().await
}

/// Returns the text of a value, decrypted if it is sealed.
///
/// # Errors
/// [`Error::Sealed`] if the value was sealed with another key.
pub fn open(sealer: &Sealer, config: &ProviderConfig) -> Result<Secret<String>, Error> {
    sealer.open(secret_location(&config.provider_id, &config.key), config.value.expose())
}

/// Returns the value as JSON. Rows written by the Node.js version may hold bare text, which becomes a string.
///
/// A sensitive value that is not an object or an array is always a string: a token of digits is not a number.
///
/// # Errors
/// See [`open`].
pub fn json(sealer: &Sealer, config: &ProviderConfig) -> Result<Value, Error> {
    let text = open(sealer, config)?;
    let text = text.expose();
    Ok(match serde_json::from_str(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_) | Value::String(_))) => value,
        Ok(value @ (Value::Number(_) | Value::Bool(_))) if !config.is_sensitive => value,
        _ => Value::String(text.clone()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sealer() -> Sealer {
        Sealer::new(&Secret::new([1; 32]))
    }

    fn config(value: &str, is_sensitive: bool) -> ProviderConfig {
        ProviderConfig {
            provider_id: "p".to_owned(),
            key: "k".to_owned(),
            value: Secret::new(value.to_owned()),
            is_sensitive,
            updated_at: 0,
        }
    }

    #[test]
    fn json_is_parsed_and_bare_text_is_a_string() {
        for (text, value) in [
            ("\"http://x\"", json!("http://x")),
            ("120000", json!(120_000)),
            ("true", json!(true)),
            ("{\"a\":1}", json!({"a": 1})),
            ("[1]", json!([1])),
            ("http://x", json!("http://x")),
            ("null", json!("null")),
            ("", json!("")),
            ("{broken", json!("{broken")),
        ] {
            assert_eq!(super::json(&sealer(), &config(text, false)).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn a_secret_is_text_even_if_it_looks_like_a_number() {
        for (text, value) in [
            ("1234567890123456789012", json!("1234567890123456789012")),
            ("12", json!("12")),
            ("\"12\"", json!("12")),
            ("true", json!("true")),
            ("sk-abc", json!("sk-abc")),
            ("{\"x-key\":\"v\"}", json!({"x-key": "v"})),
        ] {
            assert_eq!(super::json(&sealer(), &config(text, true)).unwrap(), value, "{text}");
        }
    }
}
