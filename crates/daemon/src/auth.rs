//! Client keys: who may call.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use ring::digest::{Digest, SHA256, digest};

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
        let digests = auth.client_keys.iter().map(|key| digest(&SHA256, key.expose().as_bytes())).collect();
        Self { digests }
    }

    /// Whether no key is configured: then everybody may call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// Whether a request with these headers may pass: it carries a configured key as `Authorization: Bearer …` or `x-api-key: …`,
    /// or there are no keys at all.
    #[must_use]
    pub fn authorize(&self, headers: &HeaderMap) -> bool {
        self.is_empty() || presented(headers).any(|key| self.knows(key))
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

fn presented(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let bearer = headers.get_all(AUTHORIZATION).into_iter().filter_map(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(b"Bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then(|| key.trim_ascii())
    });
    let plain = headers.get_all("x-api-key").into_iter().map(|value| value.as_bytes().trim_ascii());
    bearer.chain(plain)
}

#[cfg(test)]
mod tests {
    use signalbox_core::secret::Secret;

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
    }

    #[test]
    fn everything_else_is_refused() {
        let keys = keys(&["sk-one"]);
        for value in ["Bearer sk-on", "Bearer sk-one1", "Bearer ", "Bearer", "Basic sk-one", "sk-one", ""] {
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
