//! Permitted hosts and origins, as in all services, with the exceptions of this server.
//!
//! Browser extensions may use only the route that accepts a login, and receive events. Their ids prove little: an
//! unpacked extension can have any id, and users have more extensions installed than they are aware of. A login planted
//! by one is visible and can be undone; an extension that could change providers could redirect every prompt and every
//! key.

use http::Method;
use signalbox_daemon::{Exit, HostOriginGuard};
use signalbox_management::CREDENTIALS;

use crate::events;

/// Returns the access rules of a server on this host, with further hosts and origins.
///
/// # Errors
/// [`Exit::Config`] when all origins are permitted: each could then redirect every key.
pub fn guard(host: &str, hosts: &[String], origins: &[String]) -> Result<HostOriginGuard, Exit> {
    check_origins(origins)?;
    Ok(HostOriginGuard::of(host, hosts, origins).extra_origins(is_extension_route).unsafe_subtree(events::PATH))
}

/// Checks that not all origins are permitted.
///
/// # Errors
/// As [`guard`].
pub fn check_origins(origins: &[String]) -> Result<(), Exit> {
    if origins.iter().any(|origin| origin == "*") {
        return Err(Exit::Config(
            "server.allowed_origins (ALLOWED_ORIGINS) of api-server must not contain `*`, because any page could \
             change providers. List single origins, or set `*` in the files of provider-router and qwen-proxy"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Returns whether an origin is an extension, on a route that extensions may use.
fn is_extension_route(origin: &str, method: &Method, path: &str) -> bool {
    is_extension(origin) && (path == CREDENTIALS && method == Method::POST || path.starts_with(events::PATH))
}

/// Returns whether an origin is that of an extension: 32 letters from a to p in Chrome, a UUID in Firefox and Safari.
fn is_extension(origin: &str) -> bool {
    let uuid = |id: &str| {
        id.len() == 36
            && id.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
    };
    match origin.split_once("://") {
        Some(("chrome-extension", id)) => id.len() == 32 && id.bytes().all(|byte| (b'a'..=b'p').contains(&byte)),
        Some(("moz-extension" | "safari-web-extension", id)) => uuid(id),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENSION: &str = "chrome-extension://abcdefghijklmnopabcdefghijklmnop";
    const FIREFOX: &str = "moz-extension://12345678-1234-1234-1234-123456789abc";

    #[test]
    fn a_wildcard_origin_is_rejected() {
        let error = guard("127.0.0.1", &[], &["*".to_owned()]).unwrap_err();
        assert!(error.code() == 78 && error.to_string().contains("server.allowed_origins"), "{error}");
        let named = guard("127.0.0.1", &[], &[EXTENSION.to_owned()]).unwrap();
        let request = http::Request::put("/api/providers/p").header("host", "localhost").header("origin", EXTENSION);
        assert_eq!(named.check(&request.body(()).unwrap()), Ok(()), "a listed extension is fully allowed");
    }

    #[test]
    fn extensions_may_only_store_a_login_and_receive_events() {
        for origin in [EXTENSION, FIREFOX, &FIREFOX.replace("moz", "safari-web")] {
            assert!(is_extension_route(origin, &Method::POST, CREDENTIALS), "{origin}");
            assert!(is_extension_route(origin, &Method::GET, "/socket.io/"), "{origin}");
            for method in [Method::GET, Method::DELETE, Method::PUT, Method::OPTIONS] {
                assert!(!is_extension_route(origin, &method, CREDENTIALS), "{origin} {method}");
            }
            for path in ["/api/providers", "/api/proxy/stop", "/api/qwen/credentials/", "/api/qwen", "/"] {
                assert!(!is_extension_route(origin, &Method::POST, path), "{origin} {path}");
            }
        }
        for origin in [
            "chrome-extension://short",
            "chrome-extension://12345678-1234-1234-1234-123456789abc",
            "moz-extension://12345678-1234-1234-1234-123456789abz",
            "moz-extension://abcdefghijklmnopabcdefghijklmnop",
            "https://evil.example",
            "null",
        ] {
            assert!(!is_extension_route(origin, &Method::POST, CREDENTIALS), "{origin}");
        }
    }
}
