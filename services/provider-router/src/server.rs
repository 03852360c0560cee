//! Request handling of the service, from the outermost layer to the innermost.
//!
//! The accept loop (header deadline, connection limit, panic handler, drain) belongs to the daemon crate. Within a
//! connection, each request passes through:
//!
//! 1. **The entry** ([`signalbox_daemon::entry`]): host and origin, preflights, client key.
//! 2. **Chat completions**, the hot route, matched by comparing two strings: it takes hyper's request as it is, without
//!    extractors and without a boxed body.
//! 3. **Management**, which has an entry of its own, with other origins and without client keys, and checks the control
//!    token itself.
//! 4. **All other routes**, by axum's router.
//!
//! Every response carries `x-request-id`, including errors and preflights.

use std::{convert::Infallible, sync::Arc};

use axum::Router;
use http::{Method, Request, Response};
use signalbox_daemon::RequestBody;
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
    pub fn answer(
        &self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> + Send + use<> {
        let path = request.uri().path();
        let managed = if path == api::CHAT_COMPLETIONS { None } else { management::api_path(request.method(), path) };
        let entry = if managed.is_some() { self.management.entry() } else { &self.app.entry };
        entry.handle(request, |request| {
            let server = self.clone();
            async move {
                Ok(match managed {
                    // Boxed to keep the futures of all other requests small.
                    Some(path) => Box::pin(server.management.answer(request, &path)).await,
                    None => server.admitted(request).await,
                })
            }
        })
    }

    /// Handles a request that has passed the entry.
    async fn admitted(self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let path = request.uri().path();
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
