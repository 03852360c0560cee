//! Adds `X-Request-ID` to every response.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue};

/// Name of the header.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Id of a request, stored in its extensions.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) String);

pub(super) async fn add(mut request: Request, next: Next) -> Response {
    let id = signalbox_core::id::request_id().to_string();
    tracing::debug!(id, method = %request.method(), path = request.uri().path(), "request");
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}
