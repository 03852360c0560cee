//! Layers around the routes, from the outermost layer inwards.
//!
//! The accept loop (header timeout, connection limit, panic isolation, drain) is provided by the daemon crate. Within a
//! connection, each request passes through:
//!
//! 1. **Metrics**, labelled with the route's pattern. Refused requests are counted, too.
//! 2. **The entry** ([`signalbox_daemon::entry`]): host and origin, preflights, client key. The routes of the request log
//!    need the control token instead ([`crate::log_access`]).
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
use signalbox_daemon::{EntryPolicy, PeerAddr, Refusal, admin::SHUTDOWN_PATH};
use tokio::time::Instant;

use crate::{api::error::ApiError, app::App, metrics::Metrics};

/// Open paths, preflights and refusals of this service.
#[derive(Debug)]
pub(crate) struct QwenPolicy;

/// Roots of the routes that show the request log.
const LOG_ROOTS: [&str; 3] = ["/v1/sessions", "/v1/requests", "/v1/responses"];

/// Returns whether a path is one of the request log.
fn is_of_log(path: &str) -> bool {
    LOG_ROOTS.iter().any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Checks who reads the request log, or deletes from it, before any route looks at the path.
pub(crate) async fn guard_log(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    // An answer to a preflight says nothing about the log.
    if !is_of_log(request.uri().path()) || request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    match app.log_access.admit(request.headers(), request.extensions().get::<PeerAddr>()).await {
        Ok(()) => next.run(request).await,
        Err(denied) => {
            let error = ApiError::from(denied);
            error.response(error.body(None))
        }
    }
}

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

    /// Supervisors and load balancers call the health routes without a key. The shutdown route and those of the request
    /// log have a stricter check of their own.
    fn is_open(&self, path: &str) -> bool {
        path.starts_with("/health") || path == SHUTDOWN_PATH || is_of_log(path)
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
