//! Client keys whose requests are logged in less detail.

use http::HeaderMap;
use serde::Deserialize;
use signalbox_core::secret::Secret;
use signalbox_daemon::{ClientKeys, Exit, config::AuthConfig};

use crate::journal::Bodies;

/// Section `[private_keys]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivateKeysConfig {
    /// Keys whose requests are logged with their structure only.
    pub redact: Vec<Secret<String>>,
    /// Keys whose requests are logged without any text.
    pub off: Vec<Secret<String>>,
}

/// Digests of the keys.
#[derive(Clone, Debug)]
pub struct PrivateKeys {
    redact: ClientKeys,
    off: ClientKeys,
}

impl PrivateKeysConfig {
    /// Returns all keys that are accepted: those common to all services, and the private ones.
    ///
    /// # Errors
    /// Returns [`Exit::Config`] if a private key is empty, or if there are only private keys: api-server could not call
    /// this service then, nor could any other client.
    pub fn all_keys(&self, auth: &AuthConfig) -> Result<ClientKeys, Exit> {
        let own = || self.redact.iter().chain(&self.off);
        if own().any(|key| key.expose().trim().is_empty()) {
            return Err(Exit::Config("private_keys must not contain empty keys".to_owned()));
        }
        if own().next().is_some() && auth.client_keys.is_empty() {
            return Err(Exit::Config(
                "private_keys have no effect without client keys: set CLIENT_KEYS or auth.client_keys, too".to_owned(),
            ));
        }
        let all: Vec<Secret<String>> = auth.client_keys.iter().chain(own()).cloned().collect();
        Ok(ClientKeys::of(&all))
    }
}

impl PrivateKeys {
    /// Creates the digests of the configured keys.
    #[must_use]
    pub fn new(config: &PrivateKeysConfig) -> Self {
        Self { redact: ClientKeys::of(&config.redact), off: ClientKeys::of(&config.off) }
    }

    /// Returns how much of a request with these headers may be logged.
    #[must_use]
    pub fn bodies(&self, headers: &HeaderMap) -> Bodies {
        if self.off.contains_valid_key(headers) {
            Bodies::Off
        } else if self.redact.contains_valid_key(headers) {
            Bodies::Redact
        } else {
            Bodies::Full
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header::AUTHORIZATION};

    use super::*;

    fn keys(keys: &[&str]) -> Vec<Secret<String>> {
        keys.iter().map(|key| Secret::new((*key).to_owned())).collect()
    }

    fn config(redact: &[&str], off: &[&str]) -> PrivateKeysConfig {
        PrivateKeysConfig { redact: keys(redact), off: keys(off) }
    }

    fn auth(client_keys: &[&str]) -> AuthConfig {
        AuthConfig { client_keys: keys(client_keys), insecure_no_auth: false }
    }

    fn bearer(key: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(key))])
    }

    #[test]
    fn each_key_is_accepted_with_its_strictest_policy() {
        let config = config(&["r", "both"], &["o", "both"]);
        let (all, private) = (config.all_keys(&auth(&["plain"])).unwrap(), PrivateKeys::new(&config));
        for (key, expected) in [
            ("Bearer plain", Bodies::Full),
            ("Bearer r", Bodies::Redact),
            ("Bearer o", Bodies::Off),
            ("Bearer both", Bodies::Off),
        ] {
            assert!(all.admit(&bearer(key), None).is_ok(), "{key}");
            assert_eq!(private.bodies(&bearer(key)), expected, "{key}");
        }
        assert!(all.admit(&bearer("Bearer x"), None).is_err());
        assert_eq!(private.bodies(&HeaderMap::new()), Bodies::Full);
    }

    #[test]
    fn without_keys_every_request_is_admitted_and_logged() {
        let config = config(&[], &[]);
        assert!(config.all_keys(&auth(&[])).unwrap().is_empty());
        assert_eq!(PrivateKeys::new(&config).bodies(&bearer("Bearer x")), Bodies::Full);
    }

    #[test]
    fn empty_keys_and_private_keys_without_client_keys_are_refused() {
        for (config, auth) in [(config(&[" "], &[]), auth(&["a"])), (config(&[], &["o"]), auth(&[]))] {
            let refused = config.all_keys(&auth).unwrap_err();
            assert_eq!(refused.code(), 78);
            assert!(refused.to_string().contains("private_keys"), "{refused}");
        }
    }
}
