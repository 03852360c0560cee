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
use signalbox_daemon::{KeptTexts, RequestContext, hops, trusted_request};

use super::{
    body,
    endpoint::respond,
    error::{ApiError, ReportedRequest},
};
use crate::{
    answer_stream::AnswerStream,
    app::App,
    clock,
    convert::{ParsedRequest, text_completion::TextCompletion},
    qwen::Failure,
    record::LogRecord,
    relay::{self, ApiFormat},
};

pub(super) async fn chat(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    serve(app, request, ApiFormat::Chat).await
}

pub(super) async fn text(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    serve(app, request, ApiFormat::Text).await
}

async fn serve(app: Arc<App>, request: Request<Body>, form: ApiFormat) -> Response {
    let context = RequestContext::of(request.extensions());
    let (head, body) = request.into_parts();
    let read = match hops::next(&head.headers) {
        None => Err(ApiError::Loop),
        Some(_) => body::collect(&head.headers, body, app.max_body).await.map(without_bom),
    };
    match read {
        Err(error) => respond(&app, &error, &head, Bytes::new()),
        Ok(body) => {
            answer(&app, &head, &body, form, context).await.unwrap_or_else(|error| respond(&app, &error, &head, body))
        }
    }
}

async fn answer(
    app: &Arc<App>,
    head: &Parts,
    body: &Bytes,
    form: ApiFormat,
    context: RequestContext,
) -> Result<Response, ApiError> {
    // Take the permit only after the body has arrived, so that a client that never sends its body occupies none.
    let permit = Arc::clone(&app.in_flight).try_acquire_owned().map_err(|_| ApiError::Overloaded)?;
    let login = app.logins.current(clock::unix_ms()).await?;
    let (parsed, prefix) = match form {
        ApiFormat::Chat => (ParsedRequest::parse(body)?, "chatcmpl"),
        ApiFormat::Text => (ParsedRequest::parse_prompt(body)?, "cmpl"),
    };
    let stream = parsed.stream;
    let id = context.id();
    context.record_inference(form.surface(), &parsed.model, stream);
    let trusted = trusted_request(&head.headers, &app.signer);
    let record = trusted.is_none().then(|| LogRecord::new(id, head.uri.path(), body, &parsed));
    let kept = trusted.map_or(KeptTexts::ALL, |trusted| trusted.kept);
    let mut answer_stream =
        AnswerStream::new(Arc::clone(app), format!("{prefix}-{id}"), (parsed, kept), login, record, (context, permit));
    let begun = before_cut(app, async {
        answer_stream.begin().await?;
        answer_stream.next().await
    });
    let Some(mut step) = begun.await? else { return Err(cut(&mut answer_stream).await) };
    if stream {
        let reported_request = ReportedRequest::of(head, body.clone(), &app.signer);
        return Ok(events(relay::body(app, answer_stream, step, form, reported_request)));
    }
    loop {
        if let Some(completion) = step.whole {
            return Ok(match form {
                ApiFormat::Chat => Json(completion).into_response(),
                ApiFormat::Text => Json(TextCompletion::from_completion(completion)).into_response(),
            });
        }
        let next = before_cut(app, answer_stream.next()).await?;
        let Some(next) = next else { return Err(cut(&mut answer_stream).await) };
        step = next;
    }
}

/// Takes a step of an answer of which the client has received nothing. Returns `None` once the shutdown cuts.
async fn before_cut<T>(app: &App, step: impl Future<Output = Result<T, Failure>>) -> Result<Option<T>, ApiError> {
    tokio::select! {
        biased;
        taken = Box::pin(step) => Ok(Some(taken?)),
        () = app.abort_streams.cancelled() => Ok(None),
    }
}

/// Ends an answer that the shutdown cuts.
async fn cut(answer_stream: &mut AnswerStream) -> ApiError {
    answer_stream.abort_with(&Failure::BrokenOff("the service is shutting down".to_owned())).await;
    ApiError::ShuttingDown
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
