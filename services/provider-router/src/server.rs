//! The stack, top to bottom.
//!
//! The accept loop (header deadline, connection cap, catch-panic, drain) is the daemon's. Within a connection, per request:
//!
//! 1. **Doors**: the names we answer to, the pages that may ask; preflights, which carry no key, are answered here.
//! 2. **Client key**, on everything but the health routes, which supervisors and load balancers ask without one, and on the
//!    request to leave, which needs more than that; wrong ones are counted.
//! 3. **The hot route**, matched by comparing two strings: it takes hyper's request as it is, no extractor, no boxed body.
//! 4. **Management**, which has doors and keys of its own and is told apart before the client key is asked for.
//! 5. **Everything else**, by axum's router.
//!
//! Every response carries `x-request-id`, errors and preflights included.

use std::{convert::Infallible, sync::Arc};

use axum::Router;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use signalbox_core::id;
use signalbox_daemon::{RequestBody, admin::SHUTDOWN_PATH, doors};
use tower::ServiceExt;

use crate::{
    api::{self, chat_completions, error::ApiError},
    app::App,
    body::ResponseBody,
    management::{self, Management},
};

/// Answers requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Server {
    app: Arc<App>,
    management: Arc<Management>,
    router: Router,
}

impl Server {
    /// A server of `app`.
    #[must_use]
    pub fn new(app: Arc<App>, management: Arc<Management>) -> Self {
        let router = api::router(Arc::clone(&app));
        Self { app, management, router }
    }

    /// Answers one request.
    pub async fn answer(self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let path = request.uri().path();
        let managed = if path == api::CHAT_COMPLETIONS { None } else { management::api_path(request.method(), path) };
        let doors = if managed.is_some() { self.management.doors() } else { &self.app.doors };
        let page = doors.page(&request);
        let mut response = match (doors.check(&request), managed) {
            (Err(refused), _) => ApiError::Door(refused).response(),
            (Ok(()), _) if doors::is_preflight(&request) => preflight(),
            // Boxed, so that the futures of all other requests stay small.
            (Ok(()), Some(path)) => Box::pin(self.management.answer(request, &path)).await,
            (Ok(()), None) => self.admitted(request).await,
        };
        if let Some(page) = page {
            page.may_read(response.headers_mut());
        }
        chat_completions::identify(response.headers_mut(), id::request_id);
        response
    }

    /// Answers a request that came through the doors.
    async fn admitted(self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let path = request.uri().path();
        let open = path.starts_with("/health") || path == SHUTDOWN_PATH;
        if !open && let Err(denied) = self.app.keys.admit(request.headers(), request.extensions().get()) {
            return ApiError::from(denied).response();
        }
        if path == api::CHAT_COMPLETIONS {
            return if request.method() == Method::POST {
                chat_completions::chat_completions(&self.app, request).await
            } else {
                ApiError::MethodNotAllowed(request.method().clone(), path.to_owned()).response()
            };
        }
        let answered: Result<_, Infallible> = self.router.oneshot(request.map(axum::body::Body::new)).await;
        match answered {
            Ok(response) => response.map(ResponseBody::Api),
            Err(never) => match never {},
        }
    }
}

/// What a page may do stands in headers.
fn preflight() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::whole(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
