//! Selects the headers of a provider's response that are passed on to the client.
//!
//! An allow-list, because most headers describe the provider's own site: cookies, caches, redirects, page permissions
//! and authentication. Clients read only a few: how long to wait, what is left of a limit, and the id to quote to the
//! provider's support.

use http::{HeaderMap, HeaderName, header};

/// Carries the provider's `x-request-id`; the header `x-request-id` itself holds the router's id.
pub(super) const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-upstream-request-id");

/// Returns the headers of a provider's response that the client may see. The provider's `x-request-id` is renamed,
/// because that header holds the router's own id.
pub(super) fn forwardable(headers: &HeaderMap) -> HeaderMap {
    let mut passed = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if may_pass(name) {
            passed.append(name, value.clone());
        } else if name == "x-request-id" {
            passed.append(UPSTREAM_REQUEST_ID, value.clone());
        }
    }
    passed
}

fn may_pass(name: &HeaderName) -> bool {
    const PREFIXES: [&str; 4] = ["x-ratelimit-", "ratelimit-", "anthropic-ratelimit-", "x-codex-"];
    if *name == header::CONTENT_TYPE || *name == header::RETRY_AFTER {
        return true;
    }
    match name.as_str() {
        "retry-after-ms"
        | "x-should-retry"
        | "ratelimit"
        | "request-id"
        | "openai-processing-ms"
        | "openai-version"
        | "openai-model"
        | "x-models-etag"
        | "cf-ray" => true,
        name => PREFIXES.iter().any(|prefix| name.starts_with(prefix)),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn clients_receive_limits_and_ids_but_no_site_headers() {
        let mut headers = HeaderMap::new();
        let passing = [
            "content-type",
            "retry-after",
            "retry-after-ms",
            "x-should-retry",
            "x-ratelimit-limit-requests",
            "x-ratelimit-reset",
            "ratelimit",
            "ratelimit-policy",
            "anthropic-ratelimit-input-tokens-remaining",
            "openai-processing-ms",
            "openai-version",
            "request-id",
            "cf-ray",
            "x-models-etag",
            "x-codex-primary-used-percent",
        ];
        let kept = [
            "clear-site-data",
            "www-authenticate",
            "refresh",
            "location",
            "link",
            "set-cookie",
            "set-cookie2",
            "service-worker-allowed",
            "access-control-allow-origin",
            "access-control-allow-methods",
            "access-control-max-age",
            "content-encoding",
            "content-length",
            "content-disposition",
            "content-security-policy",
            "server",
            "date",
            "via",
            "alt-svc",
            "strict-transport-security",
            "x-frame-options",
            "x-ratelimit",
            "x-anything",
            "x-upstream-request-id",
            "openai-organization",
        ];
        for name in passing.iter().chain(&kept) {
            headers.insert(*name, HeaderValue::from_static("1"));
        }
        headers.insert("x-request-id", HeaderValue::from_static("theirs"));
        let mut passed = forwardable(&headers);
        assert_eq!(passed.remove(UPSTREAM_REQUEST_ID).unwrap(), "theirs");
        let mut names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let mut expected = passing;
        expected.sort_unstable();
        assert_eq!(names, expected);
    }

    #[test]
    fn repeated_headers_are_kept() {
        let mut headers = HeaderMap::new();
        headers.append("ratelimit", HeaderValue::from_static("a"));
        headers.append("ratelimit", HeaderValue::from_static("b"));
        assert_eq!(forwardable(&headers).get_all("ratelimit").iter().count(), 2);
    }
}
