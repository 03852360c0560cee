//! Signed requests between the services of an installation, so that a client cannot impersonate a service.
//!
//! provider-router sends its own request id to qwen-proxy in [`INTERNAL_REQUEST`], with the texts that must not be kept,
//! followed by a signature over both. The key is derived from the sealing key, which is shared by all services of an
//! installation and unknown to clients.
//!
//! api-server signs its requests to provider-router in [`SERVICE`], so that they need no client key. This signature
//! covers the method, the path and the time, because it grants access.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use ring::hmac;
use signalbox_core::secret::Secret;

/// Header with the request id of the sending service, the texts that must not be kept, and the signature of both:
/// `<id>.<signature>`, `<id>;not-kept=request.<signature>`, or the same with `answer` or `request+answer`.
pub const INTERNAL_REQUEST: HeaderName = HeaderName::from_static("x-signalbox-request");

/// Domain separator between this use of the sealing key and all others.
const PURPOSE: &[u8] = b"signalbox internal request 1";

/// Header of a request of api-server to provider-router: `<unix milliseconds>.<signature>`.
const SERVICE: HeaderName = HeaderName::from_static("x-signalbox-service");

/// Domain separator of the signatures in [`SERVICE`].
const SERVICE_PURPOSE: &[u8] = b"signalbox service request 1";

/// Maximum age of a signature in [`SERVICE`], and maximum difference of the clocks, in milliseconds.
const MAX_AGE_MS: i64 = 30_000;

/// Separator of the request id and the texts that must not be kept, in [`INTERNAL_REQUEST`].
const NOT_KEPT: &str = ";not-kept=";

/// Texts of an exchange that may be written to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptTexts {
    /// Whether texts of the request may be kept.
    pub request: bool,
    /// Whether texts of the answer may be kept.
    pub answer: bool,
}

/// A request of another service of this installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedRequest<'a> {
    /// Request id of that service.
    pub id: &'a str,
    /// Texts that may be kept.
    pub kept: KeptTexts,
}

/// Signer and verifier of the header [`SERVICE`].
#[derive(Clone, Debug)]
pub struct ServiceSigner(hmac::Key);

/// Signer and verifier of the header [`INTERNAL_REQUEST`].
#[derive(Clone, Debug)]
pub struct RequestSigner(hmac::Key);

/// Returns the request of another service of this installation. Returns `None` for a request of a client: the header is
/// missing, occurs more than once, or has an invalid signature.
#[must_use]
pub fn trusted_request<'a>(headers: &'a HeaderMap, signer: &RequestSigner) -> Option<TrustedRequest<'a>> {
    let mut values = headers.get_all(&INTERNAL_REQUEST).into_iter();
    let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
    let (signed, signature) = value.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    hmac::verify(&signer.0, signed.as_bytes(), &signature).ok()?;
    let (id, not_kept) = signed.split_once(NOT_KEPT).unwrap_or((signed, ""));
    let is_kept = |text: &str| !not_kept.split('+').any(|named| named == text);
    Some(TrustedRequest { id, kept: KeptTexts { request: is_kept("request"), answer: is_kept("answer") } })
}

// === impl KeptTexts ===

impl KeptTexts {
    /// All texts.
    pub const ALL: Self = Self { request: true, answer: true };

    /// Returns what follows the id in [`INTERNAL_REQUEST`]; nothing if all texts may be kept.
    fn suffix(self) -> String {
        let texts = match (self.request, self.answer) {
            (true, true) => return String::new(),
            (false, true) => "request",
            (true, false) => "answer",
            (false, false) => "request+answer",
        };
        format!("{NOT_KEPT}{texts}")
    }
}

// === impl RequestSigner ===

impl RequestSigner {
    /// Derives the signer from the sealing key of the installation, as returned by
    /// [`sealing_key`](fn@crate::sealing_key).
    #[must_use]
    pub fn new(sealing_key: &Secret<[u8; 32]>) -> Self {
        Self(derived(sealing_key, PURPOSE))
    }

    /// Returns the value of [`INTERNAL_REQUEST`] for the request with this id, of which the receiver may keep the texts
    /// `kept`; `None` if the id is not valid in a header.
    #[must_use]
    pub fn sign(&self, id: &str, kept: KeptTexts) -> Option<HeaderValue> {
        let signed = format!("{id}{}", kept.suffix());
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, signed.as_bytes()));
        HeaderValue::try_from(format!("{signed}.{signature}")).ok()
    }
}

// === impl ServiceSigner ===

impl ServiceSigner {
    /// Derives the signer from the sealing key of the installation, as returned by
    /// [`sealing_key`](fn@crate::sealing_key).
    #[must_use]
    pub fn new(sealing_key: &Secret<[u8; 32]>) -> Self {
        Self(derived(sealing_key, SERVICE_PURPOSE))
    }

    /// Returns the header for a request with this method, path and query; `None` if its value is not valid in a header.
    #[must_use]
    pub fn sign(&self, method: &Method, path: &str, now_ms: i64) -> Option<(HeaderName, HeaderValue)> {
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, signed(method, path, now_ms).as_bytes()));
        Some((SERVICE, HeaderValue::try_from(format!("{now_ms}.{signature}")).ok()?))
    }

    /// Returns whether a service of the installation has signed the request at about this time.
    #[must_use]
    pub fn has_signed<B>(&self, request: &Request<B>, now_ms: i64) -> bool {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let verified = || {
            let mut values = request.headers().get_all(&SERVICE).into_iter();
            let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
            let (at, signature) = value.split_once('.')?;
            let at: i64 = at.parse().ok()?;
            let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
            let is_recent = now_ms.checked_sub(at)?.checked_abs()? <= MAX_AGE_MS;
            hmac::verify(&self.0, signed(request.method(), path, at).as_bytes(), &signature).ok()?;
            is_recent.then_some(())
        };
        verified().is_some()
    }
}

/// Returns the text that a signature in [`SERVICE`] covers.
fn signed(method: &Method, path: &str, at_ms: i64) -> String {
    format!("{at_ms}\n{method}\n{path}")
}

/// Derives a key for one purpose.
fn derived(sealing_key: &Secret<[u8; 32]>, purpose: &[u8]) -> hmac::Key {
    let root = hmac::Key::new(hmac::HMAC_SHA256, sealing_key.expose());
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, purpose).as_ref())
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
        let signed = ours.sign("id-1", KeptTexts::ALL).unwrap();
        let trusted = TrustedRequest { id: "id-1", kept: KeptTexts::ALL };
        assert_eq!(trusted_request(&headers(&[&signed]), &ours), Some(trusted));
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
    fn the_texts_that_are_not_kept_are_signed() {
        let signer = RequestSigner::new(&Secret::new([1; 32]));
        for (request, answer) in [(true, true), (false, true), (true, false), (false, false)] {
            let kept = KeptTexts { request, answer };
            let signed = signer.sign("id-1", kept).unwrap();
            assert_eq!(trusted_request(&headers(&[&signed]), &signer), Some(TrustedRequest { id: "id-1", kept }));
        }
        let signed = signer.sign("id-1", KeptTexts { request: false, answer: false }).unwrap();
        for (part, other) in
            [("request+answer", "answer"), ("request+answer", "none"), (";not-kept=request+answer", "")]
        {
            let forged = HeaderValue::try_from(signed.to_str().unwrap().replace(part, other)).unwrap();
            assert_eq!(trusted_request(&headers(&[&forged]), &signer), None, "{forged:?}");
        }
    }

    #[test]
    fn the_signing_key_is_not_the_sealing_key() {
        let signed = RequestSigner::new(&Secret::new([1; 32])).sign("id", KeptTexts::ALL).unwrap();
        let plain = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]), b"id");
        assert_ne!(signed, format!("id.{}", URL_SAFE_NO_PAD.encode(plain)));
    }

    #[test]
    fn a_service_signs_one_path_for_half_a_minute() {
        let ours = ServiceSigner::new(&Secret::new([1; 32]));
        let request = |method: &str, path: &str, signed: &[&HeaderValue]| {
            let mut request = Request::builder().method(method).uri(path).body(()).unwrap();
            for value in signed {
                request.headers_mut().append(SERVICE, (*value).clone());
            }
            request
        };
        let now = 1_000_000;
        let (_, signed) = ours.sign(&Method::GET, "/v1/models?provider=a", now).unwrap();
        let valid = request("GET", "/v1/models?provider=a", &[&signed]);
        for (at, expected) in
            [(now, true), (now + 30_000, true), (now - 30_000, true), (now + 30_001, false), (0, false)]
        {
            assert_eq!(ours.has_signed(&valid, at), expected, "{at}");
        }
        assert!(!ServiceSigner::new(&Secret::new([2; 32])).has_signed(&valid, now), "another installation");
        let later = signed.to_str().unwrap().replace("1000000.", "1000001.");
        for (why, other) in [
            ("another path", request("GET", "/v1/models?provider=b", &[&signed])),
            ("another method", request("POST", "/v1/models?provider=a", &[&signed])),
            ("none", request("GET", "/v1/models?provider=a", &[])),
            ("twice", request("GET", "/v1/models?provider=a", &[&signed, &signed])),
            ("another time", request("GET", "/v1/models?provider=a", &[&HeaderValue::try_from(later).unwrap()])),
            ("no time", request("GET", "/v1/models?provider=a", &[&HeaderValue::from_static(".AAAA")])),
        ] {
            assert!(!ours.has_signed(&other, now), "{why}");
        }
    }
}
