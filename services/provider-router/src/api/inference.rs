//! `POST /v1/chat/completions`, `/v1/messages`, `/v1/responses` and the routes of [`DirectApi`]: admission, logging and
//! routing of a request for an answer.

mod arrival;
mod routed;
mod surface;

use std::{ops::ControlFlow, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, request::Parts};
use routed::{Head, RoutedRequest};
use signalbox_core::Api;
use signalbox_daemon::{RequestBody, RequestContext};
use surface::Surface;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    error::ApiError,
    received::{Received, read_body},
    streams,
};
use crate::{app::App, body::ResponseBody, clock, direct::DirectApi};

/// Answers a request of `api`. Errors become responses, too.
pub async fn inference(app: &Arc<App>, api: Api, request: Request<RequestBody>) -> Response<ResponseBody> {
    answer_or_error(app, Surface::Translated(api), request).await
}

/// Answers a request that is not translated.
pub(super) async fn direct(app: Arc<App>, direct: DirectApi, request: Request<Body>) -> Response<Body> {
    answer_or_error(&app, Surface::Direct(direct), request).await.map(Body::new)
}

async fn answer_or_error<B>(app: &Arc<App>, surface: Surface, request: Request<B>) -> Response<ResponseBody>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let context = RequestContext::of(request.extensions());
    let id = context.id();
    answer(app, surface, request, context).await.unwrap_or_else(|error| error.response_for(surface.api(), id))
}

async fn answer<B>(
    app: &Arc<App>,
    surface: Surface,
    request: Request<B>,
    context: RequestContext,
) -> Result<Response<ResponseBody>, ApiError>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let received_at = clock::unix_ms();
    if let Some(event) = streams::named(request.headers())? {
        // Boxed to keep the futures of all other requests small.
        return Box::pin(streams::repeated(app, event, surface.path(), request)).await;
    }
    let (head, body) = request.into_parts();
    let (body, permit) = admit(app, &head.headers, body).await?;
    let Parts { headers, uri, version, extensions, .. } = head;
    let received = Received::read((&headers, &app.body_memory), body, |body| surface.parse(body))?;
    let head = Head { headers, uri, version };
    let arrived = (surface, received_at);
    match RoutedRequest::plan(app, arrived, head, extensions.get(), received, &context).await? {
        // Boxed once, where the long part of the way begins.
        ControlFlow::Continue(request) => Box::pin(request.answer(app, context, permit)).await,
        ControlFlow::Break(plan) => Ok(plan),
    }
}

/// Reads the body of a request, and lets the request in. It counts as in flight until the permit is dropped.
///
/// # Errors
/// Fails if too many requests are in flight, and as [`read_body`].
async fn admit<B>(app: &App, headers: &HeaderMap, body: B) -> Result<(Bytes, OwnedSemaphorePermit), ApiError>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let overloaded = || {
        app.metrics.refused();
        ApiError::Overloaded
    };
    // Refuses early at the limit, before the client has to send the body.
    if app.in_flight.available_permits() == 0 {
        return Err(overloaded());
    }
    let body = read_body(app, headers, body).await?;
    // Acquired after the body has been read, so that slow uploads hold no permits.
    let permit = app.in_flight.clone().try_acquire_owned().map_err(|_| overloaded())?;
    Ok((body, permit))
}
