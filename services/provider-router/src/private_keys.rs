//! Client keys whose requests are logged in less detail.

use serde::Deserialize;
use signalbox_core::secret::Secret;
use signalbox_daemon::{ClientKeys, Exit, config::AuthConfig};

/// Section `[private_keys]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivateKeysConfig {
    /// Keys whose requests are logged with their structure only.
    pub redact: Vec<Secret<String>>,
    /// Keys whose requests are logged without any text.
    pub off: Vec<Secret<String>>,
}

impl PrivateKeysConfig {
    /// Returns all keys that are accepted: those common to all services, and the private ones.
    ///
    /// # Errors
    /// Returns [`Exit::Config`] if a private key is empty, or if there are only private keys, which are an exception from
    /// the client keys.
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
        // The last one of equal keys counts, so the strictest one comes last.
        let all = logged(&auth.client_keys, None)
            .chain(logged(&self.redact, Some("redact")))
            .chain(logged(&self.off, Some("off")));
        Ok(ClientKeys::with_bodies(all))
    }
}

/// Returns each key with the detail in which its requests are logged.
fn logged<'a>(
    keys: &'a [Secret<String>],
    bodies: Option<&'a str>,
) -> impl Iterator<Item = (&'a Secret<String>, Option<&'a str>)> {
    keys.iter().map(move |key| (key, bodies))
}

#[cfg(test)]
mod tests {
    use http::Request;
    use signalbox_daemon::IssuedKeys;

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

    /// Returns the id and the detail of the log of the caller with this key.
    fn caller(keys: &ClientKeys, key: &str) -> Option<(String, Option<String>)> {
        let request = Request::builder().header("authorization", format!("Bearer {key}")).body(()).unwrap();
        let caller = keys.admit_request(&request, &IssuedKeys::default()).ok()??;
        Some((caller.id().to_owned(), caller.grant().log_bodies.clone()))
    }

    #[test]
    fn each_key_is_accepted_with_its_strictest_policy() {
        let all = config(&["r", "both"], &["o", "both"]).all_keys(&auth(&["plain"])).unwrap();
        for (key, id, bodies) in [
            ("plain", "config-1", None),
            ("r", "config-2", Some("redact")),
            ("o", "config-4", Some("off")),
            ("both", "config-5", Some("off")),
        ] {
            assert_eq!(caller(&all, key), Some((id.to_owned(), bodies.map(str::to_owned))), "{key}");
        }
        assert_eq!(caller(&all, "x"), None);
    }

    #[test]
    fn without_keys_there_are_none() {
        assert!(config(&[], &[]).all_keys(&auth(&[])).unwrap().is_empty());
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
