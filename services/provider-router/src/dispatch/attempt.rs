//! One attempt: build, send, judge.

use std::{borrow::Cow, future::poll_fn};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use signalbox_core::{
    json::{self, Reader},
    openai::Chunk,
    sse::Splitter,
};
use signalbox_upstream::Deadlines;
use tokio::time::Duration;

use super::{Failure, Good, headers::passed_on};
use crate::{
    app::App,
    clock,
    envelope::Envelope,
    exchange::Exchange,
    provider::{Adapter, Echo, OpenAi},
    relay::Source,
    route::Candidate,
};

/// A whole answer larger than this is not passed on.
const MAX_WHOLE: usize = 64 << 20;
/// An error body is cut here.
const MAX_ERROR: usize = 1 << 20;
/// So many bytes of comments may come before the first event of a stream.
const MAX_PREAMBLE: usize = 64 << 10;

/// Asks one provider.
pub(super) async fn attempt(
    app: &App,
    candidate: &Candidate,
    exchange: &Exchange,
    caller: &HeaderMap,
    body: &Bytes,
    envelope: &Envelope,
) -> Result<Good, Failure> {
    let id = exchange.id().to_string();
    match &candidate.provider.adapter {
        Adapter::Echo(echo) => Ok(repeat(echo, &id, candidate.model.as_deref().unwrap_or_default(), body, envelope)),
        Adapter::Misconfigured(reason) => {
            Err(Failure::Misconfigured { provider: candidate.provider.row.name.clone(), reason: reason.clone() })
        }
        Adapter::OpenAi(openai) => {
            let renamed =
                candidate.model.as_deref().map_or_else(|| body.clone(), |model| envelope.with_model(body, model));
            let request = openai.chat(renamed, envelope.stream, caller, &id);
            let deadlines = deadlines(app, openai, exchange.arrived().elapsed());
            let response = app.client.send(&openai.target, request, &deadlines).await?;
            let judged = judge(response, envelope.stream).await;
            judged.map_err(|failure| failure.without(&openai.secrets()))
        }
    }
}

/// The deadlines of an attempt that begins `elapsed` after the request arrived: all attempts share one total. A provider's own
/// `timeout` bounds its silence, before its answer and within it, as the setting `server.timeout` does.
fn deadlines(app: &App, openai: &OpenAi, elapsed: Duration) -> Deadlines {
    let base = app.deadlines();
    let (headers, idle) = openai.timeout.map_or((base.headers, base.idle), |timeout| (timeout, timeout));
    Deadlines { headers, idle, total: base.total.saturating_sub(elapsed), ..base }
}

fn repeat(echo: &Echo, id: &str, model: &str, body: &Bytes, envelope: &Envelope) -> Good {
    let created = clock::unix_ms() / 1000;
    let mut headers = HeaderMap::new();
    if envelope.stream {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let rest = Source::Echo(echo.stream(id, model, created, body, envelope));
        return Good::Stream { headers, begun: Vec::new(), rest };
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Good::Whole { headers, body: echo.completion(id, model, created, body) }
}

/// Says whether an answer may go to the client.
async fn judge(response: Response<signalbox_upstream::Body>, stream: bool) -> Result<Good, Failure> {
    let (head, body) = response.into_parts();
    let mut source = Source::Upstream(body);
    if !head.status.is_success() {
        let body = read(&mut source, MAX_ERROR).await.map_or_else(|_| Bytes::new(), |(body, _)| body);
        return Err(Failure::Status { status: head.status, headers: Box::new(passed_on(&head.headers)), body });
    }
    if let Some(coding) = head.headers.get(header::CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        return Err(Failure::invalid(format!("it is encoded as {coding:?}, which was not asked for"), Bytes::new()));
    }
    let kind = media_type(&head.headers);
    match (stream, &*kind) {
        (true, "text/event-stream") => {
            let begun = first_event(&mut source).await?;
            Ok(Good::Stream { headers: passed_on(&head.headers), begun, rest: source })
        }
        (false, kind) if kind != "text/event-stream" => whole(&head.headers, source).await,
        (_, kind) => {
            let body = read(&mut source, MAX_ERROR).await?.0;
            let wanted = if stream { "an event stream" } else { "JSON" };
            Err(Failure::of_body(&body)
                .unwrap_or_else(|| Failure::invalid(format!("{wanted} was asked for, {kind:?} came"), body)))
        }
    }
}

/// Reads a whole answer and makes sure that it is one.
async fn whole(headers: &HeaderMap, mut source: Source) -> Result<Good, Failure> {
    let (body, complete) = read(&mut source, MAX_WHOLE).await?;
    if !complete {
        return Err(Failure::TooLarge { limit: MAX_WHOLE });
    }
    match has_choices(&body) {
        Some(true) => {
            let mut headers = passed_on(headers);
            headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            Ok(Good::Whole { headers, body })
        }
        Some(false) => {
            Err(Failure::of_body(&body).unwrap_or_else(|| Failure::invalid("it has no `choices`".into(), body)))
        }
        None => Err(Failure::invalid(format!("it is not JSON: {}", json::why_not(&body)), body)),
    }
}

/// Whether an answer is an object with `choices`; `None` if it is no object at all.
fn has_choices(body: &[u8]) -> Option<bool> {
    let (mut reader, mut found) = (Reader::new(body), false);
    reader.object(|name, value| {
        found |= value.raw()? != b"null" && name == "choices";
        Some(())
    })?;
    reader.end().map(|()| found)
}

/// Reads up to `limit` bytes; says whether that was all.
async fn read(source: &mut Source, limit: usize) -> Result<(Bytes, bool), signalbox_upstream::Error> {
    let Some(first) = poll_fn(|cx| source.poll_data(cx)).await.transpose()? else { return Ok((Bytes::new(), true)) };
    let mut whole: Option<BytesMut> = None;
    // Most answers come in one piece, which is then passed on without being copied.
    while let Some(more) = poll_fn(|cx| source.poll_data(cx)).await.transpose()? {
        let whole = whole.get_or_insert_with(|| BytesMut::from(&*first));
        if whole.len() + more.len() > limit {
            return Ok((whole.split().freeze(), false));
        }
        whole.extend_from_slice(&more);
    }
    Ok((whole.map_or(first, BytesMut::freeze), true))
}

/// Reads a stream up to its first event, which has to be no error.
async fn first_event(source: &mut Source) -> Result<Vec<Bytes>, Failure> {
    let mut begun = Vec::new();
    let mut splitter = Splitter::new(MAX_PREAMBLE);
    while let Some(bytes) = poll_fn(|cx| source.poll_data(cx)).await.transpose()? {
        begun.push(bytes.clone());
        splitter.push(bytes);
        loop {
            match splitter.next_frame() {
                Ok(None) => break,
                // An enormous first event cannot be judged; it is not an error event.
                Err(_) => return Ok(begun),
                Ok(Some(frame)) => match frame.data() {
                    None => {}
                    Some(data) => return judge_event(&data).map(|()| begun),
                },
            }
        }
    }
    match splitter.finish().as_ref().and_then(signalbox_core::sse::Frame::data) {
        Some(data) => judge_event(&data).map(|()| begun),
        None => Err(Failure::invalid("the stream ended before its first event".into(), begun.concat().into())),
    }
}

fn judge_event(data: &[u8]) -> Result<(), Failure> {
    let Ok(chunk) = serde_json::from_slice::<Chunk>(data) else {
        // `[DONE]`, or a provider's own kind of event: not ours to judge.
        return Ok(());
    };
    if chunk.error.is_none() || !chunk.choices.is_empty() {
        return Ok(());
    }
    Err(Failure::Status {
        status: StatusCode::BAD_GATEWAY,
        headers: Box::new(HeaderMap::new()),
        body: Bytes::copy_from_slice(data),
    })
}

/// `type/subtype` of the content type, in lower case, without parameters.
fn media_type(headers: &HeaderMap) -> Cow<'_, str> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default().trim();
    if kind.bytes().any(|b| b.is_ascii_uppercase()) { kind.to_ascii_lowercase().into() } else { kind.into() }
}
