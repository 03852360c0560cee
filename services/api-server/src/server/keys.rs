//! Client keys, where any are configured: on every route but the one that asks whether we live, and those of Socket.IO,
//! which asks for the key itself: pages cannot set headers on a WebSocket.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use signalbox_daemon::ClientKeys;

use crate::api::{Error, HEALTH};
use crate::events;

pub(super) async fn require(
    State(keys): State<Arc<ClientKeys>>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    if is_open(request.uri().path()) || keys.authorize(request.headers()) {
        Ok(next.run(request).await)
    } else {
        Err(Error::Unauthorized)
    }
}

fn is_open(path: &str) -> bool {
    path == HEALTH || path.starts_with(events::PATH)
}
