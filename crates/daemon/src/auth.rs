//! Client keys: authentication of requests.
//!
//! A key is either one of the configuration ([`ClientKeys`]) or one of the table `api_keys` ([`IssuedKeys`]), which are
//! managed while the service runs. Both make a request one of a [`Caller`].

mod issued;

use std::borrow::Cow;
use std::net::IpAddr;
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
use crate::caller::Caller;
use crate::clock::unix_ms;
use crate::config::AuthConfig;
use crate::internal_request::ServiceSigner;
use crate::peer::PeerAddr;
use crate::request::RequestContext;

pub use issued::IssuedKeys;
use issued::KeyMatch;
#[cfg(test)]
pub(crate) use issued::tests::key as issued_key;

/// Keys of the configuration that clients may present, stored as digests only.
#[derive(Clone, Debug)]
pub struct ClientKeys {
    keys: Arc<[(Digest, Caller)]>,
    /// Counter of wrong keys, shared by clones.
    throttle: Arc<AuthThrottle>,
    /// Recognises the requests of other services of the installation, which need no key.
    services: Option<ServiceSigner>,
    /// Whether a key is needed even if none is defined.
    is_always_needed: bool,
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
    /// The key has expired, or was replaced by a rotation.
    #[error("this API key has expired; ask whoever issued it for a new one")]
    Expired,
    /// The key was revoked.
    #[error("this API key was revoked; ask whoever issued it for a new one")]
    Revoked,
    /// The key may not be presented from this address.
    #[error("this API key may not be used from {}; ask whoever issued it to allow the address", address(*.0))]
    Address(Option<IpAddr>),
}

/// Returns the words for the address of a client.
fn address(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "an unknown address".to_owned(), |address| address.to_canonical().to_string())
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
        Self::with_bodies(keys.iter().map(|key| (key, None)))
    }

    /// Creates a set of keys, each with the detail in which its requests are logged; see
    /// [`KeyGrant::log_bodies`](signalbox_core::schema::KeyGrant::log_bodies). Of equal keys, the last one counts.
    pub fn with_bodies<'a>(keys: impl Iterator<Item = (&'a Secret<String>, Option<&'a str>)>) -> Self {
        let caller = |(n, (key, log_bodies)): (usize, (&Secret<String>, Option<&str>))| {
            (digest(&SHA256, key.expose().as_bytes()), Caller::configured(n + 1, log_bodies))
        };
        Self {
            keys: keys.enumerate().map(caller).collect(),
            throttle: Arc::default(),
            services: None,
            is_always_needed: false,
        }
    }

    /// Also admits the signed requests of other services of the installation, for which no key is needed.
    #[must_use]
    pub fn with_services(self, signer: ServiceSigner) -> Self {
        Self { services: Some(signer), ..self }
    }

    /// Denies requests without a valid key even while no key is defined, as on an address that other machines can reach.
    #[must_use]
    pub fn always_needed(self) -> Self {
        Self { is_always_needed: true, ..self }
    }

    /// Returns `true` if no key is configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
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

    /// Admits a request like [`ClientKeys::admit`], also with one of the `issued` keys, and names the key in its span.
    /// Returns who sent it; `None` if no key is needed.
    ///
    /// # Errors
    /// Returns [`Denied`] if no valid key is present.
    pub fn admit_request<B>(&self, request: &Request<B>, issued: &IssuedKeys) -> Result<Option<Caller>, Denied> {
        let signed = || self.services.as_ref().is_some_and(|signer| signer.has_signed(request, unix_ms()));
        let caller = if self.needs_key(issued) && signed() {
            // Another service may have a key that is no longer valid, which must not count as a guess.
            Some(Caller::service())
        } else {
            self.find_key(request.headers(), None, request.extensions().get(), issued)?
        };
        if let Some(caller) = &caller
            && let Some(context) = request.extensions().get::<RequestContext>()
        {
            context.record_key(caller);
        }
        Ok(caller)
    }

    /// Admits a request like [`ClientKeys::admit`], also accepting a `key` that was sent outside the headers.
    ///
    /// # Errors
    /// Returns [`Denied`] if no valid key is present.
    pub fn admit_with(&self, headers: &HeaderMap, key: Option<&str>, peer: Option<&PeerAddr>) -> Result<(), Denied> {
        self.find_key(headers, key, peer, &IssuedKeys::default()).map(drop)
    }

    /// Returns whether requests need a key.
    fn needs_key(&self, issued: &IssuedKeys) -> bool {
        self.is_always_needed || !self.is_empty() || !issued.is_empty()
    }

    /// Returns the caller whose key is presented; `None` if no key is needed.
    fn find_key(
        &self,
        headers: &HeaderMap,
        key: Option<&str>,
        peer: Option<&PeerAddr>,
        issued: &IssuedKeys,
    ) -> Result<Option<Caller>, Denied> {
        if !self.needs_key(issued) {
            return Ok(None);
        }
        let mut wrong = false;
        let mut ended = None;
        for key in
            presented_keys(headers).chain(key.map(|key| Cow::Borrowed(key.as_bytes()))).filter(|key| !key.is_empty())
        {
            let presented = digest(&SHA256, &key);
            if let Some(caller) = self.configured(&presented) {
                return Ok(Some(caller.clone()));
            }
            match issued.find(presented.as_ref(), unix_ms()) {
                Some(KeyMatch::Valid(caller)) => {
                    let address = peer.map(|PeerAddr(peer)| peer.ip());
                    if caller.allows_address(address) {
                        return Ok(Some(caller.clone()));
                    }
                    ended = Some(Denied::Address(address));
                }
                Some(KeyMatch::Expired) => ended = Some(Denied::Expired),
                Some(KeyMatch::Revoked) => ended = Some(Denied::Revoked),
                None => wrong = true,
            }
        }
        if let Some(denied) = ended {
            return Err(denied);
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
        !self.is_empty() && presented_keys(headers).any(|key| self.configured(&digest(&SHA256, &key)).is_some())
    }

    /// Returns the caller of the configured key with this digest. Compares it with all digests in constant time, so
    /// that the duration reveals nothing about any key.
    fn configured(&self, presented: &Digest) -> Option<&Caller> {
        let mut number = 0;
        for ((digest, _), n) in self.keys.iter().zip(1_u64..) {
            number.conditional_assign(&n, digest.as_ref().ct_eq(presented.as_ref()));
        }
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        self.keys.get(place).map(|(_, caller)| caller)
    }
}

// === impl Denied ===

impl Denied {
    /// Returns the status of the response.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Unknown | Self::Expired | Self::Revoked => StatusCode::UNAUTHORIZED,
            Self::Address(_) => StatusCode::FORBIDDEN,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Returns OpenAI's error type.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Unknown | Self::Expired | Self::Revoked => "authentication_error",
            Self::Address(_) => "permission_error",
            Self::TooMany { .. } => "rate_limit_error",
        }
    }

    /// Returns the stable error code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "invalid_api_key",
            Self::Expired => "api_key_expired",
            Self::Revoked => "api_key_revoked",
            Self::Address(_) => "address_not_allowed",
            Self::TooMany { .. } => "too_many_wrong_keys",
        }
    }

    /// Returns the value of the header `Retry-After`, in seconds, if waiting helps.
    #[must_use]
    pub fn retry_after(self) -> Option<u64> {
        match self {
            Self::TooMany { retry_after } => Some(seconds(retry_after)),
            Self::Unknown | Self::Expired | Self::Revoked | Self::Address(_) => None,
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
    use signalbox_core::schema::{ApiKey, KeyGrant};

    use super::issued::tests::{hex, key};
    use super::*;
    use crate::caller::CallerKind;

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

    fn admitted(keys: &ClientKeys, issued: &IssuedKeys, key: &str, peer: &str) -> Result<Option<String>, Denied> {
        let mut request = Request::builder().header("x-api-key", key).body(()).unwrap();
        request.extensions_mut().insert(PeerAddr(peer.parse().unwrap()));
        keys.admit_request(&request, issued).map(|caller| caller.map(|caller| caller.id().to_owned()))
    }

    const HERE: &str = "192.0.2.1:5000";

    #[test]
    fn keys_of_the_configuration_are_callers() {
        let keys = keys(&["sk-one", "sk-two"]);
        let id = |key| admitted(&keys, &IssuedKeys::default(), key, HERE);
        assert_eq!([id("sk-one"), id("sk-two")], ["config-1", "config-2"].map(|id| Ok(Some(id.to_owned()))));
        assert_eq!(id("sk-three"), Err(Denied::Unknown));
    }

    #[test]
    fn of_equal_keys_the_last_one_counts() {
        let secrets = ["a", "b", "a"].map(|key| Secret::new(key.to_owned()));
        let keys = ClientKeys::with_bodies(secrets.iter().zip([None, None, Some("off")]));
        let caller = keys.configured(&digest(&SHA256, b"a")).unwrap();
        assert_eq!((caller.id(), caller.grant().log_bodies.as_deref()), ("config-3", Some("off")));
    }

    #[test]
    fn issued_keys_are_callers_beside_those_of_the_configuration() {
        let grant = KeyGrant { addresses: Some(vec!["192.0.2.0/24".to_owned()]), ..KeyGrant::default() };
        let rows = [
            key("k1", &hex("sbx-one"), KeyGrant::default()),
            ApiKey { revoked_at: Some(1), ..key("k2", &hex("sbx-two"), KeyGrant::default()) },
            ApiKey { expires_at: Some(1), ..key("k3", &hex("sbx-three"), KeyGrant::default()) },
            key("k4", &hex("sbx-four"), grant),
        ];
        let issued = IssuedKeys::new(&rows);
        for keys in [keys(&[]), keys(&["sk-one"])] {
            let admitted = |key, peer| admitted(&keys, &issued, key, peer);
            assert_eq!(admitted("sbx-one", HERE), Ok(Some("k1".to_owned())));
            assert_eq!(admitted("sbx-four", HERE), Ok(Some("k4".to_owned())));
            let outside: IpAddr = "198.51.100.1".parse().unwrap();
            assert_eq!(admitted("sbx-four", "198.51.100.1:80"), Err(Denied::Address(Some(outside))));
            // Valid once, so no guesses: they do not count.
            for _ in 0..100 {
                assert_eq!(admitted("sbx-two", HERE), Err(Denied::Revoked));
                assert_eq!(admitted("sbx-three", HERE), Err(Denied::Expired));
            }
            assert_eq!(admitted("", HERE), Err(Denied::Unknown));
        }
        assert_eq!(admitted(&keys(&["sk-one"]), &issued, "sk-one", HERE), Ok(Some("config-1".to_owned())));
    }

    #[test]
    fn without_any_key_a_service_is_open_unless_others_can_reach_it() {
        let none = IssuedKeys::default();
        assert_eq!(admitted(&keys(&[]), &none, "anything", HERE), Ok(None));
        assert_eq!(admitted(&keys(&[]).always_needed(), &none, "anything", HERE), Err(Denied::Unknown));
    }

    #[test]
    fn other_services_of_the_installation_need_no_key() {
        let signer = ServiceSigner::new(&Secret::new([1; 32]));
        let keys = keys(&["sk-one"]).with_services(signer.clone());
        let mut request = Request::builder().uri("/v1/providers").body(()).unwrap();
        assert_eq!(keys.admit_request(&request, &IssuedKeys::default()).unwrap_err(), Denied::Unknown);
        let (name, value) = signer.sign(request.method(), "/v1/providers", unix_ms()).unwrap();
        request.headers_mut().insert(name, value);
        let caller = keys.admit_request(&request, &IssuedKeys::default()).unwrap().unwrap();
        assert_eq!(caller.kind(), CallerKind::Service);
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
