//! Request handling of the service, from the outermost layer to the innermost.
//!
//! The accept loop (header deadline, connection limit, panic handler, drain) belongs to the daemon crate. Within a
//! connection, each request passes through:
//!
//! 1. **The entry** ([`signalbox_daemon::entry`]): host and origin, preflights, client key.
//! 2. **Requests for an answer**, the hot routes, matched by comparing strings: they take hyper's request as it is,
//!    without extractors and without a boxed body.
//! 3. **Management**, which has an entry of its own, with other origins and without client keys, and checks the control
//!    token itself.
//! 4. **All other routes**, by axum's router.
//!
//! Every response carries `x-request-id`, including errors and preflights.

use std::{convert::Infallible, sync::Arc};

use axum::Router;
use http::{Method, Request, Response, header};
use signalbox_core::Api;
use signalbox_daemon::{RequestBody, RequestContext};
use tower::ServiceExt;

use crate::{
    admission,
    api::{self, error::ApiError, inference},
    app::App,
    body::ResponseBody,
    direct::DirectApi,
    management::{Managed, Management},
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
    pub fn answer(
        &self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> + Send + use<> {
        let path = request.uri().path();
        // `GET /v1/responses` shows logged answers, unless it asks for a WebSocket.
        let api = Api::of_path(path);
        let is_of_api = request.method() == Method::POST || request.headers().contains_key(header::UPGRADE);
        let is_answered = if api.is_some() { is_of_api } else { is_of_api && DirectApi::of_path(path).is_some() };
        let managed = if is_answered { None } else { Managed::of(request.method(), path) };
        let entry = if managed.is_some() { self.management.entry() } else { &self.app.entry };
        entry.handle(request, |request| {
            let server = self.clone();
            async move {
                Ok(match managed {
                    // Boxed to keep the futures of all other requests small.
                    Some(Managed::Api(path)) => Box::pin(server.management.answer(request, &path)).await,
                    Some(Managed::Own) => Box::pin(server.management.answer_own(request, server.router)).await,
                    None => server.admitted(api, request).await,
                })
            }
        })
    }

    /// Handles a request that has passed the entry.
    async fn admitted(self, api: Option<Api>, request: Request<RequestBody>) -> Response<ResponseBody> {
        if let Some(api) = api {
            return match request.method() {
                // Boxed, because the future is large: hyper keeps room for it in each connection, also while a stream or
                // nothing is under way, and each layer around it moves it.
                &Method::POST => Box::pin(inference::inference(&self.app, api, request)).await,
                method => {
                    let error = match method {
                        // Codex tries a WebSocket first, and falls back at once only after this status.
                        &Method::GET if request.headers().contains_key(header::UPGRADE) => ApiError::NoUpgrade,
                        method => ApiError::MethodNotAllowed(method.clone(), request.uri().path().to_owned()),
                    };
                    error.response_for(api, RequestContext::of(request.extensions()).id())
                }
            };
        }
        if let Err(refused) = admission::check_path(request.extensions().get(), request.uri().path()) {
            return api::error::respond(&refused.into(), request.uri().path(), request.extensions());
        }
        let answered: Result<_, Infallible> = self.router.oneshot(request.map(axum::body::Body::new)).await;
        match answered {
            Ok(response) => response.map(ResponseBody::Api),
            Err(never) => match never {},
        }
    }
}
