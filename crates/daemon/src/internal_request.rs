//! Signed requests between the services of an installation, so that a client cannot impersonate a service.
//!
//! provider-router sends its own request id to qwen-proxy in [`INTERNAL_REQUEST`], followed by a signature over that
//! id. The key is derived from the sealing key, which is shared by all services of an installation and unknown to
//! clients.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use signalbox_core::secret::Secret;

/// Header with the request id of the sending service and its signature: `<id>.<signature>`.
pub const INTERNAL_REQUEST: HeaderName = HeaderName::from_static("x-signalbox-request");

/// Domain separator between this use of the sealing key and all others.
const PURPOSE: &[u8] = b"signalbox internal request 1";

/// Signer and verifier of the header [`INTERNAL_REQUEST`].
#[derive(Clone, Debug)]
pub struct RequestSigner(hmac::Key);

/// Returns the request id sent by another service of this installation. Returns `None` for a request of a client: the
/// header is missing, occurs more than once, or has an invalid signature.
#[must_use]
pub fn trusted_request<'a>(headers: &'a HeaderMap, signer: &RequestSigner) -> Option<&'a str> {
    let mut values = headers.get_all(&INTERNAL_REQUEST).into_iter();
    let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
    let (id, signature) = value.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    hmac::verify(&signer.0, id.as_bytes(), &signature).is_ok().then_some(id)
}

// === impl RequestSigner ===

impl RequestSigner {
    /// Derives the signer from the sealing key of the installation, as returned by
    /// [`sealing_key`](fn@crate::sealing_key).
    #[must_use]
    pub fn new(sealing_key: &Secret<[u8; 32]>) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, sealing_key.expose());
        Self(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, PURPOSE).as_ref()))
    }

    /// Returns the value of [`INTERNAL_REQUEST`] for the request with this id; `None` if the id is not valid in a
    /// header.
    #[must_use]
    pub fn sign(&self, id: &str) -> Option<HeaderValue> {
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, id.as_bytes()));
        HeaderValue::try_from(format!("{id}.{signature}")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&HeaderValue]) -> HeaderMap {
        values.iter().map(|value| (INTERNAL_REQUEST, (*value).clone())).collect()
    }

    #[test]
    fn only_a_signature_of_this_installation_is_trusted() {
        let ours = RequestSigner::new(&Secret::new([1; 32]));
        let other = RequestSigner::new(&Secret::new([2; 32]));
        let signed = ours.sign("id-1").unwrap();
        assert_eq!(trusted_request(&headers(&[&signed]), &ours), Some("id-1"));
        assert_eq!(trusted_request(&headers(&[&signed]), &other), None, "another installation");
        assert_eq!(trusted_request(&HeaderMap::new(), &ours), None);
        assert_eq!(trusted_request(&headers(&[&signed, &signed]), &ours), None, "twice");
        let signature = signed.to_str().unwrap().split_once('.').unwrap().1;
        for forged in ["id-1", "id-1.", ".", "", "id-1.AAAA", &format!("id-2.{signature}"), signature] {
            let value = HeaderValue::from_str(forged).unwrap();
            assert_eq!(trusted_request(&headers(&[&value]), &ours), None, "{forged}");
        }
    }

    #[test]
    fn the_signing_key_is_not_the_sealing_key() {
        let signed = RequestSigner::new(&Secret::new([1; 32])).sign("id").unwrap();
        let plain = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]), b"id");
        assert_ne!(signed, format!("id.{}", URL_SAFE_NO_PAD.encode(plain)));
    }
}
