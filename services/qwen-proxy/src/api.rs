//! All routes.

pub mod error;
mod health;

use std::sync::Arc;

use axum::{
    Router,
    routing::{any, get},
};
use error::ApiError;
use signalbox_daemon::ClientKeys;
use signalbox_store::Store;
use tokio::time::Instant;

/// The parts that requests share.
#[derive(Debug)]
pub struct App {
    /// The database all services share.
    pub store: Store,
    /// Who may ask.
    pub keys: ClientKeys,
    /// This run of the service.
    pub instance: String,
    /// When it began.
    pub started: Instant,
}

/// The routes. Everything below `/v1` needs a login at chat.qwen.ai first, of which there is none.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/v1/{*route}", any(|| async { ApiError::MissingCredentials }))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::not_found)
        .with_state(app)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Request, StatusCode};
    use http_body_util::BodyExt;
    use serde_json::{Value, json};
    use signalbox_daemon::config::AuthConfig;
    use tower::ServiceExt;

    use super::*;

    async fn ask(method: &str, path: &str) -> (StatusCode, Value) {
        let store = Store::open("sqlite::memory:").await.unwrap();
        let keys = ClientKeys::new(&AuthConfig { client_keys: Vec::new(), insecure_no_auth: false });
        let app = App { store, keys, instance: "one".into(), started: Instant::now() };
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = router(Arc::new(app)).oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn every_inference_route_asks_for_a_login() {
        let body = json!({"error": {
            "message": "Qwen credentials not configured. Please configure credentials through the Electron app Settings.",
            "type": "authentication_error",
            "param": null,
            "code": "missing_credentials",
        }});
        for (method, path) in [("POST", "/v1/chat/completions"), ("POST", "/v1/completions"), ("GET", "/v1/models")] {
            assert_eq!(ask(method, path).await, (StatusCode::UNAUTHORIZED, body.clone()), "{method} {path}");
        }
    }

    #[tokio::test]
    async fn it_is_healthy_without_a_login() {
        let (status, body) = ask("GET", "/health").await;
        assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("healthy")));
        assert_eq!(body["checks"], json!({"authentication": "not_configured", "errors": "ok", "database": "ok"}));
        assert_eq!(ask("GET", "/health/ready").await, (StatusCode::OK, json!({"status": "ok", "instance": "one"})));
    }

    #[tokio::test]
    async fn an_unknown_route_is_named() {
        let (status, body) = ask("DELETE", "/nothing").await;
        assert_eq!(
            (status, &body["error"]["message"]),
            (StatusCode::NOT_FOUND, &json!("Route not found: DELETE /nothing"))
        );
    }
}
