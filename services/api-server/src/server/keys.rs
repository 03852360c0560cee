//! Control token check, on every route except the liveness check and Socket.IO, which checks the token itself, because
//! pages cannot set headers on a WebSocket.
//!
//! Browsers ask the user for the token on opening a page, and send it with every further request.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use signalbox_daemon::ClientKeys;

use crate::api::{Error, HEALTH};
use crate::events;

pub(super) async fn require(State(keys): State<Arc<ClientKeys>>, request: Request, next: Next) -> Response {
    let admitted = match is_open(request.uri().path()) {
        true => Ok(()),
        false => keys.admit(request.headers(), request.extensions().get()),
    };
    let Err(denied) = admitted else { return next.run(request).await };
    let error = Error::from(denied);
    if !matches!(error, Error::Unauthorized) {
        return error.into_response();
    }
    let navigates = request.headers().get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    let challenge = if navigates { "Basic realm=\"Signalbox: the control token is the password\"" } else { "Bearer" };
    let mut response = error.into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

fn is_open(path: &str) -> bool {
    path == HEALTH || path.starts_with(events::PATH)
}
