//! Client keys: authentication of requests.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, StatusCode};
use ring::digest::{Digest, SHA256, digest};
use signalbox_core::secret::Secret;
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};
use tokio::time::Instant;

use crate::auth_throttle::AuthThrottle;
use crate::config::AuthConfig;
use crate::peer::PeerAddr;
use crate::request::RequestContext;

/// Keys that clients may present, stored as digests only.
#[derive(Clone, Debug)]
pub struct ClientKeys {
    digests: Vec<Digest>,
    /// Counter of wrong keys, shared by clones.
    throttle: Arc<AuthThrottle>,
}

/// Reason why a request is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The key is missing or wrong.
    #[error("a valid API key is required: send it as `Authorization: Bearer <key>`")]
    Unknown,
    /// The key is wrong, and too many wrong ones came from the same address before it.
    #[error(
        "too many wrong keys were sent from your address; send a valid key, or try again in {} s",
        seconds(*retry_after)
    )]
    TooMany {
        /// Time until the next wrong key is checked.
        retry_after: Duration,
    },
}

// === impl ClientKeys ===

impl ClientKeys {
    /// Creates the set of keys in the configuration.
    #[must_use]
    pub fn new(auth: &AuthConfig) -> Self {
        Self::of(&auth.client_keys)
    }

    /// Creates a set of the given keys.
    #[must_use]
    pub fn of(keys: &[Secret<String>]) -> Self {
        let digests = keys.iter().map(|key| digest(&SHA256, key.expose().as_bytes())).collect();
        Self { digests, throttle: Arc::default() }
    }

    /// Returns `true` if no key is configured, in which case every request is admitted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// Admits a request whose headers carry a configured key, or any request if there are no keys.
    ///
    /// A key is read from `Authorization: Bearer …`, `x-api-key: …`, or the password of `Authorization: Basic …` (for
    /// which a browser prompts its user). A wrong key counts against the address of its sender; a right key is admitted
    /// regardless of that count.
    ///
    /// # Errors
    /// Returns [`Denied`] if no valid key is present.
    pub fn admit(&self, headers: &HeaderMap, peer: Option<&PeerAddr>) -> Result<(), Denied> {
        self.admit_with(headers, None, peer)
    }

    /// Admits a request like [`ClientKeys::admit`], and names the key in its span.
    ///
    /// # Errors
    /// Returns [`Denied`] if no valid key is present.
    pub fn admit_request<B>(&self, request: &Request<B>) -> Result<(), Denied> {
        let key = self.find_key(request.headers(), None, request.extensions().get())?;
        if let Some(n) = key
            && let Some(context) = request.extensions().get::<RequestContext>()
        {
            context.record_key(n);
        }
        Ok(())
    }

    /// Admits a request like [`ClientKeys::admit`], also accepting a `key` that was sent outside the headers.
    ///
    /// # Errors
    /// Returns [`Denied`] if no valid key is present.
    pub fn admit_with(&self, headers: &HeaderMap, key: Option<&str>, peer: Option<&PeerAddr>) -> Result<(), Denied> {
        self.find_key(headers, key, peer).map(drop)
    }

    /// Returns the number of the presented key, counted from 1; `None` if there are no keys.
    fn find_key(
        &self,
        headers: &HeaderMap,
        key: Option<&str>,
        peer: Option<&PeerAddr>,
    ) -> Result<Option<usize>, Denied> {
        if self.is_empty() {
            return Ok(None);
        }
        let mut wrong = false;
        for key in
            presented_keys(headers).chain(key.map(|key| Cow::Borrowed(key.as_bytes()))).filter(|key| !key.is_empty())
        {
            if let Some(n) = self.number(&key) {
                return Ok(Some(n));
            }
            wrong = true;
        }
        // A request without any key is not a guess: browsers first ask without credentials.
        let Some(PeerAddr(peer)) = peer.filter(|_| wrong) else { return Err(Denied::Unknown) };
        Err(match self.throttle.record_failure(peer.ip(), Instant::now()) {
            Ok(()) => Denied::Unknown,
            Err(retry_after) => Denied::TooMany { retry_after },
        })
    }

    /// Returns `true` if the headers carry one of these keys; `false` for an empty set. Wrong keys are not counted.
    #[must_use]
    pub fn contains_valid_key(&self, headers: &HeaderMap) -> bool {
        !self.is_empty() && presented_keys(headers).any(|key| self.number(&key).is_some())
    }

    /// Returns the number of this key, counted from 1. Compares it with all digests in constant time, so that the
    /// duration reveals nothing about any key.
    fn number(&self, key: &[u8]) -> Option<usize> {
        let presented = digest(&SHA256, key);
        let mut number = 0;
        for (digest, n) in self.digests.iter().zip(1_u64..) {
            number.conditional_assign(&n, digest.as_ref().ct_eq(presented.as_ref()));
        }
        usize::try_from(number).ok().filter(|number| *number > 0)
    }
}

// === impl Denied ===

impl Denied {
    /// Returns the status of the response.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::UNAUTHORIZED,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Returns OpenAI's error type.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Unknown => "authentication_error",
            Self::TooMany { .. } => "rate_limit_error",
        }
    }

    /// Returns the stable error code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "invalid_api_key",
            Self::TooMany { .. } => "too_many_wrong_keys",
        }
    }

    /// Returns the value of the header `Retry-After`, in seconds, if waiting helps.
    #[must_use]
    pub fn retry_after(self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::TooMany { retry_after } => Some(seconds(retry_after)),
        }
    }
}

/// Rounds up to whole seconds.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn presented_keys(headers: &HeaderMap) -> impl Iterator<Item = Cow<'_, [u8]>> {
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

/// Returns the part after the colon of a base64-encoded `user:password`.
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
    fn wrong_keys_are_counted_and_valid_keys_always_pass() {
        let (keys, peer) = (keys(&["sk-one"]), PeerAddr("192.0.2.1:5000".parse().unwrap()));
        let (wrong, right) = (headers("x-api-key", "sk-two"), headers("x-api-key", "sk-one"));
        let mut denied = (0..100).map(|_| keys.admit(&wrong, Some(&peer)).unwrap_err());
        assert!(denied.by_ref().take(20).all(|denied| denied == Denied::Unknown));
        assert!(denied.all(|denied| matches!(denied.retry_after(), Some(1..=3))));
        assert_eq!(keys.clone().admit(&right, Some(&peer)), Ok(()));
        assert!(keys.admit_with(&HeaderMap::new(), Some("sk-three"), Some(&peer)).unwrap_err().retry_after().is_some());
        assert_eq!(
            keys.admit(&headers("x-api-key", ""), Some(&peer)),
            Err(Denied::Unknown),
            "a missing key does not count as a wrong one"
        );
        let other = PeerAddr("192.0.2.2:5000".parse().unwrap());
        assert_eq!(keys.admit(&wrong, Some(&other)), Err(Denied::Unknown));
    }

    #[test]
    fn any_configured_key_is_accepted_in_either_header() {
        let keys = keys(&["sk-one", "sk-two"]);
        assert!(admits(&keys, &headers("authorization", "Bearer sk-one")));
        assert!(admits(&keys, &headers("authorization", "bearer  sk-two ")));
        assert!(admits(&keys, &headers("x-api-key", "sk-two")));
        // base64 of `me:sk-two`
        assert!(admits(&keys, &headers("authorization", "Basic bWU6c2stdHdv")));
    }

    #[test]
    fn keys_are_told_apart_by_their_number() {
        let keys = keys(&["sk-one", "sk-two"]);
        assert_eq!(["sk-one", "sk-two", "sk-three"].map(|key| keys.number(key.as_bytes())), [Some(1), Some(2), None]);
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
    fn without_keys_every_request_is_admitted() {
        assert!(keys(&[]).is_empty() && admits(&keys(&[]), &HeaderMap::new()));
    }

    #[test]
    fn debug_output_hides_keys() {
        assert!(!format!("{:?}", keys(&["sk-canary"])).contains("canary"));
    }
}
