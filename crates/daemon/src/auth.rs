//! Client keys: who may call.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use ring::digest::{Digest, SHA256, digest};
use signalbox_core::secret::Secret;
use tokio::time::Instant;

use crate::config::AuthConfig;
use crate::guesses::Guesses;
use crate::serve::PeerAddr;

/// The keys clients may present, kept as digests only.
#[derive(Clone, Debug)]
pub struct ClientKeys {
    digests: Vec<Digest>,
    /// The wrong ones that were presented. Clones share them.
    guesses: Arc<Guesses>,
}

/// Why somebody may not call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No key, or a wrong one.
    #[error("a valid API key is required: send it as `Authorization: Bearer <key>`")]
    Unknown,
    /// A wrong one again, too soon after too many others from the same address.
    #[error(
        "too many wrong keys came from your address; a right one is let in, another wrong one is looked at in {} s",
        seconds(*retry_after)
    )]
    TooMany {
        /// When one more is looked at.
        retry_after: Duration,
    },
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
        let digests = keys.iter().map(|key| digest(&SHA256, key.expose().as_bytes())).collect();
        Self { digests, guesses: Arc::default() }
    }

    /// Whether no key is configured: then everybody may call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// Lets a request with these headers pass: it carries a configured key as `Authorization: Bearer …`, `x-api-key: …`, or
    /// the password of `Authorization: Basic …` (which a browser asks a person for); or there are no keys at all. A wrong key
    /// is counted for its sender; a right one passes however many wrong ones came from there.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn admit(&self, headers: &HeaderMap, peer: Option<&PeerAddr>) -> Result<(), Denied> {
        self.admit_with(headers, None, peer)
    }

    /// As [`ClientKeys::admit`], with a key that came another way than in a header, if one did.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn admit_with(&self, headers: &HeaderMap, key: Option<&str>, peer: Option<&PeerAddr>) -> Result<(), Denied> {
        if self.is_empty() {
            return Ok(());
        }
        let mut wrong = false;
        for key in presented(headers).chain(key.map(|key| Cow::Borrowed(key.as_bytes()))).filter(|key| !key.is_empty())
        {
            if self.knows(&key) {
                return Ok(());
            }
            wrong = true;
        }
        // Who presents nothing has not guessed: a browser asks without a key first.
        let Some(PeerAddr(peer)) = peer.filter(|_| wrong) else { return Err(Denied::Unknown) };
        Err(match self.guesses.count(peer.ip(), Instant::now()) {
            Ok(()) => Denied::Unknown,
            Err(retry_after) => Denied::TooMany { retry_after },
        })
    }

    /// Whether one of these keys is among what the headers present. Nothing is counted, and without keys nothing is.
    #[must_use]
    pub fn opens(&self, headers: &HeaderMap) -> bool {
        !self.is_empty() && presented(headers).any(|key| self.knows(&key))
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

// === impl Denied ===

impl Denied {
    /// The status of the response.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::UNAUTHORIZED,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// OpenAI's class of error.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Unknown => "authentication_error",
            Self::TooMany { .. } => "rate_limit_error",
        }
    }

    /// The stable name of the reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "invalid_api_key",
            Self::TooMany { .. } => "too_many_wrong_keys",
        }
    }

    /// For the header `Retry-After`, in seconds, if there is something to wait for.
    #[must_use]
    pub fn retry_after(self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::TooMany { retry_after } => Some(seconds(retry_after)),
        }
    }
}

/// Whole seconds, and rather one too many.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
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

    fn admits(keys: &ClientKeys, headers: &HeaderMap) -> bool {
        keys.admit(headers, None).is_ok()
    }

    #[test]
    fn wrong_keys_are_counted_and_right_ones_pass_all_the_same() {
        let (keys, peer) = (keys(&["sk-one"]), PeerAddr("192.0.2.1:5000".parse().unwrap()));
        let (wrong, right) = (headers("x-api-key", "sk-two"), headers("x-api-key", "sk-one"));
        let mut denied = (0..100).map(|_| keys.admit(&wrong, Some(&peer)).unwrap_err());
        assert!(denied.by_ref().take(20).all(|denied| denied == Denied::Unknown));
        assert!(denied.all(|denied| matches!(denied.retry_after(), Some(1..=3))));
        assert_eq!(keys.clone().admit(&right, Some(&peer)), Ok(()));
        assert!(keys.admit_with(&HeaderMap::new(), Some("sk-three"), Some(&peer)).unwrap_err().retry_after().is_some());
        assert_eq!(keys.admit(&headers("x-api-key", ""), Some(&peer)), Err(Denied::Unknown), "that was no guess");
        let other = PeerAddr("192.0.2.2:5000".parse().unwrap());
        assert_eq!(keys.admit(&wrong, Some(&other)), Err(Denied::Unknown));
    }

    #[test]
    fn any_configured_key_opens_in_either_header() {
        let keys = keys(&["sk-one", "sk-two"]);
        assert!(admits(&keys, &headers("authorization", "Bearer sk-one")));
        assert!(admits(&keys, &headers("authorization", "bearer  sk-two ")));
        assert!(admits(&keys, &headers("x-api-key", "sk-two")));
        // me:sk-two
        assert!(admits(&keys, &headers("authorization", "Basic bWU6c2stdHdv")));
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
            assert!(!admits(&keys, &headers("authorization", value)), "{value}");
        }
        assert!(!admits(&keys, &HeaderMap::new()));
    }

    #[test]
    fn without_keys_everybody_may_call() {
        assert!(keys(&[]).is_empty() && admits(&keys(&[]), &HeaderMap::new()));
    }

    #[test]
    fn debug_shows_no_key() {
        assert!(!format!("{:?}", keys(&["sk-canary"])).contains("canary"));
    }
}
