//! The check of the `Host` and `Origin` headers, applied by all three services before routing.
//!
//! # Theory
//! A service on loopback can be reached by every page that a browser on this machine shows. Two headers that no page
//! can set identify such requests. `Host` still contains `evil.example` when that name was made to resolve to 127.0.0.1
//! (DNS rebinding): see [`hosts`]. `Origin` names the page that caused the request: see [`origins`]. Programs other
//! than browsers send no `Origin` and are admitted, because they could forge any header.
//!
//! Read requests are admitted for every origin, because the browser withholds a response that does not name the page's
//! origin ([`CorsOrigin::apply_cors`]). For requests with side effects that protection comes too late: all methods
//! except `GET`, `HEAD` and `OPTIONS` are refused, and so are WebSocket handshakes, to which the same-origin policy
//! does not apply ([`HostOriginGuard::unsafe_subtree`]).

mod hosts;
mod origins;

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};

pub(crate) use self::hosts::Hosts;
pub(crate) use self::origins::Origins;
pub use self::origins::is_own as is_own_origin;

/// Check of the hosts and origins of requests.
#[derive(Clone, Debug)]
pub struct HostOriginGuard {
    hosts: Hosts,
    origins: Origins,
    extra_origins: ExtraOrigins,
    unsafe_subtree: Option<&'static str>,
}

/// Returns whether an origin, given in lower case, is allowed to send a request with this method to this path.
pub type ExtraOrigins = fn(&str, &Method, &str) -> bool;

/// Reason why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// The host is missing or ambiguous.
    #[error("the request names no host, or more than one")]
    UnclearHost,
    /// The request is for another host.
    #[error("requests for the host {0:?} are refused; to allow them, add it to `server.allowed_hosts` (ALLOWED_HOSTS)")]
    ForeignHost(String),
    /// A browser sent the request on behalf of a page whose origin is not allowed.
    #[error(
        "pages of {0} may not use this server; to allow them, add the origin to `server.allowed_origins` \
        (ALLOWED_ORIGINS)"
    )]
    ForeignOrigin(String),
}

/// A page that may read the response.
#[derive(Clone, Debug)]
pub struct CorsOrigin {
    origin: HeaderValue,
    /// Headers the page wants to send, from a preflight request.
    requested_headers: Option<HeaderValue>,
}

/// Time in seconds for which browsers may cache the result of a preflight.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS");
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static("Content-Type, Authorization");
/// Headers of responses that pages may read, beside those of [`EXPOSED_PREFIXES`].
const EXPOSED_HEADERS: &str = "X-Request-ID, Request-ID, X-Upstream-Request-ID, Retry-After, X-Should-Retry";
/// Beginnings of the names of further headers that pages may read.
const EXPOSED_PREFIXES: [&str; 3] = ["x-signalbox-", "x-ratelimit-", "anthropic-ratelimit-"];

/// Maximum characters of a name that are quoted in an error.
const MAX_QUOTED_CHARS: usize = 100;

/// Returns `true` for a CORS preflight request.
#[must_use]
pub fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

// === impl HostOriginGuard ===

impl HostOriginGuard {
    /// Creates the check. It accepts loopback names, `host` (the address listened on) and `hosts`; and the origins of
    /// this machine and `origins`.
    #[must_use]
    pub fn of(host: &str, hosts: &[String], origins: &[String]) -> Self {
        Self {
            hosts: Hosts::new(host, hosts),
            origins: Origins::new(origins),
            extra_origins: |_, _, _| false,
            unsafe_subtree: None,
        }
    }

    /// Adds a predicate that allows further origins depending on method and path.
    #[must_use]
    pub fn extra_origins(self, extra_origins: ExtraOrigins) -> Self {
        Self { extra_origins, ..self }
    }

    /// Treats every request below this path as one with side effects, including `GET`.
    #[must_use]
    pub fn unsafe_subtree(self, path: &'static str) -> Self {
        Self { unsafe_subtree: Some(path), ..self }
    }

    /// Checks the host and the origin of a request.
    ///
    /// # Errors
    /// Returns [`Forbidden`] if the request must be rejected.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Forbidden> {
        match hosts::host_of(request)? {
            Some(host) if !self.hosts.accepts(host) => Err(Forbidden::ForeignHost(quote(host))),
            _ => self.check_origin(request),
        }
    }

    fn check_origin<B>(&self, request: &Request<B>) -> Result<(), Forbidden> {
        let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
            && self.unsafe_subtree.is_none_or(|unsafe_subtree| !request.uri().path().starts_with(unsafe_subtree));
        if is_safe {
            return Ok(());
        }
        match request.headers().get(header::ORIGIN) {
            Some(origin) if self.allows(origin, request) => Ok(()),
            Some(origin) => Err(Forbidden::ForeignOrigin(quote(&String::from_utf8_lossy(origin.as_bytes())))),
            None => match request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes) {
                Some(b"cross-site" | b"same-site") => Err(Forbidden::ForeignOrigin("another site".to_owned())),
                _ => Ok(()),
            },
        }
    }

    /// Returns the page that sent the request, if it may read the response.
    #[must_use]
    pub fn cors_origin<B>(&self, request: &Request<B>) -> Option<CorsOrigin> {
        let origin = request.headers().get(header::ORIGIN)?;
        let requested_headers = || request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        self.allows(origin, request)
            .then(|| CorsOrigin { origin: origin.clone(), requested_headers: requested_headers() })
    }

    fn allows<B>(&self, origin: &HeaderValue, request: &Request<B>) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        let origin = origin.to_ascii_lowercase();
        self.origins.allow(&origin)
            || (self.extra_origins)(&origin, &intended_method(request), request.uri().path())
            || origins::is_own(&origin, request.headers())
    }
}

/// Returns the method of the request, or that of the one which a preflight asks for.
fn intended_method<B>(request: &Request<B>) -> Method {
    let requested = || request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD);
    match *request.method() {
        Method::OPTIONS => requested().and_then(|method| Method::from_bytes(method.as_bytes()).ok()),
        _ => None,
    }
    .unwrap_or_else(|| request.method().clone())
}

// === impl Forbidden ===

impl Forbidden {
    /// Returns the status of the response.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::UnclearHost => StatusCode::BAD_REQUEST,
            Self::ForeignHost(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::ForeignOrigin(_) => StatusCode::FORBIDDEN,
        }
    }

    /// Returns OpenAI's error type.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::UnclearHost => "invalid_request_error",
            Self::ForeignHost(_) => "misdirected_request",
            Self::ForeignOrigin(_) => "permission_error",
        }
    }

    /// Returns the stable error code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnclearHost => "host_unclear",
            Self::ForeignHost(_) => "host_not_allowed",
            Self::ForeignOrigin(_) => "origin_not_allowed",
        }
    }
}

// === impl CorsOrigin ===

impl CorsOrigin {
    /// Adds the CORS headers that let the page read this response; in the response to a preflight they also list what
    /// it may send. Other pages get no such headers, and their browser withholds the response.
    pub fn apply_cors(self, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, self.requested_headers.unwrap_or(ALLOWED_HEADERS));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed(headers));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
    }
}

/// Lists the headers that a page may read. Wildcards do not apply to requests with credentials, so the names of the
/// response are listed.
fn exposed(headers: &HeaderMap) -> HeaderValue {
    let mut list = EXPOSED_HEADERS.to_owned();
    for name in headers.keys().filter(|name| EXPOSED_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix))) {
        list.push_str(", ");
        list.push_str(name.as_str());
    }
    // Names of headers are always valid in a value.
    HeaderValue::try_from(list).unwrap_or(HeaderValue::from_static(EXPOSED_HEADERS))
}

fn quote(name: &str) -> String {
    name.chars().take(MAX_QUOTED_CHARS).collect()
}

#[cfg(test)]
mod tests;
