//! Checks that a stream is complete: the events of its API, in order, as many texts as were asked for, and its terminal
//! event at the end. Everything else, such as an error event, is a failure and never counts as an answer.
//!
//! Events are recognised by a few bytes, because the checks run on the core of the load generator.

use memchr::memmem;
use signalbox_core::Api;

/// Maximum bytes of an unfinished event.
const MAX_EVENT: usize = 1 << 20;
/// Maximum characters of an unexpected event in a report.
const TOLD: usize = 160;
/// Beginning of a text: the upstream puts its clock into each.
pub(super) const STAMP: &[u8] = b"\"t=";

/// The events of an API, each given by its name or, if it has none, by a part of its data.
#[derive(Debug)]
struct Grammar {
    /// An event without content that may come at any time.
    empty: &'static str,
    before: &'static [&'static str],
    text: &'static str,
    /// The last one is the terminal event.
    after: &'static [&'static str],
}

const CHAT: Grammar = Grammar {
    // Some servers send the role in an event of its own.
    empty: r#""delta":{"role":"assistant","content":""}"#,
    before: &[],
    text: r#""content":"t="#,
    after: &[r#""finish_reason":"stop""#, r#""usage":{"#, "data: [DONE]\n"],
};

const MESSAGES: Grammar = Grammar {
    empty: "event: ping\n",
    before: &["event: message_start\n", "event: content_block_start\n"],
    text: "event: content_block_delta\n",
    after: &["event: content_block_stop\n", "event: message_delta\n", "event: message_stop\n"],
};

const RESPONSES: Grammar = Grammar {
    empty: "event: keepalive\n",
    before: &[
        "event: response.created\n",
        "event: response.in_progress\n",
        "event: response.output_item.added\n",
        "event: response.content_part.added\n",
    ],
    text: "event: response.output_text.delta\n",
    after: &[
        "event: response.output_text.done\n",
        "event: response.content_part.done\n",
        "event: response.output_item.done\n",
        "event: response.completed\n",
    ],
};

/// The state of a stream that is being read.
#[derive(Debug)]
pub(super) struct Checker {
    grammar: &'static Grammar,
    /// Number of texts that were asked for.
    expected: u32,
    texts: u32,
    /// Number of events so far, without texts and empty events.
    position: usize,
    /// The beginning of an event: a proxy may cut chunks anywhere.
    unfinished: Vec<u8>,
}

// === impl Checker ===

impl Checker {
    /// Creates a checker of a stream of `api` with `expected` texts.
    pub(super) fn new(api: Api, expected: u32) -> Self {
        let grammar = match api {
            Api::Chat => &CHAT,
            Api::Messages => &MESSAGES,
            Api::Responses => &RESPONSES,
        };
        Self { grammar, expected, texts: 0, position: 0, unfinished: Vec::new() }
    }

    /// Reads the next bytes and calls `text` with the send time of each text.
    ///
    /// # Errors
    /// Fails if an event is not the next one of its API.
    pub(super) fn read(&mut self, bytes: &[u8], mut text: impl FnMut(u64)) -> Result<(), String> {
        if self.unfinished.is_empty() {
            let rest = self.events(bytes, &mut text)?;
            self.unfinished.extend_from_slice(&bytes[rest..]);
        } else {
            let mut joined = std::mem::take(&mut self.unfinished);
            joined.extend_from_slice(bytes);
            let rest = self.events(&joined, &mut text)?;
            joined.drain(..rest);
            self.unfinished = joined;
        }
        if self.unfinished.len() > MAX_EVENT { Err("an event does not end".to_owned()) } else { Ok(()) }
    }

    /// Checks that the stream is complete.
    ///
    /// # Errors
    /// Fails if an event or a text is missing.
    pub(super) fn finish(&self) -> Result<(), String> {
        if !self.unfinished.is_empty() {
            return Err("the stream ended within an event".to_owned());
        }
        if let Some(missing) = self.next() {
            return Err(format!("the stream ended without {}", missing.trim_end()));
        }
        if self.texts == self.expected { Ok(()) } else { Err(format!("{} of {} texts", self.texts, self.expected)) }
    }

    /// Reads the whole events in `bytes` and returns the position after them.
    fn events(&mut self, bytes: &[u8], text: &mut impl FnMut(u64)) -> Result<usize, String> {
        let mut from = 0;
        while let Some(len) = memmem::find(&bytes[from..], b"\n\n") {
            self.event(&bytes[from..from + len + 1], text)?;
            from += len + 2;
        }
        Ok(from)
    }

    fn event(&mut self, event: &[u8], text: &mut impl FnMut(u64)) -> Result<(), String> {
        let grammar = self.grammar;
        if self.position == grammar.before.len() && is(event, grammar.text) {
            text(stamp(event).ok_or_else(|| unexpected(event))?);
            self.texts += 1;
            return Ok(());
        }
        match self.next() {
            Some(next) if is(event, next) => self.position += 1,
            _ if event.starts_with(b":") || is(event, grammar.empty) => {}
            _ => return Err(unexpected(event)),
        }
        Ok(())
    }

    /// Returns the event that must come next unless it is a text; `None` after the terminal event.
    fn next(&self) -> Option<&'static str> {
        let Grammar { before, after, .. } = self.grammar;
        before.get(self.position).or_else(|| after.get(self.position.checked_sub(before.len())?)).copied()
    }
}

/// Returns whether an event is the given one.
fn is(event: &[u8], given: &str) -> bool {
    if given.starts_with("event: ") {
        event.starts_with(given.as_bytes())
    } else {
        memmem::find(event, given.as_bytes()).is_some()
    }
}

/// Returns the send time in a text.
pub(super) fn stamp(event: &[u8]) -> Option<u64> {
    let digits = &event[memmem::find(event, STAMP)? + STAMP.len()..];
    std::str::from_utf8(&digits[..memchr::memchr(b' ', digits)?]).ok()?.parse().ok()
}

fn unexpected(event: &[u8]) -> String {
    let told = String::from_utf8_lossy(&event[..event.len().min(TOLD)]).replace('\n', " ");
    format!("unexpected event: {}", told.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock;

    /// A complete stream with the texts `t=1` and `t=2`, as single events.
    fn stream(api: Api) -> Vec<String> {
        let chunk = |rest: &str| format!("data: {{\"id\":\"c\",\"choices\":[{rest}}}\n\n");
        let delta = |delta: &str| chunk(&format!(r#"{{"index":0,"delta":{delta},"finish_reason":null}}]"#));
        let named = |name: &str, rest: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\"{rest}}}\n\n");
        match api {
            Api::Chat => vec![
                delta(r#"{"role":"assistant","content":""}"#),
                delta(r#"{"content":"t=1 "}"#),
                delta(r#"{"content":"t=2 "}"#),
                chunk(r#"{"index":0,"delta":{},"finish_reason":"stop"}]"#),
                chunk(r#"],"usage":{"total_tokens":3}"#),
                "data: [DONE]\n\n".to_owned(),
            ],
            Api::Messages => vec![
                named("message_start", ""),
                named("ping", ""),
                named("content_block_start", ""),
                named("content_block_delta", r#","delta":{"text":"t=1 "}"#),
                ": alive\n\n".to_owned(),
                named("content_block_delta", r#","delta":{"text":"t=2 "}"#),
                named("content_block_stop", ""),
                named("message_delta", ""),
                named("message_stop", ""),
            ],
            Api::Responses => vec![
                named("response.created", ""),
                named("response.in_progress", ""),
                named("response.output_item.added", ""),
                named("response.content_part.added", ""),
                named("response.output_text.delta", r#","delta":"t=1 ""#),
                named("response.output_text.delta", r#","delta":"t=2 ""#),
                named("response.output_text.done", r#","text":"t=1 t=2 ""#),
                named("response.content_part.done", r#","part":{"text":"t=1 t=2 "}"#),
                named("response.output_item.done", ""),
                named("response.completed", ""),
            ],
        }
    }

    /// Reads a stream in pieces of `size` bytes; returns its send times and whether it is complete.
    fn check(api: Api, stream: &str, size: usize) -> Result<Vec<u64>, String> {
        let (mut checker, mut stamps) = (Checker::new(api, 2), Vec::new());
        for piece in stream.as_bytes().chunks(size) {
            checker.read(piece, |stamp| stamps.push(stamp))?;
        }
        checker.finish().map(|()| stamps)
    }

    #[test]
    fn a_complete_stream_is_accepted_however_it_is_cut() {
        for api in Api::ALL {
            let stream = stream(api).concat();
            for size in [1, 2, 7, 50, stream.len()] {
                assert_eq!(check(api, &stream, size), Ok(vec![1, 2]), "{api} in pieces of {size}");
            }
        }
    }

    #[test]
    fn the_streams_of_the_upstream_are_complete() {
        for api in Api::ALL {
            let stamps = check(api, &mock::stream(api, 2), 100).unwrap();
            assert!(stamps.len() == 2 && stamps[0] <= stamps[1], "{api}: {stamps:?}");
        }
    }

    #[test]
    fn a_cut_stream_is_a_failure() {
        for api in Api::ALL {
            let stream = stream(api).concat();
            for len in 0..stream.len() {
                assert!(check(api, &stream[..len], 64).is_err(), "{api} up to byte {len}");
            }
        }
    }

    #[test]
    fn a_missing_event_is_a_failure() {
        for api in Api::ALL {
            let events = stream(api);
            let is_optional =
                |event: &str| event.starts_with(": ") || event.contains("ping") || event.contains("\"role\"");
            for missing in (0..events.len()).filter(|&at| !is_optional(&events[at])) {
                let mut rest = events.clone();
                let event = rest.remove(missing);
                assert!(check(api, &rest.concat(), 64).is_err(), "{api} without {event}");
            }
        }
    }

    #[test]
    fn a_repeated_or_misplaced_event_is_a_failure() {
        for api in Api::ALL {
            let events = stream(api);
            let last = events.len() - 1;
            for (at, from) in [(last + 1, last), (last + 1, 3), (last - 1, last)] {
                let mut more = events.clone();
                more.insert(at, events[from].clone());
                assert!(check(api, &more.concat(), 64).is_err(), "{api}: {from} once more at {at}");
            }
        }
    }

    #[test]
    fn an_error_event_is_a_failure() {
        for (api, error) in [
            (Api::Chat, "data: {\"error\":{\"message\":\"busy\"}}\n\n"),
            (Api::Messages, "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"busy\"}}\n\n"),
            (Api::Responses, "event: response.failed\ndata: {\"type\":\"response.failed\",\"message\":\"busy\"}\n\n"),
        ] {
            let events = stream(api);
            for at in 0..=events.len() {
                let mut broken = events.clone();
                broken.insert(at, error.to_owned());
                let told = check(api, &broken.concat(), 64).unwrap_err();
                assert!(told.starts_with("unexpected event: ") && told.contains("busy"), "{told}");
            }
        }
    }

    #[test]
    fn a_text_without_its_send_time_is_a_failure() {
        for (api, text) in [
            (Api::Messages, "event: content_block_delta\ndata: {\"delta\":{\"text\":\"\"}}\n\n"),
            (Api::Responses, "event: response.output_text.delta\ndata: {\"delta\":\"t=x \"}\n\n"),
        ] {
            let mut events = stream(api);
            let at = events.iter().position(|event| event.contains("t=1")).unwrap();
            events[at] = text.to_owned();
            assert!(check(api, &events.concat(), 64).is_err(), "{text}");
        }
    }
}
