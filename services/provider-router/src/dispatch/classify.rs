//! Decides whether a response may be passed on to the client, or whether another provider should be tried.

use std::{borrow::Cow, future::poll_fn};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, header};
use serde::de::IgnoredAny;
use serde_json::Value;
use signalbox_core::{
    Api, json,
    masking::Masker,
    openai::{EndScanner, Scan, StreamEvent, provider_error, read_event},
    sse::Splitter,
    typed::{TypedEvent, TypedReader, fold_stream, mask_errors, whole_answer},
};
use signalbox_translate::{EmitOptions, Emitter, read_answer};
use tokio::time::{Duration, Instant, timeout_at};

use super::{
    AcceptedAnswer,
    failure::AttemptError,
    framing,
    framing::{Beginning, Framing},
    headers::forwardable,
    preamble::{Begun, Hold, MAX_ERROR, check_events, first_event},
};
use crate::{direct::DirectApi, envelope::without_bom, relay::Source};

/// Maximum bytes of a complete response; a larger one is not passed on.
const MAX_BODY: usize = 64 << 20;
/// Bytes of a complete response from which it is parsed on a thread for blocking work.
const LARGE_BODY: usize = 1 << 20;
/// Maximum time for an error body.
const ERROR_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time for the end of a response whose last event has come.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(200);

/// Decides whether a response of `choices` answers may be passed on to the client. The preamble of a stream is held
/// back as `hold` says.
pub(super) async fn classify_response(
    response: Response<signalbox_upstream::Body>,
    (api, stream, choices): (Api, bool, u32),
    hold: Hold,
    (id, masker): (&str, &Masker),
) -> Result<AcceptedAnswer, AttemptError> {
    let (head, mut source) = successful(response).await?;
    let (begun, framing) = recognised(&mut source, &head.headers, hold).await?;
    let mut headers = forwardable(&head.headers);
    if media_type(&head.headers) != framing.content_type() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(framing.content_type()));
    }
    match (stream, framing) {
        (true, Framing::Events) => {
            let Begun { pieces, has_token } = first_event(api, begun, &mut source, hold).await?;
            Ok(AcceptedAnswer::Stream { headers, begun: pieces, rest: source, has_token })
        }
        (false, Framing::Json) => {
            let (body, failure) = whole(api, begun, &mut source).await?;
            let body = if api == Api::Chat { body } else { mask_errors(&body, masker).map_or(body, Bytes::from) };
            Ok(AcceptedAnswer::Whole { headers, body, failure, usage: None })
        }
        (true, Framing::Json) => {
            let (body, _) = whole(api, begun, &mut source).await?;
            let stream = stream_of(api, &body, id)
                .ok_or_else(|| AttemptError::Invalid { reason: "it cannot be converted into a stream".into() })?;
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Framing::Events.content_type()));
            Ok(AcceptedAnswer::Stream { headers, begun: vec![stream], rest: source, has_token: true })
        }
        (false, Framing::Events) => {
            let stream = read_stream((api, choices), begun, &mut source).await?;
            // An error event fails the attempt here, as it does in a stream that the client requested.
            let stream = check_events(api, &stream)?;
            let (body, failure) = whole_of((api, choices), &stream, masker)
                .ok_or_else(|| AttemptError::Invalid { reason: "it is an incomplete event stream".into() })?;
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Framing::Json.content_type()));
            Ok(AcceptedAnswer::Whole { headers, body, failure, usage: None })
        }
    }
}

/// Decides whether the response to a request that is not translated may be passed on. Nothing but an error is looked
/// for in it.
pub(super) async fn classify_direct(
    response: Response<signalbox_upstream::Body>,
    (direct, stream): (DirectApi, bool),
    hold: Hold,
) -> Result<AcceptedAnswer, AttemptError> {
    let (head, mut source) = successful(response).await?;
    let (begun, framing) = recognised(&mut source, &head.headers, hold).await?;
    let mut headers = forwardable(&head.headers);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(framing.content_type()));
    if framing == Framing::Events {
        return if stream {
            let Begun { pieces, has_token } = first_event(Api::Chat, begun, &mut source, hold).await?;
            Ok(AcceptedAnswer::Stream { headers, begun: pieces, rest: source, has_token })
        } else {
            Err(AttemptError::Invalid { reason: "it is an event stream, which was not asked for".into() })
        };
    }
    let body = without_bom(read_whole(begun, &mut source).await?);
    let body = if body.len() < LARGE_BODY {
        without_error(body)
    } else {
        let checked = tokio::task::spawn_blocking(move || without_error(body)).await;
        checked.unwrap_or(Err(AttemptError::ShuttingDown))
    }?;
    if stream && direct == DirectApi::Completions {
        // The events of Completions have the form of its whole answers.
        let events = ["data: ".as_bytes(), &one_line(&body), b"\n\ndata: [DONE]\n\n"].concat();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Framing::Events.content_type()));
        return Ok(AcceptedAnswer::Stream { headers, begun: vec![events.into()], rest: source, has_token: true });
    }
    Ok(AcceptedAnswer::Whole { headers, body, failure: None, usage: None })
}

/// Returns JSON without line breaks, which can only stand between its values.
fn one_line(json: &[u8]) -> Vec<u8> {
    json.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }).collect()
}

/// Checks that the response to a request that is not translated is JSON and no error.
fn without_error(body: Bytes) -> Result<Bytes, AttemptError> {
    let Some(reports) = reports_error(&body) else {
        return Err(AttemptError::Invalid { reason: format!("it is not JSON: {}", json::parse_error(&body)) });
    };
    match reports.then(|| provider_error(&body)).flatten() {
        Some(error) => Err(AttemptError::Reported { error: Box::new(error), body }),
        None => Ok(body),
    }
}

/// Returns whether an answer has an error beside or instead of its content; `None` if it is not JSON. Reads no value
/// into memory: an answer may have megabytes of numbers.
fn reports_error(answer: &[u8]) -> Option<bool> {
    let (mut reader, mut reports) = (json::Reader::lenient(answer), false);
    if reader.peek()? != b'{' {
        reader.skip()?;
    } else {
        reader.fields(|name, value| {
            reports |= name == "error" && matches!(value.peek()?, b'{' | b'"');
            value.skip()
        })?;
    }
    reader.end()?;
    Some(reports)
}

/// Splits a response, or returns the error that it is.
async fn successful(
    response: Response<signalbox_upstream::Body>,
) -> Result<(http::response::Parts, Source), AttemptError> {
    let (head, body) = response.into_parts();
    let mut source = Source::Upstream(body);
    if head.status.is_success() {
        return Ok((head, source));
    }
    let body = without_bom(read_error(&mut source).await);
    let body = framing::error_of(&body).unwrap_or(body);
    Err(AttemptError::Status { status: head.status, headers: Box::new(forwardable(&head.headers)), body })
}

/// Reads a response until its framing is known, at most until the time of the first token.
async fn recognised(source: &mut Source, headers: &HeaderMap, hold: Hold) -> Result<(Bytes, Framing), AttemptError> {
    let recognised = recognise(source, headers);
    match hold.first_token {
        None => recognised.await,
        Some((at, after)) => timeout_at(at, recognised).await.map_err(|_| AttemptError::FirstToken { after })?,
    }
}

/// Reads a response until its framing is known. The content type decides only where the bytes do not.
async fn recognise(source: &mut Source, headers: &HeaderMap) -> Result<(Bytes, Framing), AttemptError> {
    let mut begun = Beginning::default();
    let is_declared = media_type(headers) == Framing::Events.content_type();
    loop {
        let next = poll_fn(|cx| source.poll_data(cx)).await.transpose()?;
        let ended = next.is_none();
        if let Some(bytes) = next {
            begun.push(bytes);
        }
        match begun.framing(is_declared, ended) {
            _ if begun.is_too_blank() => return Err(AttemptError::Invalid { reason: Beginning::too_blank() }),
            Some(None) => {}
            Some(Some(framing)) => return Ok((begun.into_bytes(), framing)),
            None if is_declared && !ended => return Ok((begun.into_bytes(), Framing::Events)),
            None => {
                let (body, _) = read(begun.into_bytes(), source, MAX_ERROR).await?;
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

/// Reads an error body up to [`MAX_ERROR`] bytes, for at most [`ERROR_TIMEOUT`]. Of one that breaks off or does not
/// end, the part that came is returned: it has the provider's words.
async fn read_error(source: &mut Source) -> Bytes {
    let until = Instant::now() + ERROR_TIMEOUT;
    let mut body = BytesMut::new();
    while body.len() < MAX_ERROR
        && let Ok(Some(Ok(bytes))) = timeout_at(until, poll_fn(|cx| source.poll_data(cx))).await
    {
        body.extend_from_slice(&bytes);
    }
    body.truncate(MAX_ERROR);
    body.freeze()
}

/// Reads a stream to its end, up to [`MAX_BODY`] bytes. Nothing counts after its last event; a connection that breaks
/// then, or after the finish of every answer, does not matter.
async fn read_stream((api, choices): (Api, u32), begun: Bytes, source: &mut Source) -> Result<Bytes, AttemptError> {
    let mut stream = BytesMut::from(&*begun);
    let mut end = StreamEnd::new(api, choices);
    let mut is_ended = end.is_reached(begun);
    while !is_ended {
        match poll_fn(|cx| source.poll_data(cx)).await {
            None => break,
            Some(Err(_)) if end.is_complete() => break,
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(bytes)) => {
                stream.extend_from_slice(&bytes);
                is_ended = end.is_reached(bytes);
            }
        }
        if stream.len() > MAX_BODY {
            return Err(AttemptError::TooLarge { limit: MAX_BODY });
        }
    }
    // The rest is read so that the connection can be used again.
    let rest = async { while let Some(Ok(_)) = poll_fn(|cx| source.poll_data(cx)).await {} };
    if is_ended {
        // A provider that does not end its stream loses the connection.
        let _ = timeout_at(Instant::now() + DRAIN_TIMEOUT, rest).await;
    }
    Ok(stream.freeze())
}

/// Recognises the end of a stream that is read as a whole.
enum StreamEnd {
    Chat { scanner: Box<EndScanner>, held: Bytes },
    Typed { splitter: Splitter, reader: Box<TypedReader> },
}

impl StreamEnd {
    fn new(api: Api, choices: u32) -> Self {
        match api {
            Api::Chat => Self::Chat { scanner: Box::new(EndScanner::new(choices).thorough()), held: Bytes::new() },
            Api::Messages | Api::Responses => {
                Self::Typed { splitter: Splitter::new(MAX_BODY), reader: Box::new(TypedReader::new(api)) }
            }
        }
    }

    /// Takes the next bytes, and returns whether the last event is among them.
    fn is_reached(&mut self, bytes: Bytes) -> bool {
        match self {
            Self::Chat { scanner, held } => {
                let bytes = if held.is_empty() { bytes } else { [&std::mem::take(held)[..], &bytes].concat().into() };
                match scanner.scan(&bytes) {
                    Scan::Pass => false,
                    Scan::Hold(at) => {
                        *held = bytes.slice(at..);
                        false
                    }
                    Scan::Done(_) | Scan::Failed(_) => true,
                }
            }
            Self::Typed { splitter, reader } => {
                splitter.push(bytes);
                while let Ok(Some(frame)) = splitter.next_frame() {
                    if matches!(reader.read(&frame), TypedEvent::Done | TypedEvent::Failed { .. }) {
                        return true;
                    }
                }
                false
            }
        }
    }

    /// Returns whether the provider has finished all answers.
    fn is_complete(&self) -> bool {
        matches!(self, Self::Chat { scanner, .. } if scanner.is_complete())
    }
}

/// Reads a response to its end, up to [`MAX_BODY`] bytes.
async fn read_whole(begun: Bytes, source: &mut Source) -> Result<Bytes, AttemptError> {
    let (body, complete) = read(begun, source, MAX_BODY).await?;
    if complete { Ok(body) } else { Err(AttemptError::TooLarge { limit: MAX_BODY }) }
}

/// Converts a complete response into a stream of the same API.
fn stream_of(api: Api, body: &Bytes, id: &str) -> Option<Bytes> {
    if api == Api::Chat {
        return framing::stream_of(body);
    }
    let answer = read_answer(api, body).ok()?;
    let mut emitter = Emitter::new(api, EmitOptions { id: id.to_owned(), ..EmitOptions::default() });
    let mut stream = Vec::new();
    answer.into_events().into_iter().for_each(|event| emitter.push(event, &mut stream));
    emitter.has_ended().then(|| stream.into())
}

/// Assembles a complete response from a stream of the same API, with the failure that the stream reports beside it.
fn whole_of((api, choices): (Api, u32), stream: &Bytes, masker: &Masker) -> Option<(Bytes, Option<String>)> {
    let (body, failure) = if api == Api::Chat {
        framing::whole_of(stream, choices)?
    } else {
        let folded = fold_stream(api, stream);
        let is_whole = folded.done && folded.error.is_none();
        (is_whole.then_some(folded.json?)?.into(), None)
    };
    let body = if api == Api::Chat { body } else { mask_errors(&body, masker).map_or(body, Bytes::from) };
    Some((masked_unread(body, masker), failure))
}

/// Masks the credentials of the provider in the events that could not be read, which an assembled answer lists.
fn masked_unread(body: Bytes, masker: &Masker) -> Bytes {
    if masker.is_empty() || memchr::memmem::find(&body, b"\"unread_events\"").is_none() {
        return body;
    }
    let Some(mut answer) = json::Reader::new(&body).value() else { return body };
    let unread = answer.get_mut("unread_events").and_then(Value::as_array_mut);
    for event in unread.into_iter().flatten() {
        if let Value::String(text) = event {
            *text = masker.mask_text(text).into_owned();
        }
    }
    answer.to_string().into()
}

/// Reads a complete response and checks that it is an answer of `api`. Returns it with the failure that it reports
/// beside its choices.
async fn whole(api: Api, begun: Bytes, source: &mut Source) -> Result<(Bytes, Option<String>), AttemptError> {
    let body = without_bom(read_whole(begun, source).await?);
    if body.len() < LARGE_BODY {
        return checked(api, body);
    }
    // Parsing it takes long enough to delay the other requests of the thread.
    let checked = tokio::task::spawn_blocking(move || checked(api, body)).await;
    checked.unwrap_or_else(|_| Err(AttemptError::ShuttingDown))
}

/// Checks that a complete response is an answer of `api`.
fn checked(api: Api, body: Bytes) -> Result<(Bytes, Option<String>), AttemptError> {
    if api != Api::Chat {
        return match whole_answer(api, &body) {
            Ok(()) => Ok((body, None)),
            Err(Ok(error)) => Err(AttemptError::Reported { error: Box::new(error), body }),
            Err(Err(reason)) => Err(AttemptError::Invalid { reason: reason.to_owned() }),
        };
    }
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

/// Returns `type/subtype` of the content type, in lower case, without parameters.
fn media_type(headers: &HeaderMap) -> Cow<'_, str> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default().trim();
    if kind.bytes().any(|b| b.is_ascii_uppercase()) { kind.to_ascii_lowercase().into() } else { kind.into() }
}

#[cfg(test)]
mod tests;
