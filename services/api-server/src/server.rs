//! The middleware stack: every layer a request passes, from the outside in.

mod entry;
mod host_origin_guard;
mod record;
mod socket_sessions;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use signalbox_daemon::{ClientKeys, Entry, EntryLayer, HostOriginGuard, RequestContext};
use socketioxide::layer::SocketIoLayer;
use tower_http::catch_panic::CatchPanicLayer;

use crate::api::{self, Error};
use crate::app::App;
use crate::audit::Auditor;
use crate::console;
use crate::router_client;

use self::entry::ApiPolicy;
use self::socket_sessions::SocketSessions;

pub use self::host_origin_guard::{check_origins, guard as host_origin_guard};

/// Access control of the server.
#[derive(Clone, Debug)]
pub struct ServerLayers {
    /// Permitted hosts and origins: see [`host_origin_guard()`].
    pub host_origin_guard: Arc<HostOriginGuard>,
    /// Tokens that clients present.
    pub keys: Arc<ClientKeys>,
    /// Records their requests.
    pub auditor: Auditor,
}

/// Assembles the whole server as one service.
pub fn app(app: App, layers: &ServerLayers, sockets: SocketIoLayer) -> Router {
    let entry = Entry::new(
        Arc::clone(&layers.host_origin_guard),
        Arc::clone(&layers.keys),
        ApiPolicy::new(app.sessions.clone()),
    );
    let shutdown = app.shutdown.clone();
    api::routes()
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(app)
        // Innermost: everything below `/socket.io` ends here.
        .layer(sockets)
        .layer(from_fn_with_state(Arc::new(SocketSessions::new(shutdown)), socket_sessions::limit))
        // A panic in a handler fails its own request, with a response in our format; that of the daemon's catch-all
        // differs.
        .layer(CatchPanicLayer::custom(panicked))
        // Inside the entry, so that refused clients cannot fill the audit log.
        .layer(from_fn_with_state(layers.auditor.clone(), record::note))
        .layer(from_fn(traced))
        // Against DNS rebinding, CSRF, hijacked sockets and guessed tokens: outside everything that responds.
        .layer(EntryLayer::new(entry))
}

/// Continues the trace of the request where its handler asks the router.
async fn traced(request: Request, next: Next) -> Response {
    router_client::on_behalf_of(RequestContext::of(request.extensions()), next.run(request)).await
}

async fn no_route(request: Request) -> Result<Response, Error> {
    console::respond(&request).ok_or_else(|| Error::NoRoute(request.method().clone(), request.uri().path().to_owned()))
}

async fn no_method(request: Request) -> Error {
    Error::NoMethod(request.method().clone())
}

/// Responds to a panic, which the daemon's hook has logged.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    Error::Panic.into_response()
}
