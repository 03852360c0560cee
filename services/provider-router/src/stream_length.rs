//! Length of the texts in a stream, for streams that end without token counts.
//!
//! Providers put one token into an event, or hundreds, so neither the bytes of a stream nor its events tell its tokens.
//! Reading each event would cost as much as relaying it. So an event is read only if it is longer than one that has been
//! read: the others are taken to differ in their text alone.

use signalbox_core::json::Reader;

/// Average number of bytes of a token.
const BYTES_PER_TOKEN: u64 = 4;
/// Bytes by which an event may exceed the length of one without text before it is read. Most events with a single token
/// do not.
const SMALL_TEXT: usize = 48;
/// Length of an event without its text, as long as none is known.
const USUAL_ENVELOPE: usize = 200;
/// Maximum bytes of a line that are kept until its end has come.
const MAX_LINE: usize = 64 * 1024;
/// Names of members whose strings are text of the model.
const TEXTS: [&str; 9] =
    ["arguments", "content", "delta", "partial_json", "reasoning", "reasoning_content", "refusal", "text", "thinking"];

/// Length of the texts of a stream so far.
#[derive(Debug, Default)]
pub(crate) struct StreamLength {
    /// Number of events with text.
    events: u64,
    /// Bytes of text.
    text: u64,
    /// Length of an event without its text; 0 as long as none is known.
    envelope: usize,
    /// Beginning of a line whose end has not come.
    line: Vec<u8>,
    /// Bytes of that line which are not kept.
    cut: usize,
}

impl StreamLength {
    /// Adds bytes of the stream, which may begin and end anywhere.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, next) = (&rest[..end], &rest[end + 1..]);
            if self.line.is_empty() {
                self.add_line(line, 0);
            } else {
                self.keep(line);
                let (line, cut) = (std::mem::take(&mut self.line), std::mem::take(&mut self.cut));
                self.add_line(&line, cut);
                self.line = line;
                self.line.clear();
            }
            rest = next;
        }
        self.keep(rest);
    }

    /// Returns the tokens that the texts suggest: one for four bytes, but at least one for each event.
    pub(crate) fn tokens(&self) -> u64 {
        // The last event may be cut off, and the client has its text nevertheless.
        let mut all = Self { events: self.events, text: self.text, envelope: self.envelope, ..Self::default() };
        all.add_line(&self.line, self.cut.max(1));
        all.events.max(all.text.div_ceil(BYTES_PER_TOKEN))
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.line.len()).min(bytes.len());
        self.line.extend_from_slice(&bytes[..room]);
        self.cut += bytes.len() - room;
    }

    /// Adds a line. `cut`: bytes that are missing at its end; such a line cannot be read.
    fn add_line(&mut self, line: &[u8], cut: usize) {
        let Some(data) = line.strip_prefix(b"data:") else { return };
        let is_known = self.envelope > 0;
        let text = if cut > 0 {
            (data.len() + cut).saturating_sub(if is_known { self.envelope } else { USUAL_ENVELOPE })
        } else if is_known && (self.envelope..=self.envelope + SMALL_TEXT).contains(&data.len()) {
            data.len() - self.envelope
        } else {
            let text = text_of(data);
            if text > 0 {
                self.envelope = data.len().saturating_sub(text).max(1);
            }
            text
        };
        if text > 0 {
            self.events += 1;
            self.text += u64::try_from(text).unwrap_or(u64::MAX);
        }
    }
}

/// Returns the tokens that the texts in an answer suggest: one for four bytes.
pub(crate) fn tokens_of_texts(answer: &str) -> u64 {
    let mut text = 0;
    let _ = add_texts(&mut Reader::lenient(answer.as_bytes()), &mut text);
    u64::try_from(text).unwrap_or(u64::MAX).div_ceil(BYTES_PER_TOKEN)
}

/// Returns the bytes of the texts in an event, as far as it can be read.
fn text_of(event: &[u8]) -> usize {
    let mut text = 0;
    let mut reader = Reader::lenient(event);
    // Responses repeats all texts in the events that end a part.
    if memchr::memmem::find(event, b".done\"").is_none() {
        let _ = add_texts(&mut reader, &mut text);
    }
    text
}

fn add_texts(value: &mut Reader<'_>, text: &mut usize) -> Option<()> {
    match value.peek()? {
        b'{' => value.fields(|name, value| {
            if value.peek()? == b'"' && TEXTS.contains(&&*name) {
                *text += value.raw()?.len().saturating_sub(2);
                return Some(());
            }
            add_texts(value, text)
        }),
        b'[' => value.array(|value| add_texts(value, text)),
        _ => value.skip(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chat(text: &str) -> String {
        format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
             \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
        )
    }

    fn messages(text: &str) -> String {
        format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\
             \"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n"
        )
    }

    fn responses(text: &str) -> String {
        format!(
            "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"sequence_number\":3,\
             \"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"{text}\"}}\n\n"
        )
    }

    fn tokens(stream: &str) -> u64 {
        let mut length = StreamLength::default();
        length.add(stream.as_bytes());
        length.tokens()
    }

    #[test]
    fn tokens_do_not_depend_on_how_many_an_event_has() {
        for event in [chat, messages, responses] {
            let long = "four".repeat(250);
            assert_eq!(tokens(&event(&long)), 250, "{}", event(""));
            assert_eq!(tokens(&event(&long).repeat(10)), 2_500, "{}", event(""));
            assert_eq!(tokens(&event("four").repeat(100)), 100, "{}", event(""));
            assert_eq!(tokens(&event("a").repeat(100)), 100, "{}", event(""));
            assert_eq!(tokens(&[event("a").repeat(4), event(&long), event("a").repeat(4)].concat()), 252);
        }
    }

    #[test]
    fn the_texts_of_whole_answers_are_counted() {
        let whole = r#"{"choices":[{"message":{"role":"assistant","content":"four","tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1}"}}]}}]}"#;
        assert_eq!(tokens_of_texts(whole), 4);
        assert_eq!(tokens_of_texts(r#"{"content":[{"type":"text","text":"eight888"}]}"#), 2);
        assert_eq!((tokens_of_texts(""), tokens_of_texts("{")), (0, 0));
    }

    #[test]
    fn repeated_texts_and_other_events_do_not_count() {
        let ends = "data: {\"type\":\"response.output_text.done\",\"text\":\"all of it again\"}\n\n";
        assert_eq!(tokens(&[responses("four").as_str(), ends].concat()), 1);
        let others = "event: ping\ndata: {\"type\": \"ping\"}\n\n: comment\n\ndata: [DONE]\n\n";
        assert_eq!((tokens(others), tokens("")), (0, 0));
        assert_eq!(tokens(&[others, messages("four").as_str()].concat()), 1);
    }

    #[test]
    fn an_event_that_is_cut_off_counts() {
        let event = messages(&"four".repeat(100));
        let cut = &event[..event.len() - 20];
        assert!((60..=110).contains(&tokens(cut)), "{}", tokens(cut));
        assert!((160..=210).contains(&tokens(&[event.as_str(), cut].concat())));
    }

    #[test]
    fn a_line_of_any_length_is_counted_and_not_kept() {
        let mut length = StreamLength::default();
        for piece in chat(&"a".repeat(4_000_000)).as_bytes().chunks(16 * 1024) {
            length.add(piece);
            assert!(length.line.len() <= MAX_LINE);
        }
        assert!((990_000..=1_000_100).contains(&length.tokens()), "{}", length.tokens());
    }

    proptest! {
        #[test]
        fn the_cuts_between_pieces_do_not_matter(lens in prop::collection::vec(0_usize..400, 1..12), size in 1_usize..300) {
            let stream: String = lens.iter().map(|len| messages(&"x".repeat(*len))).collect();
            let mut length = StreamLength::default();
            stream.as_bytes().chunks(size).for_each(|piece| length.add(piece));
            prop_assert_eq!(length.tokens(), tokens(&stream));
        }
    }
}
