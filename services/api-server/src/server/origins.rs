//! Pages that may work with us from a browser.
//!
//! Without a token on loopback, any page a person visits could post to us. Browsers say where a request comes from;
//! programs do not, and are let through: they could say what they like anyway.
//!
//! Browser extensions come to one route only, the one that takes a login, and may listen. Which extension it is says little: an unpacked
//! one has any id, and a person has more of them than they think of. One that plants a login of its own can be seen and
//! undone; one that could change providers would send every prompt, and every key, where it likes.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderValue, Method, Uri, header};

use super::hosts::host_of;
use crate::api::{CREDENTIALS, Error};
use crate::events;

/// Pages that may work with us: those of this machine, those that are named, and for two routes browser extensions.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    named: Vec<String>,
}

// === impl Origins ===

impl Origins {
    /// `named` as browsers write them: `https://dashboard.example:8443`.
    #[must_use]
    pub fn new(named: &[String]) -> Self {
        Self { named: named.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect() }
    }

    /// Whether a page of this origin may read our answers at this path, and change something.
    pub(super) fn allow(&self, origin: &HeaderValue, path: &str) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        let lower = origin.to_ascii_lowercase();
        if self.named.contains(&lower) {
            return true;
        }
        if lower.strip_prefix("chrome-extension://").is_some_and(is_extension_id) {
            return path == CREDENTIALS || path.starts_with(events::PATH);
        }
        let Ok(uri) = lower.parse::<Uri>() else { return false };
        uri.scheme_str() == Some("http")
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && uri.host().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"))
    }
}

pub(super) async fn require(
    State(origins): State<Arc<Origins>>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    // A page may open a WebSocket to anywhere, and read what comes: there, asking is reading.
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        && !request.uri().path().starts_with(events::PATH);
    match request.headers().get(header::ORIGIN) {
        Some(origin) if !reads && !origins.allow(origin, request.uri().path()) && !is_own(&request, origin) => {
            Err(Error::ForeignOrigin(String::from_utf8_lossy(origin.as_bytes()).into_owned()))
        }
        _ => Ok(next.run(request).await),
    }
}

/// A page that came from ourselves. That its host is one of ours has been checked further out.
fn is_own(request: &Request, origin: &HeaderValue) -> bool {
    host_of(request).is_some_and(|host| origin.as_bytes() == format!("http://{host}").as_bytes())
}

/// Chrome's ids are 32 letters from a to p.
fn is_extension_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| (b'a'..=b'p').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENSION: &str = "chrome-extension://abcdefghijklmnopabcdefghijklmnop";

    fn allows(origins: &Origins, origin: &str) -> bool {
        origins.allow(&HeaderValue::from_str(origin).unwrap(), "/api/providers")
    }

    #[test]
    fn this_machine_is_allowed() {
        let origins = Origins::default();
        for origin in ["http://localhost:5173", "http://localhost", "http://127.0.0.1:3002", "http://[::1]:3002"] {
            assert!(allows(&origins, origin), "{origin}");
        }
    }

    #[test]
    fn extensions_may_bring_a_login_and_nothing_else() {
        let origins = Origins::default();
        let extension = HeaderValue::from_static(EXTENSION);
        assert!(origins.allow(&extension, CREDENTIALS));
        for path in ["/api/providers", "/api/proxy/stop", "/api/qwen/credentials/", "/api/qwen", "/"] {
            assert!(!origins.allow(&extension, path), "{path}");
        }
        assert!(!origins.allow(&HeaderValue::from_static("chrome-extension://short"), CREDENTIALS));
        assert!(Origins::new(&[EXTENSION.to_owned()]).allow(&extension, "/api/providers"), "unless it is named");
    }

    #[test]
    fn everybody_else_is_not() {
        let origins = Origins::default();
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://localhost.evil.example",
            "http://localhost@evil.example",
            "http://127.0.0.1.evil.example:3002",
            "https://localhost:3002",
            "file://",
            EXTENSION,
            "ftp://localhost",
        ] {
            assert!(!allows(&origins, origin), "{origin}");
        }
    }

    #[test]
    fn named_origins_are_allowed() {
        let origins = Origins::new(&["https://dashboard.example:8443/".to_owned()]);
        assert!(allows(&origins, "https://dashboard.example:8443"));
        assert!(!allows(&origins, "https://dashboard.example"));
    }
}
