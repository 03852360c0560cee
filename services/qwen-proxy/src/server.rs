//! Layers around the routes, from the outermost layer inwards.
//!
//! The accept loop (header timeout, connection limit, panic isolation, drain) is provided by the daemon crate. Within a
//! connection, each request passes through:
//!
//! 1. **Metrics**, labelled with the route's pattern. Refused requests are counted, too.
//! 2. **The entry** ([`signalbox_daemon::entry`]): host and origin, preflights, client key.
//! 3. **The routes**, by axum's router. The errors of their handlers are reported and become responses in
//!    `api/endpoint.rs`.
//!
//! Every response carries `x-request-id`, including errors and preflights.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::{Method, StatusCode, request::Parts};
use signalbox_daemon::{EntryPolicy, Refusal, admin::SHUTDOWN_PATH};
use tokio::time::Instant;

use crate::{api::error::ApiError, metrics::Metrics};

/// Open paths, preflights and refusals of this service.
#[derive(Debug)]
pub(crate) struct QwenPolicy;

/// Counts a request.
pub(crate) async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let arrived = Instant::now();
    let path = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let response = next.run(request).await;
    metrics.answered(method.as_str(), &path, response.status().as_u16(), arrived.elapsed());
    response
}

impl EntryPolicy for QwenPolicy {
    type Body = Body;

    /// Supervisors and load balancers call the health routes without a key. The shutdown route has a stricter check of
    /// its own.
    fn is_open(&self, path: &str) -> bool {
        path.starts_with("/health") || path == SHUTDOWN_PATH
    }

    /// Not reported, so that unauthorised clients cannot fill the table of errors.
    fn refused(&self, refusal: Refusal, _: &Parts) -> Response {
        let error = ApiError::from(refusal);
        error.response(error.body(None))
    }

    /// The Node.js version answers every `OPTIONS` with 200.
    fn preflight_status<B>(&self, request: &http::Request<B>) -> Option<StatusCode> {
        (request.method() == Method::OPTIONS).then_some(StatusCode::OK)
    }
}
