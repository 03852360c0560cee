//! The part of the common entry ([`signalbox_daemon::entry`]) that is api-server's own.
//!
//! The control token is required on every route except the liveness check and Socket.IO, which checks the token itself,
//! because pages cannot set headers on a WebSocket. Browsers ask the user for the token on opening a page, and send it
//! with every further request.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header, request::Parts};
use signalbox_daemon::{EntryPolicy, Refusal};

use crate::api::{Error, HEALTH};
use crate::events;

/// Open paths and refusals of this service.
#[derive(Debug)]
pub(super) struct ApiPolicy;

impl EntryPolicy for ApiPolicy {
    type Body = Body;

    /// The control token is no client key.
    const NAMES_KEY: bool = false;

    fn is_open(&self, path: &str) -> bool {
        path == HEALTH || path.starts_with(events::PATH)
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
