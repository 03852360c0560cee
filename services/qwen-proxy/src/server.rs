//! The stack, top to bottom.
//!
//! The accept loop (header deadline, connection cap, catch-panic, drain) is the daemon's. Within a connection, per request:
//!
//! 1. **Counting**, by the route's pattern.
//! 2. **Doors**: the names we answer to, and the pages that may ask: a page from elsewhere must not spend the user's login.
//! 3. **Client key**, on everything but the health routes, which supervisors and load balancers ask without one, preflights, and the request to
//!    leave, which needs more than that.
//! 4. **The routes**, by axum's router.
//! 5. **Reports**: an error gets its id and its body here.
//!
//! Every response carries `x-request-id`, errors and preflights included.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{Method, StatusCode};
use signalbox_core::id;
use signalbox_daemon::admin::SHUTDOWN_PATH;
use tokio::time::Instant;

use crate::{
    api::{
        chat_completions::identify,
        error::{ApiError, Asked, Refusal},
    },
    app::App,
};

/// Everything around the routes.
pub(crate) async fn stack(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let arrived = Instant::now();
    let path = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let page = app.doors.page(&request);
    let mut response = if let Some(error) = app.refusal(&request) {
        // Nobody who is not let in can fill the table of errors.
        let body = error.body(None);
        error.into_response().map(|_| Body::from(body))
    } else if method == Method::OPTIONS {
        StatusCode::OK.into_response()
    } else {
        let (head, body) = request.into_parts();
        let asked = Asked::of(&head, Bytes::new());
        let response = next.run(Request::from_parts(head, body)).await;
        reported(&app, asked, response)
    };
    if let Some(page) = page {
        page.may_read(response.headers_mut());
    }
    identify(response.headers_mut(), id::request_id);
    app.metrics.answered(method.as_str(), &path, response.status().as_u16(), arrived.elapsed());
    response
}

impl App {
    /// Why a request is not let in.
    fn refusal(&self, request: &Request) -> Option<ApiError> {
        if let Err(refused) = self.doors.check(request) {
            return Some(refused.into());
        }
        let path = request.uri().path();
        let open = request.method() == Method::OPTIONS || path.starts_with("/health") || path == SHUTDOWN_PATH;
        let admitted = if open { Ok(()) } else { self.keys.admit(request.headers(), request.extensions().get()) };
        admitted.err().map(ApiError::from)
    }
}

/// Writes an error down and gives it its body.
fn reported(app: &App, asked: Asked, mut response: Response) -> Response {
    let Some(Refusal { error, body }) = response.extensions_mut().remove::<Refusal>() else { return response };
    let report = match error.is_reported() {
        true => app.errors.report(&error, &Asked { body, ..asked }),
        false => error.body(None),
    };
    response.map(|_| Body::from(report))
}
