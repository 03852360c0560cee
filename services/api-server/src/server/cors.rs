//! Which pages may read our answers.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{Method, StatusCode, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::origins::Origins;
use super::request_id;

/// Reflects the origins that are allowed; the others get no header, and their browser keeps the answer from them.
pub(super) fn layer(origins: Arc<Origins>) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, request| origins.allow(origin, request.uri.path())))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION])
        .expose_headers([request_id::HEADER])
        .max_age(Duration::from_secs(600))
}

/// A preflight has no body; the layer above answers it with 200.
pub(super) async fn no_content(request: Request, next: Next) -> Response {
    let preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = next.run(request).await;
    if preflight && response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    response
}
