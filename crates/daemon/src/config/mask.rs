//! Masking of secrets in a configuration to be printed.

use signalbox_core::secret::{MASK, is_sensitive_key};
use toml::{Table, Value};

/// Table whose `key` is the path of a file, and no secret.
const TLS: &str = "tls";

/// Masks every secret: strings under a key that names a secret, and passwords in URLs.
pub(super) fn mask(table: &mut Table) {
    for (key, value) in table.iter_mut().filter(|(key, _)| *key != TLS) {
        mask_value(value, is_sensitive_key(key));
    }
}

fn mask_value(value: &mut Value, sensitive: bool) {
    match value {
        Value::String(text) if sensitive && is_secret(text) => MASK.clone_into(text),
        Value::String(text) => *text = mask_url(text),
        Value::Array(items) => items.iter_mut().for_each(|item| mask_value(item, sensitive)),
        Value::Table(table) if sensitive => table.iter_mut().for_each(|(_, value)| mask_value(value, true)),
        Value::Table(table) => mask(table),
        // A number under such a key is a limit (`max_tokens`), never a secret.
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

/// Returns whether the value of a key that names a secret is one: it is none if it is empty, or says what is done about
/// secrets (`guard.secrets`).
fn is_secret(text: &str) -> bool {
    !matches!(text, "" | "off" | "redact" | "refuse")
}

/// Masks the passwords in `scheme://user:password@host/…?password=…`; returns any other text unchanged.
fn mask_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (address, query) = rest.split_once('?').map_or((rest, None), |(address, query)| (address, Some(query)));
    // Split at the last at sign, so that an unescaped slash or at sign in a password does not reveal a part of it.
    let address = match address.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:{MASK}@{host}"),
            None => address.to_owned(),
        },
        None => address.to_owned(),
    };
    let query = query.map(|query| {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((key, _)) if is_sensitive_key(key) => format!("{key}={MASK}"),
            _ => pair.to_owned(),
        });
        format!("?{}", pairs.collect::<Vec<_>>().join("&"))
    });
    format!("{scheme}://{address}{}", query.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_other_values_kept() {
        let mut table: Table = toml::from_str(
            r#"
            max_tokens = 7
            [auth]
            client_keys = ["canary-1", "canary-2"]
            [database]
            url = "postgres://me:canary-3@db/x?sslmode=require&password=canary-4"
            [provider]
            headers = { a = "canary-5", b = ["canary-6"] }
            base_url = "http://127.0.0.1:1234/v1"
            [guard]
            hook_url = "https://hooks.example/canary-7"
            hook_for = "all"
            [tls]
            key = "/etc/tls/server.key"
            "#,
        )
        .unwrap();
        mask(&mut table);
        let text = table.to_string();
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("max_tokens = 7") && text.contains("http://127.0.0.1:1234/v1"), "{text}");
        assert_eq!(table["tls"]["key"].as_str(), Some("/etc/tls/server.key"));
        assert_eq!(
            table["database"]["url"].as_str(),
            Some("postgres://me:***MASKED***@db/x?sslmode=require&password=***MASKED***")
        );
    }

    #[test]
    fn a_password_with_special_characters_is_masked() {
        assert_eq!(mask_url("postgres://me:p@ss/w:rd@db/x"), "postgres://me:***MASKED***@db/x");
        for plain in ["sqlite:///a/b.db", "text", "http://user@host/"] {
            assert_eq!(mask_url(plain), plain);
        }
    }

    #[test]
    fn rules_about_secrets_and_empty_values_are_shown() {
        let mut table: Table =
            toml::from_str("secrets = \"redact\"\nhook_token = \"\"\nanswer_secrets = \"canary\"").unwrap();
        mask(&mut table);
        assert_eq!((table["secrets"].as_str(), table["hook_token"].as_str()), (Some("redact"), Some("")));
        assert_eq!(table["answer_secrets"].as_str(), Some(MASK));
    }
}
