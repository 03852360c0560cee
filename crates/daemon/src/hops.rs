//! Detection of request loops: a provider whose address leads back to a service that calls it, possibly through other
//! services.
//!
//! Every request to a provider carries the number of services it has passed through. A request above the limit is part
//! of a loop.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Header with the number of services a request has passed through.
pub const HOPS: HeaderName = HeaderName::from_static("x-signalbox-hops");

/// Valid values of the header. No sensible set-up chains more than four services.
static VALUES: [HeaderValue; 4] = [
    HeaderValue::from_static("1"),
    HeaderValue::from_static("2"),
    HeaderValue::from_static("3"),
    HeaderValue::from_static("4"),
];

/// Returns the header value for the request to the next service, given the headers of the incoming request; `None` if
/// that has already passed through the maximum of four. An invalid value counts as zero: a client that forges it only
/// harms itself.
#[must_use]
pub fn next(headers: &HeaderMap) -> Option<&'static HeaderValue> {
    let so_far =
        headers.get(HOPS).map_or(0, |hops| VALUES.iter().position(|count| count == hops).map_or(0, |at| at + 1));
    VALUES.get(so_far)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_hop_is_refused() {
        let after = |hops: &'static str| next(&HeaderMap::from_iter([(HOPS, HeaderValue::from_static(hops))]));
        assert_eq!(next(&HeaderMap::new()), Some(&HeaderValue::from_static("1")));
        assert_eq!(after("1"), Some(&HeaderValue::from_static("2")));
        assert_eq!(after("3"), Some(&HeaderValue::from_static("4")));
        assert_eq!(after("4"), None);
        assert_eq!(after("many"), Some(&HeaderValue::from_static("1")));
    }
}
