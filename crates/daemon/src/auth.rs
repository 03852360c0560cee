//! Client keys: who may call.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use ring::digest::{Digest, SHA256, digest};
use signalbox_core::secret::Secret;

use crate::config::AuthConfig;

/// The keys clients may present, kept as digests only.
#[derive(Clone, Debug)]
pub struct ClientKeys {
    digests: Vec<Digest>,
}

// === impl ClientKeys ===

impl ClientKeys {
    /// The keys of the configuration.
    #[must_use]
    pub fn new(auth: &AuthConfig) -> Self {
        Self::of(&auth.client_keys)
    }

    /// These keys.
    #[must_use]
    pub fn of(keys: &[Secret<String>]) -> Self {
        Self { digests: keys.iter().map(|key| digest(&SHA256, key.expose().as_bytes())).collect() }
    }

    /// Whether no key is configured: then everybody may call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// Whether a request with these headers may pass: it carries a configured key as `Authorization: Bearer …`, `x-api-key: …`, or
    /// the password of `Authorization: Basic …` (which a browser asks a person for); or there are no keys at all.
    #[must_use]
    pub fn authorize(&self, headers: &HeaderMap) -> bool {
        self.is_empty() || presented(headers).any(|key| self.knows(&key))
    }

    /// Whether `key` is one that is configured, or none is needed. For keys that come another way than in a header.
    #[must_use]
    pub fn accepts(&self, key: &str) -> bool {
        self.is_empty() || self.knows(key.as_bytes())
    }

    /// Compares digests, each to its end, and looks at all of them: the time taken tells nothing about any key.
    fn knows(&self, key: &[u8]) -> bool {
        let presented = digest(&SHA256, key);
        let mut known = false;
        for digest in &self.digests {
            let difference = digest.as_ref().iter().zip(presented.as_ref()).fold(0, |acc, (a, b)| acc | (a ^ b));
            known |= std::hint::black_box(difference) == 0;
        }
        known
    }
}

fn presented(headers: &HeaderMap) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let authorized = headers.get_all(AUTHORIZATION).into_iter().filter_map(|value| {
        let value = value.as_bytes();
        let (scheme, given) = value.split_at(value.iter().position(|byte| *byte == b' ')?);
        let given = given.trim_ascii();
        if scheme.eq_ignore_ascii_case(b"Bearer") {
            Some(Cow::Borrowed(given))
        } else if scheme.eq_ignore_ascii_case(b"Basic") {
            password(given).map(Cow::Owned)
        } else {
            None
        }
    });
    let plain = headers.get_all("x-api-key").into_iter().map(|value| Cow::Borrowed(value.as_bytes().trim_ascii()));
    authorized.chain(plain)
}

/// What stands behind the colon of `user:password` in base64.
fn password(given: &[u8]) -> Option<Vec<u8>> {
    let mut pair = STANDARD.decode(given).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair.split_off(colon + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(keys: &[&str]) -> ClientKeys {
        let client_keys = keys.iter().map(|key| Secret::new((*key).to_owned())).collect();
        ClientKeys::new(&AuthConfig { client_keys, insecure_no_auth: false })
    }

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), http::HeaderValue::from_static(value))])
    }

    #[test]
    fn any_configured_key_opens_in_either_header() {
        let keys = keys(&["sk-one", "sk-two"]);
        assert!(keys.authorize(&headers("authorization", "Bearer sk-one")));
        assert!(keys.authorize(&headers("authorization", "bearer  sk-two ")));
        assert!(keys.authorize(&headers("x-api-key", "sk-two")));
        // me:sk-two
        assert!(keys.authorize(&headers("authorization", "Basic bWU6c2stdHdv")));
    }

    #[test]
    fn everything_else_is_refused() {
        let keys = keys(&["sk-one"]);
        for value in [
            "Bearer sk-on",
            "Bearer sk-one1",
            "Bearer ",
            "Bearer",
            "Basic sk-one",
            "Basic c2stb25l",
            "Basic bWU6c2s=",
            "sk-one",
            "Digest sk-one",
            "",
        ] {
            assert!(!keys.authorize(&headers("authorization", value)), "{value}");
        }
        assert!(!keys.authorize(&HeaderMap::new()));
    }

    #[test]
    fn without_keys_everybody_may_call() {
        assert!(keys(&[]).is_empty() && keys(&[]).authorize(&HeaderMap::new()));
    }

    #[test]
    fn debug_shows_no_key() {
        assert!(!format!("{:?}", keys(&["sk-canary"])).contains("canary"));
    }
}
