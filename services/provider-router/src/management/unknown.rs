//! Answers to requests for paths that no management route has.
//!
//! The routes are those of api-server, which does not know under which path its client asked: its answer would name
//! another one.

use axum::{body::Body, response::IntoResponse};
use http::{HeaderMap, Method, Response, StatusCode};
use serde::Deserialize;

use super::paths::is_of_responses;
use crate::{api::error::ApiError, body::ResponseBody};

/// Maximum bytes of an error.
const MAX_ANSWER: usize = 1 << 20;

/// The part of an error that says that the path is unknown.
#[derive(Deserialize)]
struct Refused {
    error: Detail,
}

#[derive(Deserialize)]
struct Detail {
    code: String,
}

/// Replaces the answer that a path is unknown by one that names the path of the client, in the form of the API that the
/// path belongs to. All other answers stay as they are.
pub(super) async fn with_clients_path(
    response: Response<ResponseBody>,
    (method, path): &(Method, String),
) -> Response<ResponseBody> {
    if response.status() != StatusCode::NOT_FOUND {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(Body::new(body), MAX_ANSWER).await else {
        // The connection to api-server broke. The status says enough.
        head.headers = HeaderMap::new();
        return Response::from_parts(head, ResponseBody::default());
    };
    let is_unknown = serde_json::from_slice(&bytes).is_ok_and(|Refused { error }| error.code == "route_not_found");
    if !is_unknown {
        return Response::from_parts(head, ResponseBody::whole(bytes));
    }
    if is_of_responses(path) {
        return ApiError::NotFound(method.clone(), path.clone()).response();
    }
    let unknown = signalbox_management::Error::NoRoute(method.clone(), path.clone());
    unknown.into_response().map(ResponseBody::Api)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    async fn answered(status: StatusCode, body: &str, path: &str) -> (StatusCode, Value) {
        let mut response = Response::new(ResponseBody::whole(body.to_owned()));
        *response.status_mut() = status;
        let response = with_clients_path(response, &(Method::GET, path.to_owned())).await;
        let status = response.status();
        let body = axum::body::to_bytes(Body::new(response.into_body()), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn an_unknown_path_is_named_as_the_client_wrote_it() {
        let unknown = r#"{"error":{"message":"Cannot GET /api/x","type":"not_found_error","code":"route_not_found"}}"#;
        let (status, body) = answered(StatusCode::NOT_FOUND, unknown, "/v1/settings/x/y").await;
        assert_eq!((status, &body["error"]["code"]), (StatusCode::NOT_FOUND, &json!("route_not_found")));
        assert!(body["error"]["message"].as_str().unwrap().contains("/v1/settings/x/y"), "{body}");

        let (status, body) = answered(StatusCode::NOT_FOUND, unknown, "/v1/responses/x/y").await;
        assert_eq!((status, &body["error"]["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
        assert!(body["error"]["message"].as_str().unwrap().contains("/v1/responses/x/y"), "{body}");

        for (status, text) in [
            (StatusCode::NOT_FOUND, r#"{"error":{"code":"request_not_found"}}"#),
            (StatusCode::NOT_FOUND, r#"{"key":"nothing"}"#),
            (StatusCode::OK, unknown),
        ] {
            let same = (status, serde_json::from_str(text).unwrap());
            assert_eq!(answered(status, text, "/v1/settings/x").await, same);
        }
    }
}
