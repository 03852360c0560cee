//! Request handling of the service, from the outermost layer to the innermost.
//!
//! The accept loop (header deadline, connection limit, panic handler, drain) belongs to the daemon crate. Within a
//! connection, each request passes through:
//!
//! 1. **Host and origin checks** (`host_origin_guard`): the host names that are served, and the web pages that may send
//!    requests. Preflights carry no key and are answered here.
//! 2. **Client key**, on all routes except the health routes, which supervisors and load balancers call without a key,
//!    and the shutdown route, which requires more than a client key. Wrong keys are counted.
//! 3. **Chat completions**, the hot route, matched by comparing two strings: it takes hyper's request as it is, without
//!    extractors and without a boxed body.
//! 4. **Management**, which has its own host and origin checks and keys, and is separated before the client key is
//!    checked.
//! 5. **All other routes**, by axum's router.
//!
//! Every response carries `x-request-id`, including errors and preflights.

use std::{convert::Infallible, sync::Arc};

use axum::Router;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use signalbox_daemon::{RequestBody, admin::SHUTDOWN_PATH, host_origin_guard};
use tower::ServiceExt;

use crate::{
    api::{self, chat_completions, error::ApiError},
    app::App,
    body::ResponseBody,
    management::{self, Management},
};

/// Request handler of the service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Server {
    app: Arc<App>,
    management: Arc<Management>,
    router: Router,
}

impl Server {
    /// Creates a handler for `app`.
    #[must_use]
    pub fn new(app: Arc<App>, management: Arc<Management>) -> Self {
        let router = api::router(Arc::clone(&app));
        Self { app, management, router }
    }

    /// Handles one request.
    pub async fn answer(self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let path = request.uri().path();
        let managed = if path == api::CHAT_COMPLETIONS { None } else { management::api_path(request.method(), path) };
        let host_origin_guard =
            if managed.is_some() { self.management.host_origin_guard() } else { &self.app.host_origin_guard };
        let cors_origin = host_origin_guard.cors_origin(&request);
        let mut response = match (host_origin_guard.check(&request), managed) {
            (Err(refused), _) => ApiError::HostOrigin(refused).response(),
            (Ok(()), _) if host_origin_guard::is_preflight(&request) => preflight(),
            // Boxed to keep the futures of all other requests small.
            (Ok(()), Some(path)) => Box::pin(self.management.answer(request, &path)).await,
            (Ok(()), None) => self.admitted(request).await,
        };
        if let Some(cors_origin) = cors_origin {
            cors_origin.apply_cors(response.headers_mut());
        }
        response
    }

    /// Handles a request that has passed the host and origin checks.
    async fn admitted(self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let path = request.uri().path();
        let open = path.starts_with("/health") || path == SHUTDOWN_PATH;
        if !open && let Err(denied) = self.app.keys.admit_request(&request) {
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

/// Builds the response to a preflight; its permissions are added as headers by the caller.
fn preflight() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::whole(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
