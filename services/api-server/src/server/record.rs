//! Attributes the writes of a request to its sender, and records the outcome: see [`crate::audit`].

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;
use signalbox_daemon::{PeerAddr, RequestContext, forwarded};
use signalbox_store::audit::{Actor, RequestLine, with_actor};

use crate::audit::Auditor;
use crate::events;

/// Maximum characters of a path that are kept.
const MAX_PATH_CHARS: usize = 500;

pub(super) async fn note(State(auditor): State<Auditor>, request: Request, next: Next) -> Response {
    let asks_only = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if asks_only || request.uri().path().starts_with(events::PATH) {
        return next.run(request).await;
    }
    let actor = actor(&request);
    let response = with_actor(actor.clone(), next.run(request)).await;
    auditor.note(actor, response.status());
    response
}

fn actor(request: &Request) -> Actor {
    let peer = request.extensions().get::<PeerAddr>();
    let sender = peer.map_or_else(|| "api".to_owned(), |PeerAddr(peer)| format!("api:{}", peer.ip().to_canonical()));
    // The caller is only claimed by the sender, so the sender is named as well.
    let name = match forwarded::caller(request.headers()) {
        Some(caller) => format!("{sender} for {caller}"),
        None => sender,
    };
    let id = RequestContext::of(request.extensions()).id().to_string();
    let path = request.uri().path().chars().take(MAX_PATH_CHARS).collect();
    Actor { name, request: Some(RequestLine { id, method: request.method().to_string(), path }) }
}
