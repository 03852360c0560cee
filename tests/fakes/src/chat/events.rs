//! The events of a streamed answer, generated one at a time.

use std::{collections::VecDeque, fmt::Write as _};

use serde_json::{Value, json};

use super::{Asked, CREATED, ID, usage};
use crate::{
    plan::{Word, Words, argument_pieces},
    play::Stream,
    script::{Chat, Dialect, FaultKind, Tokens},
};

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
    Word(Word),
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
    tokens: Tokens,
    before: VecDeque<Piece>,
    words: Words,
    after: VecDeque<Piece>,
}

// === impl Events ===

impl Events {
    pub(crate) fn new(asked: &Asked<'_>, chat: &Chat) -> Self {
        let choices = asked.choices(chat);
        let plan = asked.plan(chat);
        let other =
            |index, delta, finish: Option<&str>| Piece::Choice(index, Delta::Other(delta), finish.map(str::to_owned));
        let mut before: VecDeque<Piece> =
            (0..choices).map(|i| other(i, json!({"role": "assistant", "content": ""}), None)).collect();
        for thought in plan.thoughts() {
            before.extend((0..choices).map(|i| other(i, json!({"reasoning_content": thought}), None)));
        }
        let mut after = VecDeque::new();
        for i in 0..choices {
            for (index, tool) in plan.tools.iter().enumerate() {
                let function = json!({"name": tool.name, "arguments": ""});
                let id = call_id(i, choices, plan.results + index);
                let call = json!({"index": index, "id": id, "type": "function", "function": function});
                after.push_back(other(i, json!({"tool_calls": [call]}), None));
                for piece in argument_pieces(&tool.arguments) {
                    let function = json!({"arguments": piece});
                    after.push_back(other(i, json!({"tool_calls": [{"index": index, "function": function}]}), None));
                }
            }
        }
        after.extend((0..choices).map(|i| other(i, json!({}), Some(&plan.finish))));
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
        let function = plan.tools.first().map(|tool| tool.name.clone()).unwrap_or_default();
        Self {
            prefix,
            line_end,
            comments: chat.comments,
            dialect: chat.dialect,
            function,
            tokens: plan.tokens,
            before,
            words: plan.words,
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
        if let Some(piece) = self.before.pop_front() {
            return Some(piece);
        }
        if let Some((choice, word)) = self.words.next() {
            return Some(Piece::Choice(choice, Delta::Word(word), None));
        }
        match self.after.pop_front() {
            Some(Piece::Usage(_)) => Some(Piece::Usage(self.words.sent)),
            piece => piece,
        }
    }

    fn is_word(&self, piece: &Piece) -> bool {
        matches!(piece, Piece::Choice(_, Delta::Word(_), _))
    }

    fn render(&mut self, piece: &Piece, out: &mut String) {
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
                // Writing to a `String` cannot fail.
                let _ = write!(out, r#"],"usage":{}}}"#, usage(&self.tokens, *words));
            }
            Piece::Choice(index, delta, finish) => {
                out.push_str(&self.prefix);
                let finish = finish.as_deref().map_or(Value::Null, Value::from);
                let _ = match delta {
                    Delta::Other(delta) => {
                        write!(out, r#"{{"index":{index},"delta":{delta},"finish_reason":{finish}}}]}}"#)
                    }
                    Delta::Word(word) => {
                        let word = Value::from(word.text());
                        write!(out, r#"{{"index":{index},"delta":{{"content":{word}}},"finish_reason":null}}]}}"#)
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

    fn render_error(&mut self, _: FaultKind, out: &mut String) {
        out.push_str(r#"data: {"error":{"message":"The fake provider failed in the middle of its answer.","type":"server_error","param":null,"code":"overloaded"}}"#);
        self.line(out, "");
        self.line(out, "");
    }
}

/// Returns the id of the function call number `number` of the conversation in a choice.
pub(super) fn call_id(choice: u32, choices: u32, number: usize) -> String {
    format!("call_{}", choice as usize + choices as usize * number)
}
