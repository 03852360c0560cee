//! Flags that set values of a provider's configuration, directly or from variables and files.

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Map, Value};
use signalbox_core::{
    provider_config::{API_KEYS, AddressRule, Mistake, check_key, check_value, value_of_text},
    provider_type::ProviderType,
    schema::{ConfigValue, ProviderConfig},
    secret::{Secret, is_sensitive_key},
};

/// Maximum bytes read from a file that contains a value.
const MAX_FILE: u64 = 64 * 1024;

/// Flags for configuration values.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Values {
    /// Set a configuration value. Not for secrets: other users can read command lines. Can be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Set a value from an environment variable: `--set-env apiKey=OPENAI_API_KEY`, or one of several keys by its name:
    /// `--set-env apiKeys.team-b=SECOND_KEY`
    #[arg(long, value_name = "KEY=VARIABLE")]
    set_env: Vec<String>,
    /// Set a value from the first line of a file: `--set-file apiKey=/run/secrets/openai`
    #[arg(long, value_name = "KEY=FILE")]
    set_file: Vec<String>,
}

// === impl Values ===

impl Values {
    /// Returns `true` if no flag was given.
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.set_env.is_empty() && self.set_file.is_empty()
    }

    /// Returns the keys with their values in stored form.
    ///
    /// # Errors
    /// Returns all mistakes, without the values, which may be secrets.
    pub(super) fn read(&self, kind: ProviderType, address: AddressRule<'_>) -> anyhow::Result<Vec<(String, Value)>> {
        self.read_beside(None, kind, address)
    }

    /// Returns the keys with their values in stored form. A key that is given by its name (`apiKeys.NAME`) is added to
    /// those that are `stored`.
    ///
    /// # Errors
    /// Returns all mistakes, without the values, which may be secrets.
    pub(super) fn read_beside(
        &self,
        stored: Option<&Value>,
        kind: ProviderType,
        address: AddressRule<'_>,
    ) -> anyhow::Result<Vec<(String, Value)>> {
        let mut texts = Vec::new();
        for (key, text) in split("--set", &self.set)? {
            texts.push((key, text.to_owned()));
        }
        for (key, name) in split("--set-env", &self.set_env)? {
            let text = std::env::var(name).ok().filter(|text| !text.is_empty());
            texts.push((key, text.with_context(|| format!("--set-env {key}: the variable {name} is not set"))?));
        }
        for (key, path) in split("--set-file", &self.set_file)? {
            texts.push((key, first_line(&PathBuf::from(path)).with_context(|| format!("--set-file {key}"))?));
        }
        let mut values: Vec<(String, Value)> = Vec::with_capacity(texts.len());
        let mut mistakes = Vec::new();
        let mut named = Map::new();
        for (key, text) in texts {
            if let Some(name) = key_name(key) {
                ensure!(named.insert(name.to_owned(), text.into()).is_none(), "`{key}` is given twice");
                continue;
            }
            ensure!(values.iter().all(|(known, _)| known != key), "`{key}` is given twice");
            match typed(kind, key, &text, address) {
                Ok(value) => values.push((key.to_owned(), value)),
                Err(wrong) => mistakes.extend(wrong),
            }
        }
        if !named.is_empty() {
            ensure!(values.iter().all(|(known, _)| known != API_KEYS), "give `{API_KEYS}` whole or by name");
            let mut keys = stored.and_then(Value::as_object).cloned().unwrap_or_default();
            keys.extend(named);
            match check_value(API_KEYS, keys.into(), address) {
                Ok(keys) => values.push((API_KEYS.to_owned(), keys)),
                Err(wrong) => mistakes.extend(wrong),
            }
        }
        ensure!(mistakes.is_empty(), join_mistakes(&mistakes));
        Ok(values)
    }
}

/// Returns the name of a provider's key in `apiKeys.NAME`.
pub(super) fn key_name(key: &str) -> Option<&str> {
    key.strip_prefix(API_KEYS)?.strip_prefix('.')
}

/// Converts a text to the value type of a key.
///
/// # Errors
/// Returns the mistakes in the value.
pub(super) fn typed(
    kind: ProviderType,
    key: &str,
    text: &str,
    address: AddressRule<'_>,
) -> Result<Value, Vec<Mistake>> {
    let field = kind.fields().into_iter().find(|field| field.name == key);
    check_value(key, value_of_text(key, field.map(|field| field.kind), text), address)
}

/// Joins all mistakes into one text.
pub(super) fn join_mistakes(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Checks that no required value is missing.
///
/// # Errors
/// Names the missing keys, and a flag that sets the first one.
pub(super) fn complete<'a>(kind: ProviderType, has: impl Fn(&str) -> bool + 'a) -> anyhow::Result<()> {
    let missing = kind.missing(has);
    let Some(first) = missing.first() else { return Ok(()) };
    let names: Vec<&str> = missing.iter().map(|field| field.name).collect();
    let how = if first.sensitive {
        format!("--set-env {}=VARIABLE", first.name)
    } else {
        format!("--set {}=…", first.name)
    };
    bail!("a provider of the type {} needs {}: give it with {how}", kind.value, names.join(", "))
}

/// Creates the row of a value. A key that was stored as a secret remains one.
pub(super) fn stored(key: &str, value: &Value, existing: &[ProviderConfig]) -> ConfigValue {
    let was_secret = existing.iter().any(|row| row.key == key && row.is_sensitive);
    ConfigValue {
        key: key.to_owned(),
        value: Secret::new(value.to_string()),
        is_sensitive: is_sensitive_key(key) || was_secret,
    }
}

fn split<'a>(flag: &str, given: &'a [String]) -> anyhow::Result<Vec<(&'a str, &'a str)>> {
    let each = |given: &'a String| {
        // Errors must not quote the argument: the text after `=` may be a secret, and so may an argument without `=`.
        let (key, value) = given.split_once('=').with_context(|| format!("{flag} takes KEY=…"))?;
        check_key(key.trim()).map_err(|mistake| anyhow::anyhow!("{flag}: {mistake}"))?;
        Ok((key.trim(), value))
    };
    given.iter().map(each).collect()
}

fn first_line(path: &std::path::Path) -> anyhow::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    file.take(MAX_FILE).read_to_string(&mut text).with_context(|| format!("cannot read {}", path.display()))?;
    let line = text.lines().next().unwrap_or_default().trim_end().to_owned();
    ensure!(!line.is_empty(), "the first line of {} is empty", path.display());
    Ok(line)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use signalbox_core::provider_type::provider_type;

    use super::*;

    fn anywhere(_: &str) -> Result<(), String> {
        Ok(())
    }

    #[test]
    fn values_are_converted_to_the_type_of_their_key() {
        let openai = provider_type("openai");
        for (key, text, value) in [
            ("timeout", "5000", Some(json!(5000))),
            ("timeout", "soon", None),
            ("headers", r#"{"a":"b"}"#, Some(json!({"a": "b"}))),
            ("headers", "[]", None),
            ("apiKey", "12345", Some(json!("12345"))),
            ("apiKey", " sk-1\n", Some(json!("sk-1"))),
            ("baseURL", "http://x", Some(json!("http://x"))),
            ("own", "true", Some(json!(true))),
            ("own", "word", Some(json!("word"))),
            ("ownToken", "7", Some(json!("7"))),
        ] {
            assert_eq!(typed(openai, key, text, &anywhere).ok(), value, "{key}={text}");
        }
    }

    #[test]
    fn errors_name_the_key_and_not_the_value() {
        let values = |given: &str| Values { set: vec![given.to_owned()], ..Values::default() };
        let join_mistakes = |values: Values| values.read(provider_type("openai"), &anywhere).unwrap_err().to_string();
        for given in ["canary", "=canary", "timeout=canary", "headers=canary", "apiKey=a\r\ncanary"] {
            let error = join_mistakes(values(given));
            assert!(!error.contains("canary"), "{error}");
        }
        assert!(join_mistakes(Values { set: vec!["a=1".into(), "a=2".into()], ..Values::default() }).contains("twice"));
        let all = join_mistakes(Values { set: vec!["timeout=soon".into(), "baseURL=x".into()], ..Values::default() });
        assert!(all.contains("config.timeout") && all.contains("config.baseURL"), "all at once: {all}");
    }

    #[test]
    fn missing_values_are_named() {
        let error = complete(provider_type("openai"), |_| false).unwrap_err().to_string();
        assert!(error.contains("apiKey") && error.contains("--set-env"), "{error}");
        assert!(complete(provider_type("openai"), |key| key == "apiKey").is_ok());
    }
}
