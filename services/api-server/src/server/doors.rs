//! Permitted hosts and origins, as in all services, with the exceptions of this server.
//!
//! Browser extensions may use only the route that accepts a login, and receive events. Their ids prove little: an
//! unpacked extension can have any id, and users have more extensions installed than they are aware of. A login planted
//! by one is visible and can be undone; an extension that could change providers could redirect every prompt and every
//! key.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use signalbox_daemon::{Doors, Exit, doors};
use signalbox_management::CREDENTIALS;

use crate::api::Error;
use crate::events;

/// Returns the access rules of a server on this host, with further hosts and origins.
///
/// # Errors
/// [`Exit::Config`] when all origins are permitted: each could then redirect every key.
pub fn of(host: &str, hosts: &[String], origins: &[String]) -> Result<Doors, Exit> {
    if origins.iter().any(|origin| origin == "*") {
        return Err(Exit::Config(
            "server.allowed_origins (ALLOWED_ORIGINS) of api-server must not contain `*`, because any page could \
             change providers. List single origins, or set `*` in the files of provider-router and qwen-proxy"
                .to_owned(),
        ));
    }
    Ok(Doors::of(host, hosts, origins).guests(is_guest).sockets(events::PATH))
}

pub(super) async fn require(State(doors): State<Arc<Doors>>, request: Request, next: Next) -> Response {
    let page = doors.page(&request);
    let mut response = match doors.check(&request) {
        Err(refused) => Error::from(refused).into_response(),
        Ok(()) if doors::is_preflight(&request) => StatusCode::NO_CONTENT.into_response(),
        Ok(()) => next.run(request).await,
    };
    if let Some(page) = page {
        page.may_read(response.headers_mut());
    }
    response
}

/// Returns whether an origin is an extension, on a path that extensions may use.
fn is_guest(origin: &str, path: &str) -> bool {
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
        let error = of("127.0.0.1", &[], &["*".to_owned()]).unwrap_err();
        assert!(error.code() == 78 && error.to_string().contains("server.allowed_origins"), "{error}");
        let named = of("127.0.0.1", &[], &[EXTENSION.to_owned()]).unwrap();
        let request = http::Request::put("/api/providers/p").header("host", "localhost").header("origin", EXTENSION);
        assert_eq!(named.check(&request.body(()).unwrap()), Ok(()), "a listed extension is fully allowed");
    }

    #[test]
    fn extensions_may_only_store_a_login_and_receive_events() {
        assert!(is_guest(EXTENSION, CREDENTIALS) && is_guest(EXTENSION, "/socket.io/"));
        for path in ["/api/providers", "/api/proxy/stop", "/api/qwen/credentials/", "/api/qwen", "/"] {
            assert!(!is_guest(EXTENSION, path), "{path}");
        }
        for origin in ["chrome-extension://short", "https://evil.example", "null"] {
            assert!(!is_guest(origin, CREDENTIALS), "{origin}");
        }
    }
}
