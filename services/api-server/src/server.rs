//! The stack: every layer a request goes through, from the outside in, each with its reason.

mod doors;
mod keys;
mod record;
mod request_id;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use signalbox_daemon::{ClientKeys, Doors};
use socketioxide::layer::SocketIoLayer;
use tower_http::catch_panic::CatchPanicLayer;

use crate::api::{self, App, Error};
use crate::audit::Auditor;

pub use self::doors::of as doors;

/// Who may call, and by which name.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// Names we answer to, and pages that may change something: see [`doors()`].
    pub doors: Arc<Doors>,
    /// Keys that callers present.
    pub keys: Arc<ClientKeys>,
    /// Notes what they asked for.
    pub auditor: Auditor,
}

/// The whole server as one service.
pub fn app(app: App, entrance: &Entrance, sockets: SocketIoLayer) -> Router {
    api::routes()
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(app)
        // Innermost: everything below `/socket.io` ends here.
        .layer(sockets)
        // A handler that panics costs its own request and answers in our shape; the daemon's own net has another.
        .layer(CatchPanicLayer::custom(panicked))
        // Inside the refusals: strangers cannot fill the audit log.
        .layer(from_fn_with_state(entrance.auditor.clone(), record::note))
        // Inside the doors, so that strangers cannot try keys through a browser.
        .layer(from_fn_with_state(Arc::clone(&entrance.keys), keys::require))
        // DNS rebinding, CSRF, hijacked sockets: in front of everything that answers. Preflights, which carry no key, are answered here.
        .layer(from_fn_with_state(Arc::clone(&entrance.doors), doors::require))
        // Outermost: every answer carries an id that people can quote.
        .layer(from_fn(request_id::add))
}

async fn no_route(request: Request) -> Error {
    Error::NoRoute(request.method().clone(), request.uri().path().to_owned())
}

async fn no_method(request: Request) -> Error {
    Error::NoMethod(request.method().clone())
}

/// The panic itself was logged by the daemon's hook.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    Error::Panic.into_response()
}
