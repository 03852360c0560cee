//! `/api/playground/chat/completions`: sends a chat of the console to the router, with the credentials of this service, so
//! that the browser needs none and stays at its own origin.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{self, HeaderMap, HeaderName};
use signalbox_daemon::REQUEST_ID;
use signalbox_upstream::loopback::{OpenError, Streamed};

use super::error_schemas::Failure;
use super::extract::json_bytes;
use super::{App, Error};

/// Maximum bytes of a chat, which may contain images.
const MAX_CHAT: usize = 32 << 20;

/// Header with the id under which the router logs the request; `X-Request-ID` has that of the request to this service.
pub(super) const LOGGED_ID: HeaderName = HeaderName::from_static("x-signalbox-request-id");

/// Path of chat completions at the router.
const CHAT: &str = "/v1/chat/completions";

/// Prefix of the router's own headers.
const OWN_PREFIX: &str = "x-signalbox-";

/// Sends a chat completion to the router and returns its response, a stream as it arrives.
///
/// The router is asked with the credentials of this service and logs the request like any other, under the id in the
/// header `x-signalbox-request-id`. A client that disconnects cancels the request. The router checks the body, and
/// reports mistakes in the format of the OpenAI API.
#[utoipa::path(
    post, path = "/api/playground/chat/completions", tag = "playground",
    request_body(content = serde_json::Value, description = "As for `POST /v1/chat/completions` of the router"),
    responses(
        (status = 200, description = "The response of the router", content(
            (serde_json::Value = "application/json"), (String = "text/event-stream"),
        )),
        (status = "default", description = "The error of the router", body = serde_json::Value),
        (status = 503, description = "`router_unavailable`: the router does not answer, and nothing was sent",
         body = Failure),
        (status = 502, description = "`router_broke_off`: the router went away after the request was sent", body = Failure),
    ),
)]
pub(super) async fn chat(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let accept = request.headers().get(header::ACCEPT).cloned();
    let body = json_bytes(request, MAX_CHAT).await?;
    if body.trim_ascii().is_empty() {
        return Err(Error::invalid("body must be a JSON object"));
    }
    let answer = app.router.infer(CHAT, body, accept).await.map_err(unanswered)?;
    Ok(relayed(answer))
}

/// Returns the error if the router gives no response.
pub(super) fn unanswered(error: OpenError) -> Error {
    match error {
        OpenError::NotSent(error) => Error::NotSent(error.to_string()),
        OpenError::Broken(reason) => Error::RouterBroke(reason),
    }
}

/// Returns the response of the router as one of this service; dropping it cancels the request.
pub(super) fn relayed(answer: http::Response<Streamed>) -> Response {
    let (head, body) = answer.into_parts();
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = head.status;
    *response.headers_mut() = passed_on(&head.headers);
    response
}

/// Returns the headers of the router that are for the client.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let is_known = |name: &HeaderName| {
        [header::CONTENT_TYPE, header::CACHE_CONTROL, header::RETRY_AFTER].contains(name)
            || name.as_str().starts_with(OWN_PREFIX)
    };
    let mut passed: HeaderMap =
        headers.iter().filter(|(name, _)| is_known(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
    passed.extend(headers.get(REQUEST_ID).map(|id| (LOGGED_ID, id.clone())));
    passed
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_headers_for_the_client_are_passed_on() {
        let given = [
            ("content-type", "text/event-stream"),
            ("content-length", "7"),
            ("set-cookie", "a=b"),
            ("x-request-id", "12ab"),
            ("x-signalbox-provider", "echo"),
            ("connection", "close"),
        ];
        let given = given.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let passed = passed_on(&given.into_iter().collect());
        let mut names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "x-signalbox-provider", "x-signalbox-request-id"]);
    }
}
