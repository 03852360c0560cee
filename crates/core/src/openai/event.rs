//! Reads the events of a stream, and whole answers, field by field.
//!
//! Providers deviate from OpenAI's types in every field: `null` or nothing in place of a text, floats and strings for
//! counts, lists of parts for texts. A field of an unexpected type is dropped, but never the whole event. The relay,
//! the classification of an attempt and the log all parse events with this module, so that they agree on their meaning.

mod joined;

use std::borrow::Cow;

use super::{
    Usage, number::whole_number, provider_error::ProviderError, provider_error::of_field,
    provider_error::provider_error,
};
use crate::json::{Reader, Text};
pub use joined::joined_events;

/// The meaning of the data of an event.
#[derive(Clone, Debug)]
pub enum StreamEvent<'a> {
    /// `[DONE]`.
    Done,
    /// A piece of an answer, or a whole one.
    Chunk(ChunkView<'a>),
    /// The provider failed.
    Error(ProviderError),
    /// Not JSON, or not of a type that OpenAI defines.
    Unknown,
}

/// The name and the JSON value of a field that is not interpreted here.
pub type Other<'a> = (Cow<'a, str>, &'a [u8]);

/// A chunk of a stream or a whole answer. Every field may be missing.
#[derive(Clone, Debug, Default)]
pub struct ChunkView<'a> {
    /// The provider's id of the answer.
    pub id: Option<Text<'a>>,
    /// The model that answers.
    pub model: Option<Text<'a>>,
    /// Unix time in seconds.
    pub created: Option<i64>,
    /// The pieces of the `n` answers; empty in a chunk that only carries the usage.
    pub choices: Vec<ChoiceView<'a>>,
    /// Token counts with their details: a JSON object.
    pub usage: Option<&'a [u8]>,
    /// An error reported beside the choices, as JSON. `null` counts as no error.
    pub error: Option<&'a [u8]>,
    /// All other fields.
    pub others: Vec<Other<'a>>,
    /// Whether a field has an unexpected type and its value is not kept in any other field.
    pub is_odd: bool,
}

/// The next piece of one of the `n` answers.
#[derive(Clone, Debug, Default)]
pub struct ChoiceView<'a> {
    /// 0 to n-1.
    pub index: Option<u32>,
    /// The content that a chunk of a stream adds.
    pub delta: DeltaView<'a>,
    /// The message of a whole answer.
    pub message: Option<Box<DeltaView<'a>>>,
    /// The finish reason; never empty.
    pub finish_reason: Option<Text<'a>>,
    /// An error of this choice, as JSON.
    pub error: Option<&'a [u8]>,
    /// All other fields, including `logprobs`.
    pub others: Vec<Other<'a>>,
}

/// The fields of a message, or the additions of a chunk to them.
#[derive(Clone, Debug, Default)]
pub struct DeltaView<'a> {
    /// `assistant`.
    pub role: Option<Text<'a>>,
    /// Text.
    pub content: Option<Text<'a>>,
    /// Content that has parts of other kinds too, as JSON: an array or a single part.
    pub parts: Option<&'a [u8]>,
    /// Thinking, under its older name.
    pub reasoning_content: Option<Text<'a>>,
    /// Thinking, under its newer name; some providers send both.
    pub reasoning: Option<Text<'a>>,
    /// The text of a refusal.
    pub refusal: Option<Text<'a>>,
    /// Tool calls.
    pub tool_calls: Vec<ToolCallView<'a>>,
    /// The older form of a tool call.
    pub function_call: Option<FunctionView<'a>>,
    /// All other fields: audio, images, annotations, signatures.
    pub others: Vec<Other<'a>>,
}

/// A tool call, or a piece of one.
#[derive(Clone, Debug, Default)]
pub struct ToolCallView<'a> {
    /// The index of the parallel call.
    pub index: Option<i64>,
    /// Its id; never empty.
    pub id: Option<Text<'a>>,
    /// `function`; never empty.
    pub kind: Option<Text<'a>>,
    /// The called function.
    pub function: FunctionView<'a>,
    /// All other fields: signatures, calls of other kinds.
    pub others: Vec<Other<'a>>,
}

/// The function of a call.
#[derive(Clone, Debug, Default)]
pub struct FunctionView<'a> {
    /// Its name; never empty.
    pub name: Option<Text<'a>>,
    /// The arguments, or a piece of their JSON text.
    pub arguments: Option<Arguments<'a>>,
    /// All other fields.
    pub others: Vec<Other<'a>>,
}

/// Arguments of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arguments<'a> {
    /// JSON within a string, or a piece of it.
    Text(Text<'a>),
    /// A JSON value in place of a string.
    Json(&'a [u8]),
}

/// Parses the data of one event, or a whole answer.
#[must_use]
pub fn read_event(data: &[u8]) -> StreamEvent<'_> {
    let data = data.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(data).trim_ascii();
    if data == b"[DONE]" {
        return StreamEvent::Done;
    }
    let Some(chunk) = ChunkView::read(data) else {
        return provider_error(data).map_or(StreamEvent::Unknown, StreamEvent::Error);
    };
    match chunk.failure(data) {
        Some(error) => StreamEvent::Error(error),
        None => StreamEvent::Chunk(chunk),
    }
}

/// Returns whether a finish reason reports a failure of the provider.
#[must_use]
pub fn is_failure(finish_reason: &str) -> bool {
    matches!(finish_reason, "error" | "network_error" | "insufficient_system_resource")
}

/// Returns the message of a failure that only the finish reason reports.
pub(super) fn failing_reason(reason: &str) -> Option<String> {
    is_failure(reason).then(|| format!("the provider ended its answer with the finish reason {reason:?}"))
}

// === impl ChunkView ===

impl<'a> ChunkView<'a> {
    /// Reads a chunk or a whole answer: an object with `choices` or `usage`. Returns `None` for everything else.
    #[must_use]
    pub fn read(json: &'a [u8]) -> Option<Self> {
        let (mut chunk, mut is_chunk) = (Self::default(), false);
        let mut reader = Reader::lenient(json);
        reader.fields(|name, value| {
            let first = value.peek()?;
            match (&*name, first) {
                ("choices", _) => {
                    is_chunk = true;
                    chunk.choices.clear();
                    match first {
                        b'[' => value.array(|choice| {
                            match choice.peek()? {
                                b'{' => chunk.choices.push(ChoiceView::read(choice, &mut chunk.is_odd)?),
                                _ => chunk.is_odd |= choice.raw()? != b"null",
                            }
                            Some(())
                        })?,
                        _ => chunk.is_odd |= value.raw()? != b"null",
                    }
                }
                ("id", b'"') => chunk.id = Some(value.text()?),
                ("model", b'"') => chunk.model = Some(value.text()?),
                ("created", _) => chunk.created = whole_number(value.raw()?),
                ("usage", b'{') => {
                    is_chunk = true;
                    chunk.usage = Some(value.raw()?);
                }
                ("error", _) => chunk.error = Some(value.raw()?),
                ("object" | "id" | "model" | "usage", _) => value.skip()?,
                _ => push(&mut chunk.others, name, value)?,
            }
            Some(())
        })?;
        reader.end()?;
        is_chunk.then_some(chunk)
    }

    /// Returns the token counts.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage_json().and_then(Usage::read)
    }

    /// Returns the JSON object of the token counts with their details, wherever the provider puts it.
    #[must_use]
    pub fn usage_json(&self) -> Option<&'a [u8]> {
        let of_choice = || {
            let mut others = self.choices.iter().flat_map(|choice| &choice.others);
            others.find(|(name, value)| name == "usage" && value.starts_with(b"{")).map(|(_, value)| *value)
        };
        let of_groq = || {
            let (_, value) = self.others.iter().find(|(name, _)| name == "x_groq")?;
            let mut usage = None;
            Reader::lenient(value).fields(|name, value| {
                let raw = value.raw()?;
                if name == "usage" && raw.starts_with(b"{") {
                    usage = Some(raw);
                }
                Some(())
            })?;
            usage
        };
        self.usage.or_else(of_choice).or_else(of_groq)
    }

    /// Returns the finish reason of the first choice that has one.
    #[must_use]
    pub fn finish_reason(&self) -> Option<Cow<'a, str>> {
        self.choices.iter().find_map(|choice| choice.finish_reason).map(|reason| reason.to_str())
    }

    /// Returns the error reported for all choices, or else for one of them.
    #[must_use]
    pub fn reported(&self) -> Option<ProviderError> {
        self.error.and_then(of_field).or_else(|| self.choices.iter().find_map(|choice| choice.error.and_then(of_field)))
    }

    /// Returns the message of a failure that is reported beside the choices or by a finish reason.
    #[must_use]
    pub fn failed(&self) -> Option<String> {
        let of_reason = || {
            let mut reasons = self.choices.iter().filter_map(|choice| choice.finish_reason);
            reasons.find_map(|reason| failing_reason(&reason.to_str()))
        };
        self.reported().map(|error| error.message).or_else(of_reason)
    }

    /// Returns the error if the event counts as an error rather than as a chunk; `json` is the text it was read from.
    fn failure(&self, json: &[u8]) -> Option<ProviderError> {
        if self.choices.is_empty() {
            return provider_error(json);
        }
        let has_ended = self.finish_reason().is_some_and(|reason| !is_failure(&reason));
        if has_ended && self.error.is_some() {
            return None;
        }
        let base = || self.others.iter().any(|(name, _)| name == "base_resp").then(|| provider_error(json)).flatten();
        self.reported().or_else(base)
    }
}

// === impl ChoiceView ===

impl<'a> ChoiceView<'a> {
    fn read(reader: &mut Reader<'a>, is_odd: &mut bool) -> Option<Self> {
        let mut choice = Self::default();
        let mut text = None;
        reader.fields(|name, value| {
            match (&*name, value.peek()?) {
                ("index", _) => {
                    choice.index = whole_number(value.raw()?).and_then(|index| u32::try_from(index).ok());
                }
                ("delta", b'{') => choice.delta = DeltaView::read(value, is_odd)?,
                ("message", b'{') => choice.message = Some(Box::new(DeltaView::read(value, is_odd)?)),
                ("text", b'"') => text = Some(value.text()?),
                ("finish_reason", b'"') => {
                    let reason = value.text()?;
                    choice.finish_reason = Some(reason).filter(|reason| !matches!(&*reason.to_str(), "" | "null"));
                }
                ("delta" | "message" | "finish_reason", _) => *is_odd |= value.raw()? != b"null",
                ("error", _) => choice.error = Some(value.raw()?),
                _ => push(&mut choice.others, name, value)?,
            }
            Some(())
        })?;
        choice.delta.content = choice.delta.content.or(text);
        Some(choice)
    }
}

// === impl DeltaView ===

impl<'a> DeltaView<'a> {
    /// Returns whether the message begins or goes on with this piece.
    pub(super) fn adds(&self) -> bool {
        let texts = [self.role, self.content, self.reasoning_content, self.reasoning, self.refusal];
        texts.iter().flatten().any(|text| !text.is_empty())
            || self.parts.is_some()
            || self.function_call.is_some()
            || !self.tool_calls.is_empty()
    }

    fn read(reader: &mut Reader<'a>, is_odd: &mut bool) -> Option<Self> {
        let mut delta = Self::default();
        reader.fields(|name, value| {
            match (&*name, value.peek()?) {
                ("role", b'"') => delta.role = Some(value.text()?),
                ("content", b'"') => delta.content = Some(value.text()?),
                ("content", b'[' | b'{') => delta.parts = Some(value.raw()?),
                ("reasoning_content", b'"') => delta.reasoning_content = Some(value.text()?),
                ("reasoning", b'"') => delta.reasoning = Some(value.text()?),
                ("refusal", b'"') => delta.refusal = Some(value.text()?),
                ("function_call", b'{') => delta.function_call = Some(FunctionView::read(value)?),
                ("tool_calls", b'[') => {
                    delta.tool_calls.clear();
                    value.array(|call| {
                        match call.peek()? {
                            b'{' => delta.tool_calls.push(ToolCallView::read(call, is_odd)?),
                            _ => *is_odd |= call.raw()? != b"null",
                        }
                        Some(())
                    })?;
                }
                ("tool_calls", b'{') => delta.tool_calls = vec![ToolCallView::read(value, is_odd)?],
                (
                    "role" | "content" | "reasoning_content" | "reasoning" | "refusal" | "function_call" | "tool_calls",
                    _,
                ) => *is_odd |= value.raw()? != b"null",
                _ => push(&mut delta.others, name, value)?,
            }
            Some(())
        })?;
        Some(delta)
    }
}

// === impl ToolCallView ===

impl<'a> ToolCallView<'a> {
    fn read(reader: &mut Reader<'a>, is_odd: &mut bool) -> Option<Self> {
        let mut call = Self::default();
        let mut flat = FunctionView::default();
        reader.fields(|name, value| {
            match (&*name, value.peek()?) {
                ("index", _) => call.index = whole_number(value.raw()?),
                ("id", b'"') => call.id = Some(value.text()?).filter(|id| !id.is_empty()),
                ("type", b'"') => call.kind = Some(value.text()?).filter(|kind| !kind.is_empty()),
                ("function", b'{') => call.function = FunctionView::read(value)?,
                ("name" | "arguments", _) => flat.field(name, value)?,
                ("id" | "type" | "function", _) => *is_odd |= value.raw()? != b"null",
                _ => push(&mut call.others, name, value)?,
            }
            Some(())
        })?;
        call.function.name = call.function.name.or(flat.name);
        call.function.arguments = call.function.arguments.or(flat.arguments);
        Some(call)
    }
}

// === impl FunctionView ===

impl<'a> FunctionView<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let mut function = Self::default();
        reader.fields(|name, value| function.field(name, value))?;
        Some(function)
    }

    fn field(&mut self, name: Cow<'a, str>, value: &mut Reader<'a>) -> Option<()> {
        match (&*name, value.peek()?) {
            ("name", b'"') => self.name = Some(value.text()?).filter(|name| !name.is_empty()),
            ("arguments", b'"') => self.arguments = Some(Arguments::Text(value.text()?)),
            ("arguments", b'n') => value.skip()?,
            ("arguments", _) => self.arguments = Some(Arguments::Json(value.raw()?)),
            _ => push(&mut self.others, name, value)?,
        }
        Some(())
    }
}

/// Adds a field to `others` unless it is `null`.
fn push<'a>(others: &mut Vec<Other<'a>>, name: Cow<'a, str>, value: &mut Reader<'a>) -> Option<()> {
    let raw = value.raw()?;
    if raw != b"null" {
        others.push((name, raw));
    }
    Some(())
}

#[cfg(test)]
mod tests;
