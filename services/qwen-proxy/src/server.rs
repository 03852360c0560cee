//! The middleware stack, from the outermost layer inwards.
//!
//! The accept loop (header timeout, connection limit, panic isolation, drain) is provided by the daemon crate. Within a
//! connection, each request passes through:
//!
//! 1. **Metrics**, labelled with the route's pattern.
//! 2. **Doors**: the check of host and origin, so that a foreign page cannot use the user's login.
//! 3. **Client key**, except for the health routes, which supervisors and load balancers call without one, preflights,
//!    and the shutdown request, which has a stricter check of its own.
//! 4. **The routes**, by axum's router.
//! 5. **Reports**: an error is reported and gets its body.
//!
//! Every response carries `x-request-id`, including errors and preflights.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{Method, StatusCode};
use signalbox_daemon::admin::SHUTDOWN_PATH;
use tokio::time::Instant;

use crate::{
    api::error::{ApiError, PendingError, ReportedRequest},
    app::App,
};

/// Runs the middleware around the routes.
pub(crate) async fn stack(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let arrived = Instant::now();
    let path = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let cors_origin = app.host_origin_guard.cors_origin(&request);
    let mut response = if let Some(error) = app.refusal(&request) {
        // Not reported, so that unauthorised clients cannot fill the table of errors.
        let body = error.body(None);
        error.into_response().map(|_| Body::from(body))
    } else if method == Method::OPTIONS {
        StatusCode::OK.into_response()
    } else {
        let (head, body) = request.into_parts();
        let reported_request = ReportedRequest::of(&head, Bytes::new());
        let response = next.run(Request::from_parts(head, body)).await;
        reported(&app, reported_request, response)
    };
    if let Some(cors_origin) = cors_origin {
        cors_origin.apply_cors(response.headers_mut());
    }
    app.metrics.answered(method.as_str(), &path, response.status().as_u16(), arrived.elapsed());
    response
}

impl App {
    /// Returns the reason why a request is refused, if any.
    fn refusal(&self, request: &Request) -> Option<ApiError> {
        if let Err(refused) = self.host_origin_guard.check(request) {
            return Some(refused.into());
        }
        let path = request.uri().path();
        let open = request.method() == Method::OPTIONS || path.starts_with("/health") || path == SHUTDOWN_PATH;
        let admitted = if open { Ok(()) } else { self.keys.admit_request(request) };
        admitted.err().map(ApiError::from)
    }
}

/// Reports an error and adds the body of its response.
fn reported(app: &App, reported_request: ReportedRequest, mut response: Response) -> Response {
    let Some(PendingError { error, body }) = response.extensions_mut().remove::<PendingError>() else {
        return response;
    };
    let report = match error.is_reported() {
        true => app.errors.report(&error, &ReportedRequest { body, ..reported_request }),
        false => error.body(None),
    };
    response.map(|_| Body::from(report))
}
