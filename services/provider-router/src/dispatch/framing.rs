//! Detects whether a response is an event stream or a complete document, and converts between the two.
//!
//! Some servers declare event streams as plain text and JSON as octets, or send a complete response to a request for a
//! stream. The first bytes of a response are more reliable than its content type.

mod streamed;

use bytes::{Bytes, BytesMut};
use signalbox_core::{
    openai::{ChunkView, StreamEvent, fold_stream, read_event},
    sse::Splitter,
};
pub(super) use streamed::stream_of;

const BOM: &[u8] = b"\xEF\xBB\xBF";
/// Maximum bytes of unknown lines before the first event of a stream.
const MAX_UNKNOWN: usize = 8 << 10;
/// Maximum bytes of white space before a document or the first event of a stream. Some providers send it to keep the
/// connection alive.
const MAX_BLANK: usize = 64 << 10;

/// The beginning of a response, read until its framing is known. Each byte of white space is inspected once.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    /// The first piece, which is not copied if it is the only one.
    first: Bytes,
    joined: BytesMut,
    /// Length of the byte order mark and the white space at the beginning.
    blank: usize,
}

/// Framing of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// An event stream.
    Events,
    /// A single JSON document.
    Json,
}

impl Framing {
    /// Detects the framing from the first bytes; `is_declared` says that the content type is that of an event stream.
    /// Returns `None` if they match neither, `Some(None)` if more bytes are needed.
    ///
    /// Some servers write lines of their own before the first event, so an unknown line is passed over if the content
    /// type declares no event stream, within the first 8 KiB. A line that may begin a document in HTML is not.
    pub(super) fn of(begun: &[u8], is_declared: bool, ended: bool) -> Option<Option<Self>> {
        Self::of_text(&begun[text_at(begun, 0)..], is_declared, ended)
    }

    /// Detects the framing from the first bytes after the white space.
    fn of_text(begun: &[u8], is_declared: bool, ended: bool) -> Option<Option<Self>> {
        const FIELDS: [&[u8]; 4] = [b"data:", b"event:", b"id:", b"retry:"];
        let more = if ended { None } else { Some(None) };
        match begun.first() {
            None => more,
            Some(b'{') => Some(Some(Self::Json)),
            Some(b'[') if begins_array(&begun[1..]) => Some(Some(Self::Json)),
            Some(b':') => Some(Some(Self::Events)),
            Some(_) if FIELDS.iter().any(|field| begun.starts_with(field)) => Some(Some(Self::Events)),
            Some(_) if FIELDS.iter().any(|field| field.starts_with(begun)) || BOM.starts_with(begun) => more,
            Some(b'<') => None,
            Some(_) if is_declared => None,
            Some(_) => {
                let mut lines = begun.split(|&byte| byte == b'\n' || byte == b'\r');
                if lines.any(|line| line.starts_with(FIELDS[0])) {
                    return Some(Some(Self::Events));
                }
                if begun.len() < MAX_UNKNOWN { more } else { None }
            }
        }
    }

    /// Returns the content type that clients expect for this framing.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream",
            Self::Json => "application/json",
        }
    }
}

// === impl Beginning ===

impl Beginning {
    /// Adds the next piece.
    pub(super) fn push(&mut self, piece: Bytes) {
        if self.first.is_empty() && self.joined.is_empty() {
            self.first = piece;
        } else {
            self.joined.extend_from_slice(&std::mem::take(&mut self.first));
            self.joined.extend_from_slice(&piece);
        }
        self.blank = text_at(self.bytes(), self.blank);
    }

    /// Detects the framing; see [`Framing::of`].
    pub(super) fn framing(&self, is_declared: bool, ended: bool) -> Option<Option<Framing>> {
        Framing::of_text(&self.bytes()[self.blank..], is_declared, ended)
    }

    /// Returns whether more white space has come than an answer may begin with.
    pub(super) const fn is_too_blank(&self) -> bool {
        self.blank > MAX_BLANK
    }

    /// Returns the failure for a response that begins with more white space than that.
    pub(super) fn too_blank() -> String {
        format!("it begins with more than {MAX_BLANK} bytes of white space")
    }

    /// Returns the bytes that have been read.
    pub(super) fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.freeze() }
    }

    fn bytes(&self) -> &[u8] {
        if self.joined.is_empty() { &self.first } else { &self.joined }
    }
}

/// Returns the offset of the first byte that is neither white space nor part of the byte order mark. The bytes before
/// `from` are known to be such.
fn text_at(begun: &[u8], from: usize) -> usize {
    let from = if from == 0 && begun.starts_with(BOM) { BOM.len() } else { from };
    from + begun[from..].iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Returns whether the bytes after `[` may go on as a JSON array, unlike those of a log line such as `[INFO] ready`.
fn begins_array(rest: &[u8]) -> bool {
    rest.trim_ascii_start()
        .first()
        .is_none_or(|byte| matches!(byte, b'{' | b'[' | b'"' | b']' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'))
}

/// Assembles a complete response from a stream of `choices` answers, and returns it with the failure that the stream
/// reports beside them. Returns `None` if the stream is incomplete.
pub(super) fn whole_of(stream: &Bytes, choices: u32) -> Option<(Bytes, Option<String>)> {
    let answer = fold_stream(stream);
    let is_finished = answer.finished && answer.choices >= usize::try_from(choices).unwrap_or(usize::MAX);
    if !answer.done && !is_finished || answer.error.is_some() && answer.finish_reason.is_none() {
        return None;
    }
    let json = answer.json?;
    let failed = || ChunkView::read(json.as_bytes()).and_then(|chunk| chunk.failed());
    let failure = answer.error.map(|error| error.message).or_else(failed);
    Some((json.into(), failure))
}

/// Returns the first error in an error body that is framed as an event stream.
pub(super) fn error_of(body: &Bytes) -> Option<Bytes> {
    let Some(Some(Framing::Events)) = Framing::of(body, false, true) else { return None };
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(body.clone());
    while let Some(frame) = splitter.finish() {
        let Some(data) = frame.data() else { continue };
        if let StreamEvent::Error(_) = read_event(&data) {
            return Some(Bytes::copy_from_slice(data.trim_ascii()));
        }
    }
    None
}

/// Separates the events of a complete stream by blank lines, where each data line is an event.
pub(super) fn separated(stream: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(stream.len() + stream.len() / 64);
    for line in stream.split(|&byte| byte == b'\n' || byte == b'\r').filter(|line| !line.is_empty()) {
        out.extend_from_slice(line);
        out.extend_from_slice(if line.starts_with(b"data") { b"\n\n" } else { b"\n" });
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use signalbox_core::openai::DONE_EVENT;

    use super::*;

    #[test]
    fn answers_are_recognised_by_their_first_bytes() {
        for (begun, framing) in [
            ("{\"choices\"", Some(Some(Framing::Json))),
            ("\u{feff} \r\n[{", Some(Some(Framing::Json))),
            ("data: {}", Some(Some(Framing::Events))),
            ("data:{}", Some(Some(Framing::Events))),
            ("\n\n: ping\n\n", Some(Some(Framing::Events))),
            ("event: message\n", Some(Some(Framing::Events))),
            ("id: 7\n", Some(Some(Framing::Events))),
            ("retry: 100\n", Some(Some(Framing::Events))),
            ("da", Some(None)),
            (" ", Some(None)),
            ("", Some(None)),
            ("[", Some(Some(Framing::Json))),
            ("[1]", Some(Some(Framing::Json))),
            ("<html>\ndata: x", None),
            // Unknown lines are passed over.
            ("date", Some(None)),
            ("busy\nda", Some(None)),
            ("foo: x\ndata: {}", Some(Some(Framing::Events))),
            ("INFO: ready\r\n\r\ndata: {}", Some(Some(Framing::Events))),
            ("[INFO] ready\ndata: {}", Some(Some(Framing::Events))),
            ("id\rdata:{}", Some(Some(Framing::Events))),
            ("error: no data: x", Some(None)),
        ] {
            assert_eq!(Framing::of(begun.as_bytes(), false, false), framing, "{begun:?}");
            let ended = framing.filter(Option::is_some);
            assert_eq!(Framing::of(begun.as_bytes(), false, true), ended, "{begun:?}");
        }
        assert_eq!(Framing::of(&[b'x'; MAX_UNKNOWN], false, false), None);
        assert_eq!(Framing::of(b"foo: x\n", true, false), None);
    }

    #[test]
    fn white_space_is_inspected_once_and_bounded() {
        for (pieces, framing) in [
            (&["\u{feff}", " \r\n", "", "\n[{"][..], Framing::Json),
            (&["\n", "\n", ": ping\n\n"], Framing::Events),
            (&["", "  {"], Framing::Json),
        ] {
            let mut begun = Beginning::default();
            for (n, piece) in pieces.iter().enumerate() {
                begun.push(Bytes::from_static(piece.as_bytes()));
                let expected = if n + 1 == pieces.len() { Some(framing) } else { None };
                assert_eq!(begun.framing(false, false), Some(expected), "{pieces:?} {n}");
            }
            assert_eq!(begun.into_bytes(), pieces.concat());
        }
        let mut begun = Beginning::default();
        for n in 0..=MAX_BLANK {
            assert!(!begun.is_too_blank(), "{n}");
            begun.push(Bytes::from_static(b"\n"));
            assert_eq!(begun.blank, n + 1);
        }
        assert!(begun.is_too_blank());
    }

    #[test]
    fn a_non_streamed_answer_becomes_an_equivalent_stream() {
        let whole = r#"{"id":"c1","object":"chat.completion","created":7,"model":"m","x":1,"choices":[{"message":{"role":"assistant","content":"hi","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
        let stream = stream_of(whole.as_bytes()).unwrap();
        let text = std::str::from_utf8(&stream).unwrap();
        assert!(text.starts_with("data: {") && text.ends_with("\n\ndata: [DONE]\n\n"), "{text}");
        let chunk: Value = serde_json::from_str(text.lines().next().unwrap().strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!((&chunk["id"], &chunk["x"]), (&"c1".into(), &1.into()));
        let choice = &chunk["choices"][0];
        assert_eq!((&choice["index"], &choice["finish_reason"]), (&0.into(), &"tool_calls".into()));
        assert_eq!(choice["delta"]["content"], "hi");
        assert_eq!((choice["delta"]["tool_calls"][1]["index"].as_u64(), choice.get("message")), (Some(1), None));
        let folded: Value = serde_json::from_slice(&whole_of(&stream, 1).unwrap().0).unwrap();
        assert_eq!(folded["choices"][0]["message"]["content"], "hi");
        assert_eq!(folded["usage"]["total_tokens"], 3);
        for nothing in ["", "[]", "{}", r#"{"choices":null}"#, r#"{"choices":["a"]}"#, "<html>"] {
            assert_eq!(stream_of(nothing.as_bytes()), None, "{nothing}");
        }
    }

    #[test]
    fn an_odd_value_costs_no_answer() {
        let whole = |content: &str, other: &str| {
            format!("{{\"choices\":[\n{{\"index\":0,\"message\":{{\"content\":{content}}}}}],{other}\r\n\"x\":1}}")
                .into_bytes()
        };
        let deep = format!("\"q\":{}{},", "[".repeat(500), "]".repeat(500));
        let mut bad = whole("\"a?b\"", "");
        let at = bad.iter().position(|&byte| byte == b'?').unwrap();
        bad[at] = 0xFF;
        for (odd, content) in [
            (whole("\"a\\ud83db\"", ""), "a\u{FFFD}b"),
            (bad, "a\u{FFFD}b"),
            (whole("\"a\tb\"", ""), "a\tb"),
            (whole("\"ab\"", "\"q\":1e999,"), "ab"),
            (whole("\"ab\"", "\"q\":NaN,\"r\":[-Infinity],"), "ab"),
            (whole("\"ab\"", &deep), "ab"),
        ] {
            let stream = stream_of(&odd).unwrap();
            let text = std::str::from_utf8(&stream).unwrap();
            assert!(text.ends_with("}\n\ndata: [DONE]\n\n") && text.lines().count() == 4, "{text}");
            let answer = fold_stream(&stream);
            assert_eq!((answer.text.as_str(), answer.done, answer.finished), (content, true, true), "{text}");
            assert!(
                serde_json::from_str::<serde::de::IgnoredAny>(
                    text.lines().next().unwrap().strip_prefix("data: ").unwrap()
                )
                .is_ok()
            );
        }
    }

    #[test]
    fn an_error_body_is_taken_out_of_its_event() {
        let body = Bytes::from_static(
            b": x\n\nevent: error\ndata: {\"error\":{\"message\":\"no\",\"code\":\"c\"}}\n\ndata: [DONE]\n\n",
        );
        assert_eq!(error_of(&body).unwrap(), r#"{"error":{"message":"no","code":"c"}}"#);
        for other in ["{\"error\":\"no\"}", "busy", "", "data: busy\n\n"] {
            assert_eq!(error_of(&Bytes::from_static(other.as_bytes())), None, "{other}");
        }
    }

    #[test]
    fn only_a_complete_stream_becomes_a_non_streamed_answer() {
        let chunk = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
        let finish = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
        let whole = |stream: &str| whole_of(&Bytes::from(stream.to_owned()), 1);
        for complete in
            [format!("{chunk}{finish}data: [DONE]\n\n"), format!("{chunk}{finish}"), format!("{chunk}{DONE_EVENT}")]
        {
            let answer: Value = serde_json::from_slice(&whole(&complete).unwrap().0).unwrap();
            assert_eq!(answer["choices"][0]["message"]["content"], "hi");
        }
        let other = "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"ho\"}}]}\n\n";
        assert_eq!(whole(&format!("{other}{chunk}{finish}")), None);
        // Of two answers, one has not begun.
        let of_two = |stream: String| whole_of(&Bytes::from(stream), 2).is_some();
        assert!(!of_two(format!("{chunk}{finish}")));
        assert!(of_two(format!("{chunk}{finish}{DONE_EVENT}")));
        assert!(of_two(format!("{chunk}{finish}{}", finish.replace("\"index\":0", "\"index\":1"))));
        let error = finish.replace("\"choices\"", "\"error\":{\"message\":\"no\"},\"choices\"");
        assert_eq!(whole(&format!("{chunk}{error}")).unwrap().1.as_deref(), Some("no"));
        for broken in [chunk, "data: [DONE]\n\n", "", "data: {\"error\":{\"message\":\"no\"}}\n\n"] {
            assert_eq!(whole(broken), None, "{broken}");
        }
    }
}
