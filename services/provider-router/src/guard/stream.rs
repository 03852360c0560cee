//! Judges the events of a stream one by one, and the texts of a complete one that go on from event to event.
//!
//! The folded answer of a stream leaves out what clients still receive: comments, fields of the events, events that
//! repeat a text, and errors.

use std::collections::HashMap;

use bytes::Bytes;
use signalbox_core::{
    json::Reader,
    openai::joined_events,
    sse::{Frame, Splitter},
};

use super::content::{self, Actions, search};

/// Fields whose texts go on in the next event.
const CONTINUED: [&str; 12] = [
    "arguments",
    "content",
    "delta",
    "input",
    "output",
    "partial_json",
    "reasoning",
    "reasoning_content",
    "refusal",
    "text",
    "thinking",
    "transcript",
];
/// Fields that say to which of several texts an event belongs.
const POSITIONS: [&str; 5] = ["content_index", "index", "item_id", "output_index", "summary_index"];
/// Types of the last events of Messages and Responses.
const LAST: [&[u8]; 3] = [b"\"message_stop\"", b"\"response.completed\"", b"\"response.incomplete\""];
/// Depth of nesting to which texts are continued.
const MAX_DEPTH: usize = 16;

/// Texts by the fields that they are in.
#[derive(Debug, Default)]
struct Texts(HashMap<String, String>);

/// An event that passed.
pub(super) struct PassedEvent {
    /// The event as it may be sent.
    pub(super) raw: Bytes,
    /// Places and pieces of the texts that it continues.
    pub(super) pieces: Vec<(String, String)>,
}

/// Returns the stream without its comments, and without what is found in the errors that it reports. `actions` redact.
///
/// # Errors
/// Returns the kind of the first content that is found anywhere else.
pub(super) fn passed(held: &Bytes, actions: Actions) -> Result<Bytes, &'static str> {
    let (mut out, mut texts) = (Vec::with_capacity(held.len()), Texts::default());
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(held.clone());
    while let Some(frame) = splitter.finish() {
        let Some(event) = event(&frame, actions)? else { continue };
        out.extend_from_slice(&event.raw);
        for (place, piece) in event.pieces {
            texts.0.entry(place).or_default().push_str(&piece);
        }
    }
    fails(texts.0.values().find_map(|text| actions.first_in(text)))?;
    Ok(out.into())
}

/// Judges one event by itself; `None` if it has only comments. `actions` redact.
///
/// # Errors
/// Returns the kind of what is found, unless it is in an error, where it is redacted.
pub(super) fn event(frame: &Frame, actions: Actions) -> Result<Option<PassedEvent>, &'static str> {
    let raw = without_comments(frame.raw());
    if raw.trim_ascii().is_empty() {
        return Ok(None);
    }
    let plain = |raw| Ok(Some(PassedEvent { raw, pieces: Vec::new() }));
    if actions.is_empty() {
        return plain(raw);
    }
    for line in lines(&raw).filter(|line| !is_data(line)) {
        fails(actions.first_in(&String::from_utf8_lossy(line)))?;
    }
    let Some(data) = frame.data() else { return plain(raw) };
    let events = joined_events(&data).unwrap_or_else(|| vec![&*data]);
    let (mut is_redacted, mut texts) = (false, Texts::default());
    let mut kept = Vec::with_capacity(events.len());
    for event in events {
        let event = Bytes::copy_from_slice(event);
        let event = match is_error(frame, &event).then(|| content::error_body(&event, actions)) {
            Some(Some(redacted)) => {
                is_redacted = true;
                redacted
            }
            Some(None) => event,
            None => {
                fails(search(&event, actions.refusing()).refused.map(|(_, kind)| kind))?;
                event
            }
        };
        texts.add(&event);
        kept.push(event);
    }
    let raw = if is_redacted {
        let mut out = Vec::with_capacity(raw.len());
        write(&raw, &kept, &mut out);
        out.into()
    } else {
        raw
    };
    Ok(Some(PassedEvent { raw, pieces: texts.0.into_iter().collect() }))
}

/// Returns whether an event is the last one of an answer, or reports an error.
pub(super) fn is_last(frame: &Frame) -> bool {
    let Some(data) = frame.data() else { return false };
    if frame.is_done() || is_error(frame, &data) {
        return true;
    }
    let mut is_last = false;
    let _ = Reader::lenient(&data).fields(|name, value| {
        let raw = value.raw()?;
        is_last |= name == "type" && LAST.contains(&raw);
        Some(())
    });
    is_last
}

fn fails(found: Option<&'static str>) -> Result<(), &'static str> {
    found.map_or(Ok(()), Err)
}

/// Returns the lines of an event without their ends.
fn lines(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    raw.split(|&byte| byte == b'\n' || byte == b'\r').filter(|line| !line.is_empty())
}

fn is_data(line: &[u8]) -> bool {
    line == b"data" || line.starts_with(b"data:")
}

/// Returns an event without its comments. All other bytes stay.
fn without_comments(raw: &Bytes) -> Bytes {
    if !lines(raw).any(|line| line.starts_with(b":")) {
        return raw.clone();
    }
    let (mut out, mut rest) = (Vec::with_capacity(raw.len()), &raw[..]);
    while !rest.is_empty() {
        // LF, CR and CRLF end a line.
        let end = memchr::memchr2(b'\n', b'\r', rest).map_or(rest.len(), |at| at + 1);
        let end = if rest[..end].ends_with(b"\r") && rest.get(end) == Some(&b'\n') { end + 1 } else { end };
        if !rest.starts_with(b":") {
            out.extend_from_slice(&rest[..end]);
        }
        rest = &rest[end..];
    }
    out.into()
}

/// Writes an event with other data.
fn write(raw: &[u8], events: &[Bytes], out: &mut Vec<u8>) {
    for line in lines(raw).filter(|line| !is_data(line)) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    for line in events.iter().flat_map(|event| lines(event)) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}

/// Returns whether an event reports an error: by its name, its type, or a field `error`.
fn is_error(frame: &Frame, event: &[u8]) -> bool {
    if frame.event() == Some(b"error") {
        return true;
    }
    let mut is_error = false;
    let _ = Reader::lenient(event).fields(|name, value| {
        let raw = value.raw()?;
        is_error |= match &*name {
            "error" => raw != b"null",
            "type" => raw == b"\"error\"" || raw == b"\"response.failed\"",
            _ => false,
        };
        Some(())
    });
    is_error
}

// === impl Texts ===

impl Texts {
    /// Adds the texts of an event.
    fn add(&mut self, event: &[u8]) {
        let mut path = String::new();
        // An event that is no JSON has been searched as it is.
        let _ = self.value(&mut Reader::lenient(event), &mut path, 0);
    }

    fn value(&mut self, value: &mut Reader<'_>, path: &mut String, depth: usize) -> Option<()> {
        match value.peek()? {
            b'{' if depth < MAX_DEPTH => {
                let len = path.len();
                positions(value.clone(), depth, path);
                value.fields(|name, value| {
                    let len = path.len();
                    path.push('.');
                    path.push_str(&name);
                    let read = if value.peek()? == b'"' && CONTINUED.contains(&&*name) {
                        let text = value.text()?;
                        self.0.entry(path.clone()).or_default().push_str(&text.to_str());
                        Some(())
                    } else {
                        self.value(value, path, depth + 1)
                    };
                    path.truncate(len);
                    read
                })?;
                path.truncate(len);
                Some(())
            }
            b'[' if depth < MAX_DEPTH => value.array(|element| self.value(element, path, depth + 1)),
            _ => value.skip(),
        }
    }
}

/// Adds the fields of an object that say to which text it belongs, and the type of an event.
fn positions(mut object: Reader<'_>, depth: usize, path: &mut String) {
    let _ = object.fields(|name, value| {
        let raw = value.raw()?;
        if POSITIONS.contains(&&*name) || depth == 0 && name == "type" {
            path.push('/');
            path.push_str(&String::from_utf8_lossy(raw));
        }
        Some(())
    });
}

#[cfg(test)]
mod tests {
    use signalbox_core::schema::GuardAction;

    use super::*;

    const CARD: &str = "4111 1111 1111 1111";
    const ALL: Actions = Actions { secrets: Some(GuardAction::Redact), cards: Some(GuardAction::Redact) };

    fn judged(stream: &str) -> Result<String, &'static str> {
        passed(&Bytes::from(stream.to_owned()), ALL).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn clean_events_stay_as_they_are_and_comments_go() {
        let events = "event: a\r\ndata: {\"x\": 1}\r\n\r\ndata: {\"choices\":[]}\n\ndata: [DONE]\n\n";
        assert_eq!(judged(events).unwrap(), events);
        let commented = format!(": {CARD}\n\nevent: a\r\n: {CARD}\r\ndata: {{\"x\": 1}}\r\n\r\n: {CARD}");
        assert_eq!(judged(&commented).unwrap(), "event: a\r\ndata: {\"x\": 1}\r\n\r\n");
        assert_eq!(judged(": x\rdata: 1\r: y\r\r").unwrap(), "data: 1\r\r");
        let off = passed(&Bytes::from(format!(": x\ndata: {CARD}\n\n")), Actions::default()).unwrap();
        assert_eq!(off, format!("data: {CARD}\n\n"));
    }

    #[test]
    fn every_part_of_an_event_is_judged() {
        for event in [
            format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{CARD}\"}}}}]}}"),
            format!("data: {{\"x_{CARD}\":1}}").replace("x_", ""),
            format!("event: {CARD}\ndata: {{}}"),
            format!("id: {CARD}"),
            format!("data: pay {CARD}"),
            "data: {\"text\":\"\\u0034111111111111111\"}".to_owned(),
        ] {
            assert!(judged(&format!("{event}\n\n")).is_err(), "{event}");
        }
    }

    #[test]
    fn texts_go_on_after_the_finish_reason_and_beside_each_other() {
        let piece = |index: u8, text: &str, reason: &str| {
            format!(
                "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}},\"index\":{index},\"finish_reason\":{reason}}}]}}\n\n"
            )
        };
        let halves = ("4111 1111 ", "1111 1111");
        let split = piece(0, halves.0, "\"stop\"") + &piece(0, halves.1, "null");
        assert_eq!(judged(&split), Err("card number"));
        let apart = piece(0, halves.0, "null") + &piece(1, halves.1, "null");
        assert_eq!(judged(&apart).as_deref(), Ok(&*apart));
        let typed = |kind: &str, at: u8, text: &str| {
            format!("data: {{\"type\":\"response.{kind}.delta\",\"output_index\":{at},\"delta\":\"{text}\"}}\n\n")
        };
        assert_eq!(judged(&(typed("x", 0, halves.0) + &typed("x", 0, halves.1))), Err("card number"));
        let apart = typed("x", 0, halves.0) + &typed("x", 1, halves.1);
        assert_eq!(judged(&apart).as_deref(), Ok(&*apart));
    }

    #[test]
    fn errors_are_redacted() {
        let mark = "[redacted: card number]";
        for (event, expected) in [
            (
                format!("data: {{\"error\":{{\"message\":\"{CARD}\"}}}}"),
                format!("data: {{\"error\":{{\"message\":\"{mark}\"}}}}\n\n"),
            ),
            (format!("event: error\ndata: busy {CARD}"), format!("event: error\ndata: busy {mark}\n\n")),
            (
                format!("event: x\r\ndata: {{\"type\":\"response.failed\",\"m\":\"{CARD}\"}}"),
                format!("event: x\ndata: {{\"type\":\"response.failed\",\"m\":\"{mark}\"}}\n\n"),
            ),
        ] {
            assert_eq!(judged(&format!("{event}\n\n")).unwrap(), expected);
        }
        let clean = "event: error\ndata:{\"message\":\"busy\"}\n\n";
        assert_eq!(judged(clean).unwrap(), clean);
    }
}
