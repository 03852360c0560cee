//! Requests that provider-router passes on to the api-server of its data directory.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::peer::PeerAddr;

/// Header that marks a request as forwarded. Its value is the address of the original client, or `unknown`. Any client
/// can send it, so the address is unverified.
pub const FORWARDED: HeaderName = HeaderName::from_static("x-signalbox-forwarded");

/// Returns the value of [`FORWARDED`] for a request that came from `peer`.
#[must_use]
pub fn value(peer: Option<&PeerAddr>) -> HeaderValue {
    let address = peer.and_then(|PeerAddr(peer)| HeaderValue::try_from(peer.ip().to_canonical().to_string()).ok());
    address.unwrap_or(HeaderValue::from_static("unknown"))
}

/// Returns the address of the client on whose behalf a request was forwarded; `None` if the header is missing or not an
/// address.
#[must_use]
pub fn caller(headers: &HeaderMap) -> Option<IpAddr> {
    headers.get(FORWARDED)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_address_is_forwarded() {
        let after = |value| caller(&HeaderMap::from_iter([(FORWARDED, value)])).map(|address| address.to_string());
        let sent = |peer: &str| after(value(Some(&PeerAddr(peer.parse().unwrap()))));
        assert_eq!(sent("192.0.2.7:5000").as_deref(), Some("192.0.2.7"));
        assert_eq!(sent("[::ffff:192.0.2.7]:5000").as_deref(), Some("192.0.2.7"));
        assert_eq!(sent("[2001:db8::1]:5000").as_deref(), Some("2001:db8::1"));
        assert_eq!(after(value(None)), None);
        assert_eq!(after(HeaderValue::from_static("root, of course")), None);
        assert_eq!(caller(&HeaderMap::new()), None);
    }
}
