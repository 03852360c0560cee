//! The site's answers, streamed or whole.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::{plan::tick, play::Stream, script::FaultKind};

use super::{
    Content, Extra, Part, Reply,
    chats::{Ids, new_id},
    mind::Thought,
};

/// The remaining events of a streamed answer.
#[derive(Debug)]
pub(super) struct Events {
    pieces: VecDeque<Piece>,
    reply: Reply,
    input: usize,
    response_id: String,
}

#[derive(Debug)]
pub(super) enum Piece {
    Created(Value),
    /// Part of the text: the added text, its phase, and the numbers of tokens and characters so far.
    Delta {
        text: String,
        phase: &'static str,
        tokens: usize,
        characters: usize,
    },
    /// A word with the time at which it is rendered.
    Tick {
        tokens: usize,
    },
    Finished(&'static str),
}

/// Returns a whole answer, which the site sends when no stream is requested; it has no token counts.
pub(super) fn whole(thought: &Thought, ids: &Ids) -> String {
    let message = json!({"role": "assistant", "content": thought.text});
    let data = json!({
        "chat_id": "", "parent_id": ids.parent, "message_id": ids.message, "messages": null,
        "choices": [{"message": message}],
    });
    json!({"success": true, "request_id": new_id(), "data": data}).to_string()
}

/// Returns the number of tokens of a text, where each word is one token.
pub(super) fn tokens(text: &str) -> usize {
    text.split_whitespace().count()
}

fn cut(text: &str, size: Option<usize>) -> Vec<String> {
    match size {
        None => text.split_inclusive(' ').map(str::to_owned).collect(),
        Some(size) => {
            let characters: Vec<char> = text.chars().collect();
            characters.chunks(size.max(1)).map(|piece| piece.iter().collect()).collect()
        }
    }
}

// === impl Events ===

impl Events {
    /// Creates the events of an answer. `input` is the number of prompt tokens.
    pub(super) fn new(chat_id: &str, ids: &Ids, thought: &Thought, reply: &Reply, input: usize) -> Self {
        let has = |part| !reply.without.contains(&part);
        let mut pieces = VecDeque::new();
        if has(Part::Created) {
            let created = json!({"chat_id": chat_id, "parent_id": ids.parent, "response_id": ids.message});
            pieces.push_back(Piece::Created(json!({"response.created": created})));
        }
        let size = reply.pieces.or(thought.pieces);
        let (mut tokens, mut characters, mut in_word) = (0, 0, false);
        for (phase, text) in [("think", &thought.thinking), ("answer", &thought.text)] {
            for text in cut(text, size) {
                for char in text.chars() {
                    tokens += usize::from(!in_word && !char.is_whitespace());
                    in_word = !char.is_whitespace();
                    characters += 1;
                }
                pieces.push_back(Piece::Delta { text, phase, tokens, characters });
            }
            if phase == "think" && !text.is_empty() {
                pieces.push_back(Piece::Finished(phase));
                in_word = false;
            }
        }
        pieces.extend((1..=thought.ticks as usize).map(|tick| Piece::Tick { tokens: tokens + tick }));
        if has(Part::Finished) {
            pieces.push_back(Piece::Finished("answer"));
        }
        Self { pieces, reply: reply.clone(), input, response_id: ids.message.clone() }
    }

    fn usage(&self, tokens: usize, characters: usize) -> Value {
        json!({
            "input_tokens": self.input, "output_tokens": tokens, "characters": characters,
            "total_tokens": self.input + tokens, "input_tokens_details": {"text_tokens": self.input},
            "output_tokens_details": {"text_tokens": tokens}, "cached_tokens": 0,
        })
    }

    fn delta(&self, text: &str, phase: &str, tokens: usize, characters: usize, out: &mut String) {
        for content in self.contents(text) {
            let delta = json!({"role": "assistant", "content": CONTENT, "phase": phase, "status": "typing"});
            let mut data = json!({"choices": [{"delta": delta}]});
            if let Some(usage) = &self.reply.usage {
                data["usage"] = usage.clone();
            } else if !self.reply.without.contains(&Part::Usage) {
                data["usage"] = self.usage(tokens, characters);
            }
            out.push_str(&format!("data: {}\n\n", data.to_string().replace(&json!(CONTENT).to_string(), &content)));
        }
    }

    /// Returns the JSON values of `content` for this text: one, or several if characters are cut into halves.
    fn contents(&self, text: &str) -> Vec<String> {
        let (mut texts, mut current) = (Vec::new(), String::new());
        for character in text.chars() {
            let mut units = [0; 2];
            match character.encode_utf16(&mut units) {
                [first, second] if self.reply.halves => {
                    texts.push(format!("{current}\\u{first:04x}"));
                    current = format!("\\u{second:04x}");
                }
                _ => {
                    let json = json!(character.to_string()).to_string();
                    current.push_str(&json[1..json.len() - 1]);
                }
            }
        }
        texts.push(current);
        let is_empty = text.is_empty();
        let form = |text: String| match self.reply.content {
            Content::Text => format!("\"{text}\""),
            Content::Parts if is_empty => "null".to_owned(),
            Content::Parts => format!(r#"[{{"type":"text","text":"{text}"}}]"#),
            Content::Texts if is_empty => "[]".to_owned(),
            Content::Texts => format!("[\"{text}\"]"),
        };
        texts.into_iter().map(form).collect()
    }
}

/// Placeholder for the content, because a `Value` cannot hold half a surrogate pair.
const CONTENT: &str = "the content";

fn event(data: &Value, out: &mut String) {
    out.push_str(&format!("data: {data}\n\n"));
}

impl Stream for Events {
    type Piece = Piece;

    const ERROR_BODY: &'static str = r#"{"success":false,"request_id":"0","data":{"code":"internal_error","details":"The fake failed, as scripted."}}"#;

    fn next(&mut self) -> Option<Piece> {
        self.pieces.pop_front()
    }

    fn is_word(&self, piece: &Piece) -> bool {
        matches!(piece, Piece::Delta { .. } | Piece::Tick { .. })
    }

    fn render(&mut self, piece: &Piece, out: &mut String) {
        match self.reply.extra {
            None => {}
            Some(Extra::Unknown) => {
                out.push_str(": still here\n\nevent: news\nid: 7\ndata: {\"response.news\":{}}\n\n")
            }
            Some(Extra::Garbage) => out.push_str("data: {\"choices\":[{\"del\n\n"),
        }
        match piece {
            Piece::Created(data) => event(data, out),
            Piece::Delta { text, phase, tokens, characters } => self.delta(text, phase, *tokens, *characters, out),
            Piece::Tick { tokens } => self.delta(&tick(), "answer", *tokens, 0, out),
            Piece::Finished(phase) => {
                let delta = json!({"content": "", "role": "assistant", "status": "finished", "phase": phase});
                let mut data = json!({"choices": [{"delta": delta}]});
                if let Some(usage) = &self.reply.usage {
                    data["usage"] = usage.clone();
                }
                event(&data, out);
            }
        }
    }

    fn render_error(&mut self, _: FaultKind, out: &mut String) {
        let error = json!({"code": "internal_error", "details": "The fake failed, as scripted."});
        event(&json!({"error": error, "response_id": self.response_id}), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(thought: &Thought, reply: &Reply) -> Vec<Value> {
        let ids = Ids { parent: "p".into(), message: "m".into() };
        let (mut events, mut text) = (Events::new("c", &ids, thought, reply, 10), String::new());
        while let Some(piece) = events.next() {
            events.render(&piece, &mut text);
        }
        text.split("\n\n")
            .filter_map(|event| event.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap_or_default())
            .collect()
    }

    fn thought(thinking: &str, text: &str) -> Thought {
        Thought { thinking: thinking.into(), text: text.into(), pieces: None, ticks: 0 }
    }

    #[test]
    fn a_stream_begins_with_its_ids_and_ends_with_finished() {
        let events = stream(&thought("", "two words"), &Reply::default());
        assert_eq!(events[0], json!({"response.created": {"chat_id": "c", "parent_id": "p", "response_id": "m"}}));
        assert_eq!(events.len(), 4);
        let finished = json!({"content": "", "role": "assistant", "status": "finished", "phase": "answer"});
        assert_eq!(events[3], json!({"choices": [{"delta": finished}]}));
    }

    #[test]
    fn usage_grows_with_every_delta() {
        let events = stream(&thought("hm", "two words"), &Reply::default());
        let usage: Vec<_> = events
            .iter()
            .filter_map(|event| {
                Some((event["usage"]["output_tokens"].as_u64()?, event["usage"]["total_tokens"].as_u64()?))
            })
            .collect();
        assert_eq!(usage, [(1, 11), (2, 12), (3, 13)]);
        assert_eq!(events[3]["usage"]["characters"], 6);
    }

    #[test]
    fn thoughts_come_first_and_have_their_own_end() {
        let events = stream(&thought("hm", "yes"), &Reply::default());
        let phases: Vec<_> = events[1..].iter().map(|event| &event["choices"][0]["delta"]).collect();
        let phases: Vec<_> =
            phases.iter().map(|d| (d["phase"].as_str().unwrap(), d["status"].as_str().unwrap())).collect();
        assert_eq!(phases, [("think", "typing"), ("think", "finished"), ("answer", "typing"), ("answer", "finished")]);
    }

    #[test]
    fn parts_can_be_missing_or_repeated() {
        let without = vec![Part::Created, Part::Usage, Part::Finished];
        let events = stream(&thought("", "a b"), &Reply { without, ..Reply::default() });
        assert_eq!(events.len(), 2);
        assert!(events[0].get("usage").is_none());
        for (extra, garbage) in [(Extra::Unknown, 0), (Extra::Garbage, 3)] {
            let events = stream(&thought("", "a"), &Reply { extra: Some(extra), pieces: Some(1), ..Reply::default() });
            assert_eq!(events.iter().filter(|event| event.is_null()).count(), garbage, "{extra:?}");
        }
    }

    #[test]
    fn contents_come_in_every_form() {
        let contents = |reply: Reply, text: &str| {
            let ids = Ids { parent: "p".into(), message: "m".into() };
            Events::new("c", &ids, &thought("", text), &reply, 10).contents(text)
        };
        assert_eq!(contents(Reply::default(), "a\"\u{1F600}"), ["\"a\\\"\u{1F600}\""]);
        assert_eq!(
            contents(Reply { halves: true, ..Reply::default() }, "a\u{1F600}b"),
            [r#""a\ud83d""#, r#""\ude00b""#]
        );
        let parts = Reply { content: Content::Parts, ..Reply::default() };
        assert_eq!(contents(parts.clone(), "a"), [r#"[{"type":"text","text":"a"}]"#]);
        assert_eq!(contents(parts, ""), ["null"]);
        let events = stream(&thought("", "a b"), &Reply { usage: Some(Value::Null), ..Reply::default() });
        assert!(events[1..].iter().all(|event| event.get("usage") == Some(&Value::Null)), "{events:?}");
    }

    #[test]
    fn a_tick_contains_its_send_time() {
        let ticks = Thought { ticks: 2, ..Thought::default() };
        let events = stream(&ticks, &Reply::default());
        let times: Vec<u64> = events
            .iter()
            .filter_map(|event| {
                event["choices"][0]["delta"]["content"].as_str()?.strip_prefix("t=")?.trim().parse().ok()
            })
            .collect();
        assert!(times.len() == 2 && 0 < times[0] && times[0] <= times[1], "{times:?}");
        assert_eq!(events[2]["usage"]["output_tokens"], 2);
    }

    #[test]
    fn a_text_is_cut_into_words_or_characters() {
        assert_eq!(cut("é two", None), ["é ", "two"]);
        assert_eq!(cut("é two", Some(2)), ["é ", "tw", "o"]);
    }
}
