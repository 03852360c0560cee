//! Loops: a provider whose address leads back to a service that asks it, perhaps by way of others.
//!
//! Every request to a provider says how many services it has come through. One that has come through too many is going in a circle.

use http::{HeaderMap, HeaderName, HeaderValue};

/// How many routers a request has come through.
pub const HOPS: HeaderName = HeaderName::from_static("x-signalbox-hops");

/// What it says, after one router, two, and so on. Nobody puts more behind each other on purpose.
static COUNTS: [HeaderValue; 4] = [
    HeaderValue::from_static("1"),
    HeaderValue::from_static("2"),
    HeaderValue::from_static("3"),
    HeaderValue::from_static("4"),
];

/// What to tell the next one about a request that came with these headers; `None` if it has come through too many. What is
/// no count counts as none: a client that lies only hurts itself.
#[must_use]
pub fn next(headers: &HeaderMap) -> Option<&'static HeaderValue> {
    let so_far =
        headers.get(HOPS).map_or(0, |hops| COUNTS.iter().position(|count| count == hops).map_or(0, |at| at + 1));
    COUNTS.get(so_far)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_router_is_one_too_many() {
        let after = |hops: &'static str| next(&HeaderMap::from_iter([(HOPS, HeaderValue::from_static(hops))]));
        assert_eq!(next(&HeaderMap::new()), Some(&HeaderValue::from_static("1")));
        assert_eq!(after("1"), Some(&HeaderValue::from_static("2")));
        assert_eq!(after("3"), Some(&HeaderValue::from_static("4")));
        assert_eq!(after("4"), None);
        assert_eq!(after("many"), Some(&HeaderValue::from_static("1")));
    }
}
