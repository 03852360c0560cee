//! `POST /v1/chat/completions`.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use signalbox_core::id;
use tokio::time::{Duration, Instant, timeout};
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

/// How much of a body that is too large is read and forgotten, and for how long.
const DISCARD: usize = 64 << 20;
const DISCARD_FOR: Duration = Duration::from_secs(2);

/// Tells the client, and the provider, which request in the log this is.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A client that knows the conversation says so here; else the router finds out by its opening.
const SESSION_HEADER: &str = "x-session-id";

/// Answers one request.
pub async fn chat_completions(app: &App, request: Request<Incoming>) -> Response<ResponseBody> {
    let id = id::request_id();
    let mut response = answer(app, request, id).await.unwrap_or_else(|error| error.response());
    // The id under which the request is in the log, if it is.
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

async fn answer(app: &App, request: Request<Incoming>, id: Uuid) -> Result<Response<ResponseBody>, ApiError> {
    let arrived = Instant::now();
    let received_at = clock::unix_ms();
    let permit = app.in_flight.clone().try_acquire_owned().map_err(|_| {
        app.metrics.refused();
        ApiError::Overloaded
    })?;
    let (head, body) = request.into_parts();
    if hops::next(&head.headers).is_none() {
        return Err(ApiError::Loop);
    }
    let body = without_bom(collect(&head.headers, body, app.max_body).await?);
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

/// Reads the body, up to `limit` bytes.
async fn collect(headers: &HeaderMap, mut body: Incoming, limit: usize) -> Result<Bytes, ApiError> {
    if let Some(coding) = headers.get(header::CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        return Err(ApiError::Encoded(String::from_utf8_lossy(coding.as_bytes()).into_owned()));
    }
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(too_large(body, limit));
    }
    let mut whole: Option<BytesMut> = None;
    let mut first = Bytes::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| ApiError::BrokenBody)?.into_data() else { continue };
        match &mut whole {
            // Most requests come in one piece, which is used as it is.
            None if first.is_empty() => first = data,
            None => {
                let capacity = usize::try_from(announced).unwrap_or_default().max(first.len() + data.len());
                let mut joined = BytesMut::with_capacity(capacity);
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
                whole = Some(joined);
            }
            Some(whole) => whole.extend_from_slice(&data),
        }
        if whole.as_ref().map_or(first.len(), BytesMut::len) > limit {
            return Err(too_large(body, limit));
        }
    }
    Ok(whole.map_or(first, BytesMut::freeze))
}

/// A client that is still sending sees a reset instead of the answer when its connection is closed: so the rest is read
/// and forgotten, within bounds. The task ends with the connection at the latest.
fn too_large(mut body: Incoming, limit: usize) -> ApiError {
    tokio::spawn(timeout(DISCARD_FOR, async move {
        let mut left = DISCARD;
        while let Some(Ok(frame)) = body.frame().await {
            let len = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(len) else { return };
            left = rest;
        }
    }));
    ApiError::TooLarge { limit }
}

/// The session the client names, if the name can be one.
fn session(headers: &HeaderMap) -> Option<String> {
    let name = headers.get(SESSION_HEADER)?.to_str().ok()?;
    id::is_resource_id(name).then(|| name.to_owned())
}
