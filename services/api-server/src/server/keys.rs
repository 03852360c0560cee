//! Client keys, where any are configured: on every route but the one that asks whether we live.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use signalbox_daemon::ClientKeys;

use crate::api::{Error, HEALTH};

pub(super) async fn require(
    State(keys): State<Arc<ClientKeys>>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    if request.uri().path() == HEALTH || keys.authorize(request.headers()) {
        Ok(next.run(request).await)
    } else {
        Err(Error::Unauthorized)
    }
}
