//! Removes headers that are specific to one connection.

use http::header::CONNECTION;
use http::{HeaderMap, HeaderName};

/// Removes hop-by-hop headers (RFC 9110, section 7.6.1), including those named by `Connection`.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // Almost every message has none or one of them; an empty vector does not allocate.
    let mut doomed: Vec<HeaderName> = headers.keys().filter(|name| is_hop_by_hop(name)).cloned().collect();
    for value in headers.get_all(CONNECTION) {
        let nominated = value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        doomed.extend(nominated.filter_map(|name| HeaderName::from_bytes(name).ok()));
    }
    for name in doomed {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    match name.as_str() {
        "connection" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade" => true,
        name => name.starts_with("proxy-"),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_end_to_end_headers_are_kept() {
        let mut headers = HeaderMap::new();
        for name in [
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "keep-alive",
            "proxy-authorization",
            "proxy-connection",
            "x-nominated",
            "x-also",
            "authorization",
            "content-type",
            "proxied-for",
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        headers.append(CONNECTION, HeaderValue::from_static("close, X-Nominated"));
        headers.append(CONNECTION, HeaderValue::from_static("x-also,,not a name"));
        strip_hop_by_hop(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["authorization", "content-type", "proxied-for"]);
    }
}
