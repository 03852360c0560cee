//! The rest of a stream whose client has lost its connection: by `GET /v1/streams/{id}`, or by the same request again.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Version, request::Parts};
use serde::Deserialize;
use signalbox_core::Api;
use signalbox_daemon::{Caller, RequestContext};
use uuid::Uuid;

use super::{error::ApiError, models, path::Path, received::read_body};
use crate::{
    app::App,
    body::ResponseBody,
    streams::{EventId, Origin, StreamError},
};

/// Query of a stream.
#[derive(Debug, Deserialize)]
pub(super) struct Place {
    /// Event after which the stream is read: its id or its number.
    after: Option<String>,
}

/// `GET /v1/streams/{id}`: returns the events after the one in `Last-Event-ID` or `after`, or else all of them.
pub(super) async fn rest(
    State(app): State<Arc<App>>,
    Path(id): Path,
    place: Result<Query<Place>, QueryRejection>,
    request: Parts,
) -> Response {
    let is_of_anthropic = models::is_of_anthropic(&request.headers);
    let mut api = if is_of_anthropic { Api::Messages } else { Api::Chat };
    let response = read(&app, &id, place, &request, &mut api);
    let response =
        response.unwrap_or_else(|error| error.response_for(api, RequestContext::of(&request.extensions).id()));
    response.map(Body::new)
}

/// Sets `api` to that of the stream once it is found.
fn read(
    app: &App,
    id: &str,
    place: Result<Query<Place>, QueryRejection>,
    request: &Parts,
    api: &mut Api,
) -> Result<http::Response<ResponseBody>, ApiError> {
    // It would take the stream away from its reader.
    if request.method == Method::HEAD {
        return Err(ApiError::MethodNotAllowed(Method::HEAD, request.uri.path().to_owned()));
    }
    let Query(Place { after }) = place?;
    let unknown = || StreamError::Unknown(shortened(id));
    let stream = app.streams.find(Uuid::try_parse(id).map_err(|_| unknown())?, request.extensions.get())?;
    *api = stream.api();
    let after = EventId::after(stream.request(), &request.headers, after.as_deref())?;
    Ok(stream.resume(after.unwrap_or_default(), request.version)?.map(ResponseBody::Kept))
}

/// Returns the event after which a request for an answer is continued, if its headers name one of this gateway.
///
/// # Errors
/// Returns the mistake in its id.
pub(super) fn named(headers: &HeaderMap) -> Result<Option<EventId>, StreamError> {
    EventId::of_request(headers)
}

/// Answers a request that is repeated, for `path` below `/v1`, with the rest of its stream. No provider is asked.
///
/// # Errors
/// Fails if the stream is not kept, or not that of the request.
pub(super) async fn repeated<B>(
    app: &App,
    event: EventId,
    path: &'static str,
    request: Request<B>,
) -> Result<http::Response<ResponseBody>, ApiError>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let caller: Option<&Caller> = head.extensions.get();
    let body = read_body(app, &head.headers, body).await?;
    let stream = app.streams.find(event.request, caller)?;
    stream.check(path, &body)?;
    Ok(stream.resume(event.number, head.version)?.map(ResponseBody::Kept))
}

/// Returns the response of a request with this origin so that its client can resume it. A response that is no stream is
/// returned as it is, and so are all while the bound of all streams is reached.
pub(super) fn resumable(
    app: &App,
    response: http::Response<ResponseBody>,
    origin: &Origin<'_>,
    version: Version,
) -> http::Response<ResponseBody> {
    let (mut head, body) = response.into_parts();
    let body = match body {
        ResponseBody::Relay(relay) => match app.streams.keep(relay, &mut head.headers, origin, version) {
            Ok(reader) => ResponseBody::Kept(Box::new(reader)),
            Err(relay) => ResponseBody::Relay(relay),
        },
        body => body,
    };
    http::Response::from_parts(head, body)
}

/// Returns at most the beginning of a client's text.
fn shortened(text: &str) -> String {
    const MAX: usize = 100;
    text.chars().take(MAX).collect()
}
