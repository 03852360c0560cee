//! The check of the `Origin` header: the web pages that may use the service from a browser.
//!
//! Without a key, every page the user visits could send POST requests to a service on loopback. Browsers name the
//! origin of such a request.

use std::net::IpAddr;

use http::{HeaderMap, header};

/// Allowed origins: those of this machine, and the configured ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    named: Vec<String>,
    any: bool,
}

// === impl Origins ===

impl Origins {
    /// Creates the check. `named` are origins as browsers write them, such as `https://dashboard.example:8443`; `*`
    /// allows all.
    pub(crate) fn new(named: &[String]) -> Self {
        let any = named.iter().any(|origin| origin == "*");
        Self { named: named.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect(), any }
    }

    /// Returns `true` if `entry` is valid in the list of origins.
    pub(crate) fn is_valid_entry(entry: &str) -> bool {
        let named = |(scheme, host): (&str, &str)| {
            let host = host.strip_suffix('/').unwrap_or(host);
            let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'@' | b'*' | b'?' | b'#' | b',');
            !scheme.is_empty()
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !host.is_empty()
                && host.bytes().all(plain)
        };
        entry == "*" || entry.split_once("://").is_some_and(named)
    }

    /// Returns `true` if a page of this origin, given in lower case, may read responses and send requests with side
    /// effects.
    pub(crate) fn allow(&self, origin: &str) -> bool {
        self.any || self.named.iter().any(|named| named == origin) || is_of_this_machine(origin)
    }
}

/// Returns `true` if the page was served by this service, possibly through a proxy that terminates TLS. The `Host`
/// header has been checked before.
pub fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    host.zip(authority).is_some_and(|(host, authority)| host.eq_ignore_ascii_case(authority))
}

fn is_of_this_machine(origin: &str) -> bool {
    let Some((scheme, host)) = origin.split_once("://") else { return false };
    let end = if host.starts_with('[') { host.find(']').map(|end| end + 1) } else { host.find(':') };
    let (name, port) = host.split_at(end.unwrap_or(host.len()));
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit());
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    matches!(scheme, "http" | "https")
        && (port.is_empty() || port.strip_prefix(':').is_some_and(digits))
        && (name == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_origins_are_allowed() {
        let origins = Origins::default();
        for origin in [
            "http://localhost:5173",
            "http://localhost",
            "http://127.0.0.1:3002",
            "https://[::1]:3002",
            "http://127.0.0.2",
        ] {
            assert!(origins.allow(origin), "{origin}");
        }
    }

    #[test]
    fn other_origins_are_refused() {
        let origins = Origins::default();
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://localhost.evil.example",
            "http://localhost@evil.example",
            "http://127.0.0.1.evil.example:3002",
            "http://localhost:evil.example",
            "http://localhost:",
            "http://[::1]evil.example",
            "http://[::1",
            "file://",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
            "ftp://localhost",
        ] {
            assert!(!origins.allow(origin), "{origin}");
        }
    }

    #[test]
    fn named_origins_are_allowed() {
        let origins = Origins::new(&["https://Dashboard.example:8443/".to_owned(), "app://obsidian.md".to_owned()]);
        assert!(origins.allow("https://dashboard.example:8443") && origins.allow("app://obsidian.md"));
        assert!(!origins.allow("https://dashboard.example") && !origins.allow("*"));
        assert!(Origins::new(&["*".to_owned()]).allow("https://evil.example"));
    }

    #[test]
    fn an_allowed_origin_is_an_origin() {
        for entry in
            ["*", "https://a.example", "https://a.example:8443/", "app://obsidian.md", "chrome-extension://abc"]
        {
            assert!(Origins::is_valid_entry(entry), "{entry}");
        }
        for entry in [
            "",
            "a.example",
            "https://",
            "https://a.example/path",
            "https://*.a.example",
            "null",
            "https://a b",
            "://a",
        ] {
            assert!(!Origins::is_valid_entry(entry), "{entry}");
        }
    }
}
