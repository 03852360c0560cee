//! The stack: every layer a request goes through, from the outside in, each with its reason.

mod cors;
mod hosts;
mod keys;
mod origins;
mod request_id;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use signalbox_daemon::ClientKeys;
use socketioxide::layer::SocketIoLayer;
use tower_http::catch_panic::CatchPanicLayer;

use crate::api::{self, App, Error};

pub use self::hosts::Hosts;
pub use self::origins::Origins;

/// Who may call, and by which name.
#[derive(Clone, Debug)]
pub struct Doors {
    /// Names we answer to.
    pub hosts: Arc<Hosts>,
    /// Pages that may change something.
    pub origins: Arc<Origins>,
    /// Keys that callers present.
    pub keys: Arc<ClientKeys>,
}

/// The whole server as one service.
pub fn app(app: App, doors: &Doors, sockets: SocketIoLayer) -> Router {
    let body_limit = app.body_limit;
    api::routes()
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(app)
        // Innermost: a body is refused while it is read, by the handler that reads it.
        .layer(api::body_limit(body_limit))
        // Everything below `/socket.io` ends here.
        .layer(sockets)
        // A handler that panics costs its own request and answers in our shape; the daemon's own net has another.
        .layer(CatchPanicLayer::custom(panicked))
        // Inside the next three, so that strangers cannot try keys through a browser.
        .layer(from_fn_with_state(Arc::clone(&doors.keys), keys::require))
        // CSRF: a page of another origin must not change anything, even where it cannot read the answer.
        .layer(from_fn_with_state(Arc::clone(&doors.origins), origins::require))
        // Outside of the refusals, so that pages that may read can read them; it answers preflights itself, which
        // carry no key.
        .layer(cors::layer(Arc::clone(&doors.origins)))
        .layer(from_fn(cors::no_content))
        // DNS rebinding: a name that was made to point here is not ours. In front of everything that answers.
        .layer(from_fn_with_state(Arc::clone(&doors.hosts), hosts::require))
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
