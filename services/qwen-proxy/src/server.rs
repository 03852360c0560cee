//! The stack, top to bottom.
//!
//! The accept loop (header deadline, connection cap, catch-panic, drain) is the daemon's. Within a connection, per request:
//!
//! 1. **Counting**, by the route's pattern.
//! 2. **Pages** ([`Cors`]): which may ask from a browser, and read the answers; preflights are answered here.
//! 3. **Client key**, on everything but the health routes, which supervisors and load balancers ask without one.
//! 4. **The routes**, by axum's router.
//! 5. **Reports**: an error gets its id and its body here.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use tokio::time::Instant;

use crate::{
    api::error::{ApiError, Asked, Refusal},
    app::App,
};

/// Which pages may use the service from a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cors {
    /// Those of this machine: a page from elsewhere must not spend the user's login.
    Loopback,
    /// All.
    Any,
    /// Those of this origin.
    Origin(HeaderValue),
}

/// Everything around the routes.
pub(crate) async fn stack(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let arrived = Instant::now();
    let path = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let (head, body) = request.into_parts();
    let open = head.uri.path().starts_with("/health");
    let mut response = if head.method == Method::OPTIONS {
        StatusCode::OK.into_response()
    } else if let Some(error) = app.refusal(&head, open, origin.as_ref()) {
        // Nobody who is not let in can fill the table of errors.
        let body = error.body(None);
        error.into_response().map(|_| Body::from(body))
    } else {
        let asked = Asked::of(&head, Bytes::new());
        let response = next.run(Request::from_parts(head.clone(), body)).await;
        reported(&app, asked, response)
    };
    app.cors.add_to(response.headers_mut(), origin);
    app.metrics.answered(head.method.as_str(), &path, response.status().as_u16(), arrived.elapsed());
    response
}

impl App {
    /// Why a request is not let in.
    fn refusal(&self, head: &Parts, open: bool, origin: Option<&HeaderValue>) -> Option<ApiError> {
        if !open && !self.keys.authorize(&head.headers) {
            return Some(ApiError::Unauthorized);
        }
        let page = origin.filter(|origin| head.method != Method::GET && !self.cors.allows(origin))?;
        Some(ApiError::Origin(String::from_utf8_lossy(page.as_bytes()).into_owned()))
    }
}

/// Writes an error down and gives it its body.
fn reported(app: &App, asked: Asked, mut response: Response) -> Response {
    let Some(Refusal { error, body }) = response.extensions_mut().remove::<Refusal>() else { return response };
    let report = app.errors.report(&error, &Asked { body, ..asked });
    response.map(|_| Body::from(report))
}

// === impl Cors ===

impl Cors {
    /// Reads the setting; `None` if it cannot be a header.
    pub(crate) fn parse(setting: &str) -> Option<Self> {
        match setting {
            "loopback" | "" => Some(Self::Loopback),
            "*" => Some(Self::Any),
            origin => HeaderValue::from_str(origin).ok().map(Self::Origin),
        }
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Origin(allowed) => allowed == origin || is_loopback(origin),
            Self::Loopback => is_loopback(origin),
        }
    }

    fn add_to(&self, headers: &mut HeaderMap, origin: Option<HeaderValue>) {
        let allowed = match self {
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::Origin(origin) => Some(origin.clone()),
            Self::Loopback => {
                headers.append(header::VARY, HeaderValue::from_static("origin"));
                origin.filter(is_loopback)
            }
        };
        let Some(allowed) = allowed else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE, OPTIONS"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type, Authorization"),
            (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

fn is_loopback(origin: &HeaderValue) -> bool {
    let Some((scheme, host)) = origin.to_str().ok().and_then(|origin| origin.split_once("://")) else { return false };
    let (name, port) = match host.strip_prefix("[::1]") {
        Some(rest) => ("[::1]", rest.strip_prefix(':')),
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    let port = port.is_none_or(|port| !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit()));
    matches!(scheme, "http" | "https") && matches!(name, "localhost" | "127.0.0.1" | "[::1]") && port
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(cors: &str, origin: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        Cors::parse(cors).unwrap().add_to(&mut headers, HeaderValue::from_str(origin).ok());
        headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(|origin| origin.to_str().unwrap().to_owned())
    }

    #[test]
    fn only_pages_of_this_machine_are_let_in_by_default() {
        for origin in ["http://localhost:5173", "http://127.0.0.1", "https://[::1]:3002"] {
            assert_eq!(allowed("loopback", origin).as_deref(), Some(origin));
        }
        for origin in ["https://example.org", "http://localhost.example.org", "http://localhost:x", "null", "file://"] {
            assert_eq!(allowed("loopback", origin), None, "{origin}");
        }
    }

    #[test]
    fn the_setting_lets_others_in() {
        assert_eq!(allowed("*", "https://example.org").as_deref(), Some("*"));
        assert_eq!(allowed("https://example.org", "x").as_deref(), Some("https://example.org"));
        assert_eq!(Cors::parse("a\nb"), None);
        let page = HeaderValue::from_static("https://example.org");
        let allows = |setting| Cors::parse(setting).unwrap().allows(&page);
        assert!(allows("*") && allows("https://example.org") && !allows("loopback") && !allows("https://example.com"));
    }
}
