//! The events of a streamed answer, generated one at a time.

use std::{collections::VecDeque, fmt::Write as _};

use serde_json::{Value, json};

use super::{Asked, CREATED, ID, PROMPT_TOKENS, finish_reason, tick};
use crate::{
    play::Stream,
    script::{Chat, Dialect, Text},
};

const ARGUMENT_PIECE: usize = 8;

/// The next event of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Part of a choice: its index, its delta and its finish reason.
    Choice(u32, Delta, Option<String>),
    /// Token counts; the number is the count of words.
    Usage(u32),
    /// `[DONE]`.
    Done,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Delta {
    Word(String),
    Tick,
    Other(Value),
}

/// The remaining events of a stream.
#[derive(Debug)]
pub(crate) struct Events {
    /// The JSON of an event up to its choices.
    prefix: String,
    line_end: &'static str,
    comments: bool,
    dialect: Dialect,
    /// Name of the function that the answer calls.
    function: String,
    choices: u32,
    before: VecDeque<Piece>,
    words: Words,
    after: VecDeque<Piece>,
}

#[derive(Debug)]
struct Words {
    source: Source,
    /// Index of the choice that receives the current word next.
    choice: u32,
    sent: u32,
}

#[derive(Debug)]
enum Source {
    List(VecDeque<String>),
    Ticks(u32),
    Endless,
}

// === impl Events ===

impl Events {
    pub(crate) fn new(asked: &Asked<'_>, chat: &Chat) -> Self {
        let choices = asked.choices(chat);
        let other =
            |index, delta, finish: Option<&str>| Piece::Choice(index, Delta::Other(delta), finish.map(str::to_owned));
        let mut before: VecDeque<Piece> =
            (0..choices).map(|i| other(i, json!({"role": "assistant", "content": ""}), None)).collect();
        for thought in chat.reasoning.iter().flat_map(|text| text.split_inclusive(' ')) {
            before.extend((0..choices).map(|i| other(i, json!({"reasoning_content": thought}), None)));
        }
        let source = match chat.text {
            Text::Ticks(n) => Source::Ticks(n),
            Text::Endless => Source::Endless,
            Text::Echo | Text::Fixed(_) => Source::List(asked.words(&chat.text).into()),
        };
        let mut after = VecDeque::new();
        if let Some(tool) = &chat.tool {
            for i in 0..choices {
                let function = json!({"name": tool.name, "arguments": ""});
                let call = json!({"index": 0, "id": format!("call_{i}"), "type": "function", "function": function});
                after.push_back(other(i, json!({"tool_calls": [call]}), None));
                let characters: Vec<char> = tool.arguments.chars().collect();
                for piece in characters.chunks(ARGUMENT_PIECE) {
                    let function = json!({"arguments": piece.iter().collect::<String>()});
                    after.push_back(other(i, json!({"tool_calls": [{"index": 0, "function": function}]}), None));
                }
            }
        }
        after.extend((0..choices).map(|i| other(i, json!({}), Some(finish_reason(chat)))));
        if asked.reports_usage(chat) {
            after.push_back(Piece::Usage(0));
        }
        if chat.done {
            after.push_back(Piece::Done);
        }
        let model = Value::from(&*asked.model);
        let prefix = format!(
            r#"data: {{"id":"{ID}","object":"chat.completion.chunk","created":{CREATED},"model":{model},"choices":["#
        );
        let line_end = if chat.crlf { "\r\n" } else { "\n" };
        let words = Words { source, choice: 0, sent: 0 };
        let function = chat.tool.as_ref().map(|tool| tool.name.clone()).unwrap_or_default();
        Self {
            prefix,
            line_end,
            comments: chat.comments,
            dialect: chat.dialect,
            function,
            choices,
            before,
            words,
            after,
        }
    }

    fn line(&self, out: &mut String, text: &str) {
        out.push_str(text);
        out.push_str(self.line_end);
    }
}

impl Stream for Events {
    type Piece = Piece;

    const ERROR_BODY: &'static str =
        r#"{"error":{"message":"The fake provider failed.","type":"server_error","param":null,"code":"overloaded"}}"#;

    fn next(&mut self) -> Option<Piece> {
        if let Some(piece) = self.before.pop_front().or_else(|| self.words.next(self.choices)) {
            return Some(piece);
        }
        match self.after.pop_front() {
            Some(Piece::Usage(_)) => Some(Piece::Usage(self.words.sent)),
            piece => piece,
        }
    }

    fn is_word(&self, piece: &Piece) -> bool {
        matches!(piece, Piece::Choice(_, Delta::Word(_) | Delta::Tick, _))
    }

    fn render(&self, piece: &Piece, out: &mut String) {
        if self.comments {
            self.line(out, ": keep-alive");
            self.line(out, "");
        }
        if self.dialect == Dialect::UnknownFields {
            self.line(out, "event: x-progress");
            self.line(out, r#"data: {"progress":0.5}"#);
            self.line(out, "");
        }
        let start = out.len();
        match piece {
            Piece::Done => out.push_str("data: [DONE]"),
            Piece::Usage(words) => {
                out.push_str(&self.prefix);
                let total = PROMPT_TOKENS + words;
                // Writing to a `String` cannot fail.
                let _ = write!(
                    out,
                    r#"],"usage":{{"prompt_tokens":{PROMPT_TOKENS},"completion_tokens":{words},"total_tokens":{total}}}}}"#
                );
            }
            Piece::Choice(index, delta, finish) => {
                out.push_str(&self.prefix);
                let finish = finish.as_deref().map_or(Value::Null, Value::from);
                let _ = match delta {
                    Delta::Other(delta) => {
                        write!(out, r#"{{"index":{index},"delta":{delta},"finish_reason":{finish}}}]}}"#)
                    }
                    Delta::Word(word) => {
                        let word = Value::from(word.as_str());
                        write!(out, r#"{{"index":{index},"delta":{{"content":{word}}},"finish_reason":null}}]}}"#)
                    }
                    Delta::Tick => {
                        let word = tick();
                        write!(out, r#"{{"index":{index},"delta":{{"content":"{word}"}},"finish_reason":null}}]}}"#)
                    }
                };
            }
        }
        if self.dialect != Dialect::Standard && *piece != Piece::Done {
            let id = if let Piece::Choice(index, ..) = piece { format!("call_{index}") } else { String::new() };
            let chunk = out.split_off(start);
            let chunk = chunk.strip_prefix("data: ").unwrap_or(&chunk);
            out.push_str("data: ");
            out.push_str(&self.dialect.apply(chunk, &self.function, &id));
        }
        self.line(out, "");
        self.line(out, "");
    }

    fn render_error(&self, out: &mut String) {
        out.push_str(r#"data: {"error":{"message":"The fake provider failed in the middle of its answer.","type":"server_error","param":null,"code":"overloaded"}}"#);
        self.line(out, "");
        self.line(out, "");
    }
}

// === impl Words ===

impl Words {
    fn next(&mut self, choices: u32) -> Option<Piece> {
        let choice = self.choice;
        let last_choice = choice + 1 == choices;
        let delta = match &mut self.source {
            Source::List(words) if last_choice => Delta::Word(words.pop_front()?),
            Source::List(words) => Delta::Word(words.front()?.clone()),
            Source::Ticks(0) => return None,
            Source::Ticks(left) => {
                *left -= u32::from(last_choice);
                Delta::Tick
            }
            Source::Endless => Delta::Word("more ".into()),
        };
        self.sent = self.sent.saturating_add(1);
        self.choice = if last_choice { 0 } else { choice + 1 };
        Some(Piece::Choice(choice, delta, None))
    }
}
