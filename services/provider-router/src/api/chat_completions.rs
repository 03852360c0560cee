//! `POST /v1/chat/completions`.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use signalbox_core::id;
use signalbox_daemon::{RequestBody, collect};
use tokio::time::Instant;
use uuid::Uuid;

use super::{CHAT_COMPLETIONS, error::ApiError};
use crate::{
    app::App,
    body::ResponseBody,
    clock,
    dispatch::{Call, dispatch},
    envelope::{Envelope, without_bom},
    exchange::Exchange,
    hops,
    journal::{Begin, Bodies},
    route,
};
use signalbox_core::schema::RequestStatus;

/// Tells the client, and the provider, which request in the log this is.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A client that knows the conversation says so here; else the router finds out by its opening.
const SESSION_HEADER: &str = "x-session-id";

/// Answers one request.
pub async fn chat_completions(app: &App, request: Request<RequestBody>) -> Response<ResponseBody> {
    let id = id::request_id();
    let mut response = answer(app, request, id).await.unwrap_or_else(|error| error.response());
    // The id under which the request is in the log, if it is.
    identify(response.headers_mut(), || id);
    response
}

/// Adds `x-request-id` to the headers of a response that has none yet.
pub(crate) fn identify(headers: &mut HeaderMap, id: impl FnOnce() -> Uuid) {
    if !headers.contains_key(REQUEST_ID)
        && let Ok(value) = HeaderValue::from_str(&id().to_string())
    {
        headers.insert(REQUEST_ID, value);
    }
}

async fn answer(app: &App, request: Request<RequestBody>, id: Uuid) -> Result<Response<ResponseBody>, ApiError> {
    let arrived = Instant::now();
    let received_at = clock::unix_ms();
    let overloaded = || {
        app.metrics.refused();
        ApiError::Overloaded
    };
    // Where there is no room now, nobody need send a body.
    if app.in_flight.available_permits() == 0 {
        return Err(overloaded());
    }
    let (head, body) = request.into_parts();
    if hops::next(&head.headers).is_none() {
        return Err(ApiError::Loop);
    }
    if let Some(coding) = head.headers.get(header::CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        return Err(ApiError::Encoded(String::from_utf8_lossy(coding.as_bytes()).into_owned()));
    }
    let body = without_bom(collect(&head.headers, body, app.max_body).await?);
    // Only now: a client that is slow to send its body holds none of them.
    let permit = app.in_flight.clone().try_acquire_owned().map_err(|_| overloaded())?;
    let envelope = Envelope::parse(&body)?;
    let (candidates, settings) = {
        let catalog = app.catalog.current();
        (route::candidates(&catalog, envelope.model.as_deref()), catalog.settings())
    };

    // From here on the request is in the log, also when nobody serves its model: that is what people look for there.
    let begin = Begin {
        received_at,
        path: CHAT_COMPLETIONS.to_owned(),
        model: envelope.model.clone().unwrap_or_default(),
        stream: envelope.stream,
        session: session(&head.headers),
    };
    let asked = candidates.iter().flatten().map(|candidate| candidate.provider.log_bodies);
    let bodies = asked.fold(app.journal.bodies(), Bodies::max).max(app.private_keys.bodies(&head.headers));
    let kept = settings.kept(bodies);
    let entry = app.journal.begin(id, &begin, &kept.request.of_request(&body))?;
    let mut exchange = Exchange::new(entry, arrived, app.journal.max_answer_bytes(), kept, permit);
    match candidates {
        Ok(candidates) => Ok(dispatch(app, Call { exchange, headers: head.headers, body, envelope }, candidates).await),
        Err(error) => {
            let error = ApiError::from(error);
            exchange.head(error.status().as_u16(), false);
            exchange.answer(error.body().to_json().as_bytes());
            exchange.finish(RequestStatus::Failed, Some(error.to_string())).await;
            Err(error)
        }
    }
}

/// The session the client names, if the name can be one.
fn session(headers: &HeaderMap) -> Option<String> {
    let name = headers.get(SESSION_HEADER)?.to_str().ok()?;
    id::is_resource_id(name).then(|| name.to_owned())
}
