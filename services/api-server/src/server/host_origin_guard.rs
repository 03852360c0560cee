//! Permitted hosts and origins, as in all services, with the exceptions of this server.
//!
//! Browser extensions may use only the route that accepts a login, and receive events. Their ids prove little: an
//! unpacked extension can have any id, and users have more extensions installed than they are aware of. A login planted
//! by one is visible and can be undone; an extension that could change providers could redirect every prompt and every
//! key.

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

/// Returns whether an origin is an extension, on a path that extensions may use.
fn is_extension_route(origin: &str, path: &str) -> bool {
    origin.strip_prefix("chrome-extension://").is_some_and(is_extension_id)
        && (path == CREDENTIALS || path.starts_with(events::PATH))
}

/// Returns whether this is an extension id of Chrome: 32 letters from a to p.
fn is_extension_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| (b'a'..=b'p').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENSION: &str = "chrome-extension://abcdefghijklmnopabcdefghijklmnop";

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
        assert!(is_extension_route(EXTENSION, CREDENTIALS) && is_extension_route(EXTENSION, "/socket.io/"));
        for path in ["/api/providers", "/api/proxy/stop", "/api/qwen/credentials/", "/api/qwen", "/"] {
            assert!(!is_extension_route(EXTENSION, path), "{path}");
        }
        for origin in ["chrome-extension://short", "https://evil.example", "null"] {
            assert!(!is_extension_route(origin, CREDENTIALS), "{origin}");
        }
    }
}
