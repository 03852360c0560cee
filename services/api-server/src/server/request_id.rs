//! `X-Request-ID` on every answer.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue};

/// The header.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

pub(super) async fn add(request: Request, next: Next) -> Response {
    let id = signalbox_core::id::request_id().to_string();
    tracing::debug!(id, method = %request.method(), path = request.uri().path(), "request");
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}
