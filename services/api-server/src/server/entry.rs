//! The part of the common entry ([`signalbox_daemon::entry`]) that is api-server's own.
//!
//! The control token, or the cookie of a browser that signed in with it, is required on every route except the liveness
//! check, the files of the console, and those that check the token themselves: signing in, and Socket.IO, because pages
//! cannot set headers on a WebSocket. The console asks for the token; for the other pages, browsers do.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, Request, header, request::Parts};
use signalbox_daemon::{EntryPolicy, Refusal};

use crate::api::{Error, HEALTH, SESSION};
use crate::console::{self, Sessions};
use crate::events;

/// Open paths and refusals of this service.
#[derive(Debug)]
pub(super) struct ApiPolicy {
    sessions: Sessions,
}

// === impl ApiPolicy ===

impl ApiPolicy {
    /// Creates the policy. Requests of these sessions need no token.
    pub(super) const fn new(sessions: Sessions) -> Self {
        Self { sessions }
    }
}

impl EntryPolicy for ApiPolicy {
    type Body = Body;

    /// The control token is no client key.
    const NAMES_KEY: bool = false;

    fn is_open(&self, path: &str) -> bool {
        path == HEALTH || path == SESSION || path.starts_with(events::PATH)
    }

    fn admits<B>(&self, request: &Request<B>) -> bool {
        console::serves(request) || self.sessions.admits(request.headers())
    }

    fn refused(&self, refusal: Refusal, request: &Parts) -> Response {
        let error = match refusal {
            Refusal::HostOrigin(forbidden) => Error::from(forbidden),
            Refusal::Key(denied) => Error::from(denied),
        };
        let challenge = matches!(error, Error::Unauthorized).then(|| challenge(request));
        let mut response = error.into_response();
        if let Some(challenge) = challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

fn challenge(request: &Parts) -> HeaderValue {
    let navigates = request.headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    HeaderValue::from_static(match navigates {
        true => "Basic realm=\"Signalbox: the control token is the password\"",
        false => "Bearer",
    })
}
