//! A single attempt: builds the request, sends it, and checks the response.

use std::{borrow::Cow, future::poll_fn};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, header};
use serde::de::IgnoredAny;
use signalbox_core::{
    json,
    openai::{ErrorBody, ProviderError, StreamEvent, joined_events, read_event},
    sse::{Frame, Splitter},
};
use signalbox_daemon::INTERNAL_REQUEST;
use signalbox_upstream::Deadlines;
use tokio::time::{Duration, Instant, timeout_at};

use super::{AcceptedAnswer, AttemptError, framing, framing::Framing, headers::forwardable};
use crate::{
    app::App,
    clock,
    envelope::{Envelope, without_bom},
    exchange::Exchange,
    provider::{Adapter, Echo, OpenAi},
    relay::Source,
    route::Candidate,
};

/// Maximum bytes of a complete response; a larger one is not passed on.
const MAX_BODY: usize = 64 << 20;
/// Maximum bytes of an error body; the rest is cut off.
const MAX_ERROR: usize = 1 << 20;
/// Maximum bytes of a stream held back before its first chunk.
const MAX_PREAMBLE: usize = 64 << 10;
/// Maximum bytes of a single event that are held back to find out whether it is an error, the same as of an error body.
const MAX_FIRST_EVENT: usize = MAX_ERROR;
/// Maximum number of events without a chunk that are held back. Past either limit the stream is passed on as it is.
const MAX_PREAMBLE_EVENTS: usize = 16;

/// Sends the request to one provider and checks its response.
pub(super) async fn attempt(
    app: &App,
    candidate: &Candidate,
    exchange: &Exchange,
    caller: &HeaderMap,
    body: &Bytes,
    envelope: &Envelope,
) -> Result<AcceptedAnswer, AttemptError> {
    let id = exchange.id().to_string();
    match &candidate.provider.adapter {
        Adapter::Echo(echo) => {
            Ok(echo_answer(echo, &id, candidate.model.as_deref().unwrap_or_default(), body, envelope))
        }
        Adapter::Misconfigured(reason) => {
            Err(AttemptError::Misconfigured { provider: candidate.provider.row.name.clone(), reason: reason.clone() })
        }
        Adapter::OpenAi(openai) => {
            let renamed =
                candidate.model.as_deref().map_or_else(|| body.clone(), |model| envelope.with_model(body, model));
            let mut request = openai.chat(renamed, envelope.stream, caller, &id);
            exchange.add_trace(request.headers_mut());
            if openai.is_qwen_proxy
                && let Some(signed) = app.signer.sign(&id)
            {
                request.headers_mut().insert(INTERNAL_REQUEST, signed);
            }
            let deadlines = deadlines(app, openai, exchange.arrived().elapsed());
            let response = app.client.send(&openai.target, request, &deadlines).await?;
            let judged = classify_response(response, envelope.stream, app.max_preamble).await;
            judged.map_err(|failure| failure.masked(&openai.masker))
        }
    }
}

/// Returns the deadlines of an attempt that begins `elapsed` after the request arrived; all attempts share one total. A
/// provider's own `timeout` bounds its silence before and within the response, as the setting `server.timeout` does.
fn deadlines(app: &App, openai: &OpenAi, elapsed: Duration) -> Deadlines {
    let base = app.deadlines();
    let (headers, idle) = openai.timeout.map_or((base.headers, base.idle), |timeout| (timeout, timeout));
    Deadlines { headers, idle, total: base.total.saturating_sub(elapsed), ..base }
}

fn echo_answer(echo: &Echo, id: &str, model: &str, body: &Bytes, envelope: &Envelope) -> AcceptedAnswer {
    let created = clock::unix_ms() / 1000;
    let mut headers = HeaderMap::new();
    if envelope.stream {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let rest = Source::Echo(echo.stream(id, model, created, body, envelope));
        return AcceptedAnswer::Stream { headers, begun: Vec::new(), rest };
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    AcceptedAnswer::Whole { headers, body: echo.completion(id, model, created, body), failure: None }
}

/// Decides whether a response may be passed on to the client. The preamble of a stream is held back for at most
/// `max_preamble`.
async fn classify_response(
    response: Response<signalbox_upstream::Body>,
    stream: bool,
    max_preamble: Duration,
) -> Result<AcceptedAnswer, AttemptError> {
    let (head, body) = response.into_parts();
    let mut source = Source::Upstream(body);
    if !head.status.is_success() {
        let body = read(Bytes::new(), &mut source, MAX_ERROR).await.map_or_else(|_| Bytes::new(), |(body, _)| body);
        let body = without_bom(body);
        let body = framing::error_of(&body).unwrap_or(body);
        return Err(AttemptError::Status { status: head.status, headers: Box::new(forwardable(&head.headers)), body });
    }
    let held_until = Instant::now() + max_preamble;
    let (begun, framing) = recognise(&mut source, &head.headers).await?;
    let mut headers = forwardable(&head.headers);
    if media_type(&head.headers) != framing.content_type() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(framing.content_type()));
    }
    match (stream, framing) {
        (true, Framing::Events) => {
            let begun = first_event(begun, &mut source, held_until).await?;
            Ok(AcceptedAnswer::Stream { headers, begun, rest: source })
        }
        (false, Framing::Json) => {
            let (body, failure) = whole(begun, &mut source).await?;
            Ok(AcceptedAnswer::Whole { headers, body, failure })
        }
        (true, Framing::Json) => {
            let (body, _) = whole(begun, &mut source).await?;
            let stream = framing::stream_of(&body)
                .ok_or_else(|| AttemptError::Invalid { reason: "it cannot be converted into a stream".into() })?;
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Framing::Events.content_type()));
            Ok(AcceptedAnswer::Stream { headers, begun: vec![stream], rest: source })
        }
        (false, Framing::Events) => {
            let stream = read_whole(begun, &mut source).await?;
            // An error event fails the attempt here, as it does in a stream that the client requested.
            let stream = check_events(&stream)?;
            let (body, failure) = framing::whole_of(&stream)
                .ok_or_else(|| AttemptError::Invalid { reason: "it is an incomplete event stream".into() })?;
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Framing::Json.content_type()));
            Ok(AcceptedAnswer::Whole { headers, body, failure })
        }
    }
}

/// Reads a response until its framing is known. The content type decides only where the bytes do not.
async fn recognise(source: &mut Source, headers: &HeaderMap) -> Result<(Bytes, Framing), AttemptError> {
    let mut begun = Bytes::new();
    let is_declared = media_type(headers) == Framing::Events.content_type();
    loop {
        let next = poll_fn(|cx| source.poll_data(cx)).await.transpose()?;
        let ended = next.is_none();
        begun = match next {
            Some(bytes) if begun.is_empty() => bytes,
            Some(bytes) => [&begun[..], &bytes].concat().into(),
            None => begun,
        };
        match Framing::of(&begun, is_declared, ended) {
            Some(None) => {}
            Some(Some(framing)) => return Ok((begun, framing)),
            None if is_declared && !ended => return Ok((begun, Framing::Events)),
            None => {
                let (body, _) = read(begun, source, MAX_ERROR).await?;
                return Err(unrecognised(&body));
            }
        }
    }
}

/// Returns the failure for a response that is neither JSON nor an event stream.
fn unrecognised(body: &Bytes) -> AttemptError {
    let reason = if body.trim_ascii().is_empty() { "it is empty".to_owned() } else { json::parse_error(body) };
    AttemptError::Invalid { reason: format!("it is neither JSON nor an event stream: {reason}") }
}

/// Reads a response to its end, up to [`MAX_BODY`] bytes.
async fn read_whole(begun: Bytes, source: &mut Source) -> Result<Bytes, AttemptError> {
    let (body, complete) = read(begun, source, MAX_BODY).await?;
    if complete { Ok(body) } else { Err(AttemptError::TooLarge { limit: MAX_BODY }) }
}

/// Reads a complete response and checks that it is a chat completion. Returns it with the failure that it reports
/// beside its choices.
async fn whole(begun: Bytes, source: &mut Source) -> Result<(Bytes, Option<String>), AttemptError> {
    let body = without_bom(read_whole(begun, source).await?);
    let reason = match read_event(&body) {
        StreamEvent::Chunk(chunk) if !chunk.choices.is_empty() => {
            let failure = chunk.failed();
            return Ok((body, failure));
        }
        StreamEvent::Error(error) => return Err(AttemptError::Reported { error: Box::new(error), body }),
        StreamEvent::Unknown if serde_json::from_slice::<IgnoredAny>(&body).is_err() => {
            format!("it is not JSON: {}", json::parse_error(&body))
        }
        _ => "it has no `choices`".into(),
    };
    Err(AttemptError::Invalid { reason })
}

/// Reads up to `limit` bytes of a response that begins with `begun`. Returns the bytes, and whether the response was
/// complete. A decoded response may arrive in a single piece of any size.
async fn read(begun: Bytes, source: &mut Source, limit: usize) -> Result<(Bytes, bool), signalbox_upstream::Error> {
    let mut first = begun;
    let mut whole: Option<BytesMut> = None;
    // Most responses arrive in one piece, which is then passed on without a copy.
    while first.len() <= limit {
        let Some(more) = poll_fn(|cx| source.poll_data(cx)).await.transpose()? else {
            return Ok((whole.map_or(first, BytesMut::freeze), true));
        };
        if first.is_empty() {
            first = more;
            continue;
        }
        let whole = whole.get_or_insert_with(|| BytesMut::from(&*first));
        if whole.len() + more.len() > limit {
            return Ok((whole.split().freeze(), false));
        }
        whole.extend_from_slice(&more);
    }
    Ok((first.slice(..limit), false))
}

/// Reads a stream up to its first chunk. A stream that fails before it, or ends without one, is a failure.
///
/// The events before the first chunk are held back, because another provider may still be tried; but once any bytes
/// have arrived, not beyond `held_until`, because a client that receives nothing takes the connection for dead.
async fn first_event(begun: Bytes, source: &mut Source, held_until: Instant) -> Result<Vec<Bytes>, AttemptError> {
    let mut preamble = Preamble { splitter: Splitter::new(MAX_FIRST_EVENT), len: 0, events: 0 };
    let mut pieces = Vec::new();
    let mut next = Some(begun);
    while let Some(bytes) = next {
        pieces.push(bytes.clone());
        if preamble.passes(bytes)? {
            return Ok(pieces);
        }
        next = match timeout_at(held_until, poll_fn(|cx| source.poll_data(cx))).await {
            Ok(next) => next.transpose()?,
            Err(_) => return Ok(pieces),
        };
    }
    let is_joined = preamble.ended()?;
    // Clients cannot read events that are not separated. This stream is complete, so its events can be.
    Ok(if is_joined { vec![framing::separated(&pieces.concat())] } else { pieces })
}

/// Checks a complete event stream for error events. Returns the stream up to its end event: nothing counts after it.
fn check_events(stream: &Bytes) -> Result<Bytes, AttemptError> {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(stream.clone());
    let mut end = 0;
    while let Some(frame) = splitter.finish() {
        classify_event(&frame)?;
        end += frame.raw().len();
        if frame.is_done() {
            break;
        }
    }
    Ok(stream.slice(..end))
}

/// State of a stream before its first chunk.
struct Preamble {
    splitter: Splitter,
    len: usize,
    events: usize,
}

impl Preamble {
    /// Takes the next bytes, and returns whether the stream may be passed on now.
    fn passes(&mut self, bytes: Bytes) -> Result<bool, AttemptError> {
        self.splitter.push(bytes);
        loop {
            match self.splitter.next_frame() {
                Ok(None) => return Ok(false),
                // An event beyond the limit is too large for an error event.
                Err(_) => return Ok(true),
                Ok(Some(frame)) if classify_event(&frame)? => return Ok(true),
                Ok(Some(frame)) => {
                    self.len += frame.raw().len();
                    self.events += usize::from(frame.data().is_some());
                    if self.len > MAX_PREAMBLE || self.events > MAX_PREAMBLE_EVENTS {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// Handles the end of the stream: fails unless the remaining bytes contain a chunk. Returns whether the events in
    /// these bytes are not separated by blank lines.
    fn ended(mut self) -> Result<bool, AttemptError> {
        while let Some(frame) = self.splitter.finish() {
            if classify_event(&frame)? {
                return Ok(frame.data().is_some_and(|data| joined_events(&data).is_some()));
            }
        }
        Err(AttemptError::Invalid { reason: "the stream ended before its first chunk".into() })
    }
}

/// Returns whether an event is a chunk with choices; fails if it reports an error.
fn classify_event(frame: &Frame) -> Result<bool, AttemptError> {
    let Some(data) = frame.data() else { return Ok(false) };
    let mut is_chunk = false;
    for data in joined_events(&data).unwrap_or_else(|| vec![&*data]) {
        match read_event(data) {
            StreamEvent::Done => break,
            StreamEvent::Chunk(chunk) => is_chunk |= !chunk.choices.is_empty(),
            StreamEvent::Error(error) => {
                return Err(AttemptError::Reported { error: Box::new(error), body: Bytes::copy_from_slice(data) });
            }
            StreamEvent::Unknown if is_error_event(frame) => {
                let message = String::from_utf8_lossy(data.trim_ascii()).into_owned();
                let body = ErrorBody::new("upstream_error", "upstream_status", &*message).to_json().into();
                let error = Box::new(ProviderError { message, ..ProviderError::default() });
                return Err(AttemptError::Reported { error, body });
            }
            StreamEvent::Unknown => {}
        }
    }
    Ok(is_chunk)
}

/// Returns whether the event's name is `error`.
fn is_error_event(frame: &Frame) -> bool {
    let mut lines = frame.raw().split(|&byte| byte == b'\n' || byte == b'\r');
    lines.any(|line| line.strip_prefix(b"event:").is_some_and(|name| name.trim_ascii() == b"error"))
}

/// Returns `type/subtype` of the content type, in lower case, without parameters.
fn media_type(headers: &HeaderMap) -> Cow<'_, str> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default().trim();
    if kind.bytes().any(|b| b.is_ascii_uppercase()) { kind.to_ascii_lowercase().into() } else { kind.into() }
}

#[cfg(test)]
mod tests;
