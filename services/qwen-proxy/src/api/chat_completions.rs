//! `POST /v1/chat/completions` and `POST /v1/completions`, which share their processing and differ in the response
//! format.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header, request::Parts};
use signalbox_daemon::{RequestContext, hops, trusted_request};

use super::{
    body,
    error::{ApiError, Asked},
};
use crate::{
    app::App,
    clock,
    convert::{Ask, text_completion::TextCompletion},
    exchange::Exchange,
    record::Record,
    relay::{self, Form},
};

pub(super) async fn chat(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    serve(app, request, Form::Chat).await
}

pub(super) async fn text(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    serve(app, request, Form::Text).await
}

async fn serve(app: Arc<App>, request: Request<Body>, form: Form) -> Response {
    let context = RequestContext::of(request.extensions());
    let (head, body) = request.into_parts();
    let read = match hops::next(&head.headers) {
        None => Err(ApiError::Loop),
        Some(_) => body::collect(&head.headers, body, app.max_body).await.map(without_bom),
    };
    match read {
        Err(error) => error.into_response(),
        Ok(body) => answer(&app, &head, &body, form, context).await.unwrap_or_else(|error| error.refusal(body)),
    }
}

async fn answer(
    app: &Arc<App>,
    head: &Parts,
    body: &Bytes,
    form: Form,
    context: RequestContext,
) -> Result<Response, ApiError> {
    // Take the permit only after the body has arrived, so that a client that never sends its body occupies none.
    let permit = Arc::clone(&app.in_flight).try_acquire_owned().map_err(|_| ApiError::Overloaded)?;
    let login = app.logins.current(clock::unix_ms()).await?;
    let (ask, prefix) = match form {
        Form::Chat => (Ask::parse(body)?, "chatcmpl"),
        Form::Text => (Ask::parse_prompt(body)?, "cmpl"),
    };
    let stream = ask.stream;
    let id = context.id();
    context.record_inference(form.surface(), &ask.model, stream);
    let logged = trusted_request(&head.headers, &app.signer).is_some();
    let record = (!logged).then(|| Record::new(id, head.uri.path(), body, &ask));
    let mut exchange = Exchange::new(Arc::clone(app), format!("{prefix}-{id}"), ask, login, record, (context, permit));
    exchange.begin().await?;
    let mut step = exchange.next().await?;
    if stream {
        return Ok(events(relay::body(app, exchange, step, form, Asked::of(head, body.clone()))));
    }
    loop {
        if let Some(completion) = step.whole {
            return Ok(match form {
                Form::Chat => Json(completion).into_response(),
                Form::Text => Json(TextCompletion::from_completion(completion)).into_response(),
            });
        }
        step = exchange.next().await?;
    }
}

/// Removes the byte order mark that some clients put before the body.
fn without_bom(body: Bytes) -> Bytes {
    if body.starts_with(b"\xEF\xBB\xBF") { body.slice(3..) } else { body }
}

fn events(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Disables the buffering of reverse proxies.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
