//! Client keys: authentication of requests.
//!
//! A key is either one of the configuration ([`ClientKeys`]) or one of the table `api_keys` ([`IssuedKeys`]), which are
//! managed while the service runs. Both make a request one of a [`Caller`].

mod denied;
mod issued;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request};
use ring::digest::{Digest, SHA256, digest};
use signalbox_core::secret::Secret;
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};
use tokio::time::Instant;

use crate::address_throttle::AddressThrottle;
use crate::caller::Caller;
use crate::clock::unix_ms;
use crate::config::AuthConfig;
use crate::internal_request::ServiceSigner;
use crate::peer::PeerAddr;
use crate::request::RequestContext;

pub use denied::Denied;
pub use issued::IssuedKeys;
use issued::KeyMatch;
#[cfg(test)]
pub(crate) use issued::tests::key as issued_key;

/// Wrong keys of an address that are allowed in a burst.
const WRONG_KEY_BURST: u32 = 20;

/// Interval at which one more wrong key is allowed after the burst: twenty per minute.
const WRONG_KEY_INTERVAL: Duration = Duration::from_secs(3);

/// Keys of the configuration that clients may present, stored as digests only.
#[derive(Clone, Debug)]
pub struct ClientKeys {
    keys: Arc<[(Digest, Caller)]>,
    /// Limit of wrong keys, shared by clones. A correct key is neither counted nor refused, because honest clients may
    /// share an address with a guessing one.
    throttle: Arc<AddressThrottle>,
    /// Recognises the requests of other services of the installation, which need no key.
    services: Option<ServiceSigner>,
    /// Whether a key is needed even if none is defined.
    is_always_needed: bool,
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
            throttle: Arc::new(AddressThrottle::new(WRONG_KEY_BURST, WRONG_KEY_INTERVAL)),
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
        Err(match self.throttle.record(peer.ip(), Instant::now()) {
            Ok(is_last) => {
                if is_last {
                    tracing::warn!(peer = %peer.ip(), "too many wrong keys, further ones are answered with 429");
                }
                Denied::Unknown
            }
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
mod tests;
