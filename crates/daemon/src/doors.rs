//! The doors of all three services: by which names they answer, and to the pages of which origins. Asked before any routing.
//!
//! # Theory
//! A service on loopback can be reached by every page that a browser on this machine shows. Two headers, which no page can
//! set, give such a page away. `Host` still says `evil.example` when that name was made to resolve to 127.0.0.1 (DNS
//! rebinding): see [`hosts`]. `Origin` says who makes the browser ask: see [`origins`]. Programs send no `Origin`, and are
//! let through: they could say what they like anyway.
//!
//! Reading is refused to no page here, because its browser keeps an answer from it that does not name its origin
//! ([`Page::may_read`]). Where asking is doing, the answer would come too late: everything but `GET`, `HEAD` and `OPTIONS` is
//! refused, and so is the handshake of a WebSocket, which no browser guards ([`Doors::sockets`]).

mod hosts;
mod origins;

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};

pub(crate) use self::hosts::Hosts;
pub(crate) use self::origins::Origins;
use crate::config::ServerConfig;

/// Who may come in.
#[derive(Clone, Debug)]
pub struct Doors {
    hosts: Hosts,
    origins: Origins,
    guests: fn(&str, &str) -> bool,
    sockets: Option<&'static str>,
}

/// Why somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Which host is meant is not said, or not clearly.
    #[error("the request names no host, or more than one")]
    UnclearHost,
    /// Another host is meant.
    #[error(
        "this server does not answer for the host {0:?}; if the name is its own, add it to `server.allowed_hosts` (ALLOWED_HOSTS)"
    )]
    ForeignHost(String),
    /// A browser asks on behalf of a page that has no business here.
    #[error(
        "pages of {0} may not use this server; to let them, add the origin to `server.allowed_origins` (ALLOWED_ORIGINS)"
    )]
    ForeignOrigin(String),
}

/// A page that may read what we answer.
#[derive(Clone, Debug)]
pub struct Page {
    origin: HeaderValue,
    /// What it wants to send, if it asks that first.
    wishes: Option<HeaderValue>,
}

/// How long browsers may remember what a page is allowed, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS");
const HEADERS: HeaderValue = HeaderValue::from_static("Content-Type, Authorization");
const EXPOSED: HeaderValue = HeaderValue::from_static("X-Request-ID, Retry-After");

/// How much of a name is repeated in an error.
const SHOWN: usize = 100;

/// Whether a browser asks what a page may do, before the page does it.
#[must_use]
pub fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

// === impl Doors ===

impl Doors {
    /// The doors that the configuration describes.
    #[must_use]
    pub fn new(server: &ServerConfig) -> Self {
        Self::of(&server.host, &server.allowed_hosts, &server.allowed_origins)
    }

    /// Loopback, the host we were told to listen on, and further names; the pages of this machine, and of further origins.
    #[must_use]
    pub fn of(host: &str, hosts: &[String], origins: &[String]) -> Self {
        Self { hosts: Hosts::new(host, hosts), origins: Origins::new(origins), guests: |_, _| false, sockets: None }
    }

    /// Lets further origins in, at some paths: `guests` is given both, the origin in lower case.
    #[must_use]
    pub fn guests(self, guests: fn(&str, &str) -> bool) -> Self {
        Self { guests, ..self }
    }

    /// Below this path even a `GET` does something.
    #[must_use]
    pub fn sockets(self, path: &'static str) -> Self {
        Self { sockets: Some(path), ..self }
    }

    /// Whether a request may come in.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Refused> {
        match hosts::host_of(request)? {
            Some(host) if !self.hosts.answer_to(host) => Err(Refused::ForeignHost(shown(host))),
            _ => self.check_origin(request),
        }
    }

    fn check_origin<B>(&self, request: &Request<B>) -> Result<(), Refused> {
        let asks_only = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
            && self.sockets.is_none_or(|sockets| !request.uri().path().starts_with(sockets));
        if asks_only {
            return Ok(());
        }
        match request.headers().get(header::ORIGIN) {
            Some(origin) if self.allows(origin, request) => Ok(()),
            Some(origin) => Err(Refused::ForeignOrigin(shown(&String::from_utf8_lossy(origin.as_bytes())))),
            None => match request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes) {
                Some(b"cross-site" | b"same-site") => Err(Refused::ForeignOrigin("another site".to_owned())),
                _ => Ok(()),
            },
        }
    }

    /// The page that asks, if it is one that may read the answer.
    #[must_use]
    pub fn page<B>(&self, request: &Request<B>) -> Option<Page> {
        let origin = request.headers().get(header::ORIGIN)?;
        let wishes = || request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        self.allows(origin, request).then(|| Page { origin: origin.clone(), wishes: wishes() })
    }

    fn allows<B>(&self, origin: &HeaderValue, request: &Request<B>) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        let origin = origin.to_ascii_lowercase();
        self.origins.allow(&origin)
            || (self.guests)(&origin, request.uri().path())
            || origins::is_own(&origin, request.headers())
    }
}

// === impl Refused ===

impl Refused {
    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::UnclearHost => StatusCode::BAD_REQUEST,
            Self::ForeignHost(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::ForeignOrigin(_) => StatusCode::FORBIDDEN,
        }
    }

    /// The class of the error.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::UnclearHost => "invalid_request_error",
            Self::ForeignHost(_) => "misdirected_request",
            Self::ForeignOrigin(_) => "permission_error",
        }
    }

    /// The stable name of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnclearHost => "host_unclear",
            Self::ForeignHost(_) => "host_not_allowed",
            Self::ForeignOrigin(_) => "origin_not_allowed",
        }
    }
}

// === impl Page ===

impl Page {
    /// Tells the browser that the page may read this answer; in the answer to a preflight, also what it may send. Pages that are
    /// not let in get no such headers, and their browser keeps the answer from them.
    pub fn may_read(self, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, self.wishes.unwrap_or(HEADERS));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    }
}

fn shown(name: &str) -> String {
    name.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests;
