//! Values of a provider's configuration, from and to JSON.

use std::path::PathBuf;

use serde_json::{Map, Value};
use signalbox_core::provider_config::{API_KEYS, Mistake, check_key, check_value, masked, with_stored};
use signalbox_core::schema::{ConfigValue, ProviderConfig};
use signalbox_core::secret::{MASK, Secret, is_sensitive_key};
use signalbox_store::provider_configs;
use signalbox_upstream::{AddressPolicy, ConfigError, Target, TlsFiles};

use super::form::Form;
use super::mistake::FieldMistake;
use super::{App, Error};

/// Returns keys and values as JSON, with secrets masked if `mask` is set.
pub(super) fn shown(app: &App, configs: &[ProviderConfig], mask: bool) -> Result<Map<String, Value>, Error> {
    configs.iter().map(|config| Ok((config.key.clone(), shown_value(app, config, mask)?))).collect()
}

/// Returns the values to write for these keys. A value that equals the mask was copied from [`shown`] and leaves the
/// secret unchanged.
///
/// # Errors
/// Fails if a stored secret that is to be kept cannot be read.
pub(super) fn values(
    app: &App,
    config: &Map<String, Value>,
    existing: &[ProviderConfig],
    form: &mut Form,
) -> Result<Vec<ConfigValue>, Error> {
    let mut values = Vec::with_capacity(config.len());
    for (key, value) in config.iter().filter(|(_, value)| *value != MASK) {
        let row = existing.iter().find(|row| row.key == *key);
        match checked(key, kept(app, key, value.clone(), row)?) {
            Ok(value) => values.push(ConfigValue {
                key: key.clone(),
                value: Secret::new(value.to_string()),
                is_sensitive: sensitivity(key, row),
            }),
            Err(mistakes) => form.mistakes(&mistakes),
        }
    }
    Ok(values)
}

/// Replaces masks within the keys of a provider by the stored keys of the same names.
pub(super) fn kept(app: &App, key: &str, given: Value, row: Option<&ProviderConfig>) -> Result<Value, Error> {
    match row.filter(|_| key == API_KEYS) {
        Some(row) => Ok(with_stored(given, &provider_configs::json(&app.sealer, row)?)),
        None => Ok(given),
    }
}

/// Returns a value as JSON, masked if it is a secret and `mask` is set.
pub(super) fn shown_value(app: &App, config: &ProviderConfig, mask: bool) -> Result<Value, Error> {
    // Rows of the Node.js version may lack the mark: that version did not treat cookies as secrets.
    let secret = config.is_sensitive || is_sensitive_key(&config.key);
    if mask && secret && config.key == API_KEYS {
        // Their names are no secrets, and needed to change one of them. Keys that cannot be read have no names.
        return Ok(provider_configs::json(&app.sealer, config).map_or_else(|_| MASK.into(), |keys| masked(&keys)));
    }
    if mask && secret { Ok(MASK.into()) } else { Ok(provider_configs::json(&app.sealer, config)?) }
}

/// Returns whether a value is a secret. A secret remains one until a request explicitly changes that.
pub(super) fn sensitivity(key: &str, existing: Option<&ProviderConfig>) -> bool {
    is_sensitive_key(key) || existing.is_some_and(|config| config.is_sensitive)
}

/// Returns the value in the form to store, or all of its mistakes.
pub(super) fn checked(key: &str, value: Value) -> Result<Value, Vec<Mistake>> {
    check_key(key).map_err(|mistake| vec![mistake])?;
    check_value(key, value, &address)
}

/// Checks an address by the rule of this API. In an installation that refuses private addresses, the router refuses
/// them when it loads the provider.
fn address(base_url: &str) -> Result<(), String> {
    Target::parse(base_url, &AddressPolicy::default()).map(drop).map_err(|error| error.to_string())
}

/// Checks that the files for TLS can be read and belong together, if one of them is written. Only a request that can
/// write several keys (`is_whole`) has to give certificate and key at once.
pub(super) async fn check_files(
    app: &App,
    existing: &[ProviderConfig],
    written: &[ConfigValue],
    is_whole: bool,
) -> Result<(), Error> {
    const KEYS: [&str; 3] = ["caFile", "clientCert", "clientKey"];
    if !written.iter().any(|value| KEYS.contains(&&*value.key)) {
        return Ok(());
    }
    let mut paths = KEYS.map(|_| None);
    for (key, path) in KEYS.into_iter().zip(&mut paths) {
        let text = match written.iter().find(|value| value.key == key) {
            Some(value) => serde_json::from_str(value.value.expose()).unwrap_or_default(),
            None => match existing.iter().find(|config| config.key == key) {
                Some(config) => provider_configs::json(&app.sealer, config)?,
                None => Value::Null,
            },
        };
        *path = text.as_str().filter(|path| !path.is_empty()).map(PathBuf::from);
    }
    let [ca, client_cert, client_key] = paths;
    let files = TlsFiles { ca, client_cert, client_key };
    match tokio::task::spawn_blocking(move || files.check()).await {
        Ok(Err(error)) if is_whole || !matches!(error, ConfigError::ClientPair) => {
            Err(Error::Validation(vec![FieldMistake::of_path(format!("config: {error}"))]))
        }
        _ => Ok(()),
    }
}
