//! Reads the beginning of a stream, up to the first event with content, if another attempt could follow.

use std::future::poll_fn;

use bytes::Bytes;
use signalbox_core::{
    Api,
    json::{Reader, Text},
    openai::{ChoiceView, ErrorBody, ProviderError, StreamEvent, joined_events, read_event},
    sse::{Frame, Splitter},
    typed::{TypedEvent, TypedReader, api_of_event},
};
use tokio::time::{Duration, Instant, timeout_at};

use super::{failure::AttemptError, framing};
use crate::relay::Source;

/// Maximum bytes of an error body; the rest is cut off.
pub(super) const MAX_ERROR: usize = 1 << 20;
/// Maximum bytes of a stream held back before its first chunk.
const MAX_PREAMBLE: usize = 64 << 10;
/// Maximum bytes of a stream held back before its first content, where that is awaited.
const MAX_BEFORE_TOKEN: usize = 1 << 20;
/// Maximum bytes of a single event that are held back to find out whether it is an error, the same as of an error body.
const MAX_FIRST_EVENT: usize = MAX_ERROR;
/// Maximum number of events without a chunk that are held back. Past either limit the stream is passed on as it is.
const MAX_PREAMBLE_EVENTS: usize = 16;
/// Further fields of a chunk that have content of the model.
const MEDIA: [&str; 3] = ["audio", "images", "reasoning_details"];

/// How long the beginning of a stream is held back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    /// Maximum time for which the events before the first chunk are held back.
    pub(super) comments: Duration,
    /// Time of the first token, and the time allowed for it. Until then another target may be tried; role and
    /// keep-alive do not count.
    pub(super) first_token: Option<(Instant, Duration)>,
    /// Whether the stream is held back until its first token without such a deadline, too, for as long as `comments`
    /// says: another attempt may follow, or is made beside this one.
    pub(super) awaits_token: bool,
}

/// Beginning of a stream that may be passed on.
#[derive(Debug)]
pub(super) struct Begun {
    /// The pieces that have been read.
    pub(super) pieces: Vec<Bytes>,
    /// Whether the first token is known to be the last thing in them, so that it has come just now.
    pub(super) has_token: bool,
}

/// State of a stream after its next bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passage {
    /// It is held back.
    Held,
    /// It may be passed on; whether its first token has come is not known.
    Open,
    /// It may be passed on, because its first token has come.
    Token,
}

/// Reads a stream up to its first chunk, or up to its first token if `hold` asks for it. A stream that fails before it,
/// or ends without one, is a failure.
///
/// The events before it are held back, because another provider may still be tried; but once any bytes have arrived,
/// not for longer than `hold` says, because a client that receives nothing takes the connection for dead.
pub(super) async fn first_event(
    api: Api,
    begun: Bytes,
    source: &mut Source,
    hold: Hold,
) -> Result<Begun, AttemptError> {
    let held_until = hold.first_token.map_or_else(|| Instant::now() + hold.comments, |(at, _)| at);
    let needs_token = hold.awaits_token || hold.first_token.is_some();
    let mut preamble = Preamble { api, splitter: Splitter::new(MAX_FIRST_EVENT), len: 0, events: 0, needs_token };
    let mut pieces = Vec::new();
    let mut next = Some(begun);
    while let Some(bytes) = next {
        pieces.push(bytes.clone());
        match preamble.next(bytes)? {
            Passage::Held => {}
            passage => return Ok(Begun { pieces, has_token: passage == Passage::Token }),
        }
        next = match timeout_at(held_until, poll_fn(|cx| source.poll_data(cx))).await {
            Ok(next) => next.transpose()?,
            Err(_) => match hold.first_token {
                Some((_, after)) => return Err(AttemptError::FirstToken { after }),
                None => return Ok(Begun { pieces, has_token: false }),
            },
        };
    }
    let is_joined = preamble.ended()?;
    // Clients cannot read events that are not separated. This stream is complete, so its events can be.
    let pieces = if is_joined { vec![framing::separated(&pieces.concat())] } else { pieces };
    Ok(Begun { pieces, has_token: needs_token })
}

/// Checks a complete event stream for error events. Returns the stream up to its end event: nothing counts after it.
pub(super) fn check_events(api: Api, stream: &Bytes) -> Result<Bytes, AttemptError> {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(stream.clone());
    let mut end = 0;
    while let Some(frame) = splitter.finish() {
        classify_event(api, &frame)?;
        end += frame.raw().len();
        if frame.is_done() {
            break;
        }
    }
    Ok(stream.slice(..end))
}

/// State of a stream before its first chunk.
struct Preamble {
    api: Api,
    splitter: Splitter,
    len: usize,
    events: usize,
    /// Whether a chunk without any content does not count.
    needs_token: bool,
}

impl Preamble {
    /// Takes the next bytes, and returns whether the stream may be passed on now.
    fn next(&mut self, bytes: Bytes) -> Result<Passage, AttemptError> {
        self.splitter.push(bytes);
        loop {
            match self.splitter.next_frame() {
                Ok(None) => return Ok(Passage::Held),
                // An event beyond the limit is too large for an error event.
                Err(_) => return Ok(Passage::Open),
                Ok(Some(frame)) if classify_event(self.api, &frame)? && (!self.needs_token || has_token(&frame)) => {
                    return Ok(if self.needs_token { Passage::Token } else { Passage::Open });
                }
                Ok(Some(frame)) => {
                    self.len += frame.raw().len();
                    self.events += usize::from(frame.data().is_some());
                    let is_long = match self.needs_token {
                        true => self.len > MAX_BEFORE_TOKEN,
                        false => self.len > MAX_PREAMBLE || self.events > MAX_PREAMBLE_EVENTS,
                    };
                    if is_long {
                        return Ok(Passage::Open);
                    }
                }
            }
        }
    }

    /// Handles the end of the stream: fails unless the remaining bytes contain a chunk. Returns whether the events in
    /// these bytes are not separated by blank lines.
    fn ended(mut self) -> Result<bool, AttemptError> {
        while let Some(frame) = self.splitter.finish() {
            if classify_event(self.api, &frame)? {
                return Ok(frame.data().is_some_and(|data| joined_events(&data).is_some()));
            }
        }
        Err(AttemptError::Invalid { reason: "the stream ended before its first chunk".into() })
    }
}

/// Returns whether an event has content of the answer; fails if it reports an error.
fn classify_event(api: Api, frame: &Frame) -> Result<bool, AttemptError> {
    let has_content = if api == Api::Chat { classify_chunk(frame) } else { classify_typed(api, frame) }?;
    if !has_content && let Some(other) = frame.data().and_then(|data| api_of_event(&data)).filter(|other| *other != api)
    {
        let reason =
            format!("it is a stream of {}, not of {}; check `apis` of the provider", other.title(), api.title());
        return Err(AttemptError::Invalid { reason });
    }
    Ok(has_content)
}

fn classify_typed(api: Api, frame: &Frame) -> Result<bool, AttemptError> {
    match TypedReader::new(api).read(frame) {
        TypedEvent::Content | TypedEvent::Done => Ok(true),
        TypedEvent::Preamble | TypedEvent::Unknown => Ok(false),
        TypedEvent::Failed { error, .. } => {
            let body = frame.data().map(|data| Bytes::copy_from_slice(&data)).unwrap_or_default();
            Err(AttemptError::Reported { error, body })
        }
    }
}

/// Returns whether an event is a chunk with choices; fails if it reports an error.
fn classify_chunk(frame: &Frame) -> Result<bool, AttemptError> {
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

/// Returns whether an event with content has more than a role or the announcement of a part.
fn has_token(frame: &Frame) -> bool {
    const ANNOUNCEMENTS: [&[u8]; 4] = [
        b"content_block_start",
        b"response.output_item.added",
        b"response.content_part.added",
        b"response.reasoning_summary_part.added",
    ];
    let Some(data) = frame.data() else { return false };
    let value = Reader::lenient(&data).value();
    let kind = value.as_ref().and_then(|event| event["type"].as_str()).map(str::as_bytes);
    if kind.or_else(|| frame.event()).is_some_and(|kind| ANNOUNCEMENTS.contains(&kind)) {
        return false;
    }
    let chunks = joined_events(&data).unwrap_or_else(|| vec![&*data]);
    chunks.into_iter().any(|data| match read_event(data) {
        StreamEvent::Chunk(chunk) => chunk.choices.iter().any(is_token),
        // An event of another API.
        _ => true,
    })
}

/// Returns whether a choice has content; Completions has it in `text`.
fn is_token(choice: &ChoiceView<'_>) -> bool {
    let is_filled = |text: &Option<Text<'_>>| text.is_some_and(|text| !text.is_empty());
    let delta = &choice.delta;
    is_filled(&choice.finish_reason)
        || is_filled(&delta.content)
        || is_filled(&delta.reasoning_content)
        || is_filled(&delta.reasoning)
        || is_filled(&delta.refusal)
        || delta.parts.is_some()
        || !delta.tool_calls.is_empty()
        || delta.function_call.is_some()
        || choice.message.is_some()
        || choice.others.iter().any(|(name, value)| &**name == "text" && ![&b"null"[..], b"\"\""].contains(value))
        || delta.others.iter().any(|(name, value)| *value != b"null" && MEDIA.contains(&&**name))
}

/// Returns whether the event's name is `error`.
fn is_error_event(frame: &Frame) -> bool {
    let mut lines = frame.raw().split(|&byte| byte == b'\n' || byte == b'\r');
    lines.any(|line| line.strip_prefix(b"event:").is_some_and(|name| name.trim_ascii() == b"error"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns whether a stream of these events is passed on before its first content.
    fn passes(api: Api, needs_token: bool, events: &str) -> bool {
        let splitter = Splitter::new(MAX_FIRST_EVENT);
        let mut preamble = Preamble { api, splitter, len: 0, events: 0, needs_token };
        preamble.next(events.to_owned().into()).unwrap() != Passage::Held
    }

    #[test]
    fn a_needed_token_is_awaited_for_a_mebibyte() {
        let role = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
        let text = role.replace("\"content\":\"\"", "\"content\":\"a\"");
        let ping = "event: ping\ndata: {}\n\n";
        for events in [role.repeat(40), ping.repeat(40), format!(": {}\n\n", "x".repeat(100)).repeat(1_000)] {
            assert!(!passes(Api::Chat, true, &events), "{}", &events[..60]);
            assert!(passes(Api::Chat, true, &format!("{events}{text}")));
            assert!(passes(Api::Chat, false, &events));
        }
        let long = role.repeat(MAX_BEFORE_TOKEN / role.len());
        assert!(!passes(Api::Chat, true, &long));
        assert!(passes(Api::Chat, true, &format!("{long}{role}")));
    }

    #[test]
    fn announcements_are_known_by_the_type_in_the_data_or_by_the_name() {
        for (api, kind) in [
            (Api::Messages, "content_block_start"),
            (Api::Responses, "response.output_item.added"),
            (Api::Responses, "response.content_part.added"),
            (Api::Responses, "response.reasoning_summary_part.added"),
        ] {
            for event in [
                format!("event: {kind}\ndata: {{\"type\":\"{kind}\"}}\n\n"),
                format!("data: {{\"type\":\"{kind}\"}}\n\n"),
                format!("event: {kind}\ndata: {{}}\n\n"),
            ] {
                assert!(!passes(api, true, &event), "{event}");
                assert!(passes(api, false, &event), "{event}");
            }
        }
        for (api, kind) in [(Api::Messages, "content_block_delta"), (Api::Responses, "response.output_text.delta")] {
            let event = format!("event: response.output_item.added\ndata: {{\"type\":\"{kind}\"}}\n\n");
            assert!(passes(api, true, &event), "{event}");
        }
    }
}
