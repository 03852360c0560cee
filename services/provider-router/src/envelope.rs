//! Reads the few fields of a request body that routing needs, without building a tree of the document.

mod extension;
mod params;
mod query;

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;
use signalbox_core::{
    Api,
    json::{self, Reader},
    overrides::EXTENSION,
    provider_type::ApiNeeds,
};

pub use self::{
    extension::without_extension,
    params::with_params,
    query::{add_query, forwarded_query},
};
use crate::{
    direct::DirectApi,
    response_ids::{refers_to_log, request_of},
};

/// Fields of a request for an answer, and the position of its model name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// API of the client.
    pub api: Api,
    /// Whether the body is one of Responses, sent to the path of Chat Completions: Cursor does this.
    pub is_of_responses: bool,
    /// `previous_response_id` of Responses.
    pub previous: Option<String>,
    /// Whether it refers to items of Responses that only the request log has.
    pub refers_to_log: bool,
    /// The features of an API that it needs.
    pub needs: ApiNeeds,
    /// `model`, unescaped; `None` if it is absent, null or empty.
    pub model: Option<String>,
    /// `stream`; false if it is absent or null.
    pub stream: bool,
    /// `stream_options.include_usage`: whether the stream's last chunk must contain the usage.
    pub include_usage: bool,
    /// `n`, the number of answers; 1 if it is absent or no positive number.
    pub choices: u32,
    /// Number of prompts of Completions, each of which gets that many answers; else 1.
    prompts: u32,
    /// The API of a request that is not translated; its errors have the form of `api`.
    pub direct: Option<DirectApi>,
    /// Query for a provider of the same API; not part of the body.
    pub query: Option<String>,
    /// Byte range of the value of the extension `signalbox` in the body.
    pub extension_at: Option<Range<usize>>,
    /// Byte range of the value of `model` in the body: a string with its quotes, or `null`.
    model_at: Option<Range<usize>>,
    /// Byte range of the value of `stream_options` in the body: an object, or `null`.
    options_at: Option<Range<usize>>,
    /// Byte position right after the opening brace, where a first field can be inserted.
    insert_at: usize,
}

/// Reason why a body is not a request of the API.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The body is not a JSON object, or one of the fields is repeated or has the wrong type.
    #[error("the request body is not valid JSON for {}: {reason}", name(*.api))]
    Malformed {
        /// API of the client.
        api: Api,
        /// Message for the client.
        reason: String,
    },
    /// The body of a request that is not translated is not a JSON object, or repeats a field.
    #[error("the request body is not valid JSON for /v1{}: {reason}", .direct.path())]
    MalformedDirect {
        /// The API.
        direct: DirectApi,
        /// Message for the client.
        reason: String,
    },
    /// `messages` is absent or null.
    #[error("`messages` is missing: send an array with at least one message")]
    MissingMessages,
    /// `messages` is not an array, or is empty.
    #[error("`messages` must be an array with at least one message")]
    InvalidMessages,
    /// A request of an API that is not translated has no subject.
    #[error("`{field}` is missing: `/v1{}` needs it", .direct.path())]
    MissingSubject {
        /// The API.
        direct: DirectApi,
        /// Name of the field.
        field: &'static str,
    },
    /// A request of Responses has neither `input` nor anything that stands for it.
    #[error("`input` is missing: send a text or an array of items")]
    MissingInput,
}

/// Returns the words for a request in error messages.
const fn name(api: Api) -> &'static str {
    match api {
        Api::Chat => "a chat completion",
        Api::Messages => "a message",
        Api::Responses => "a response",
    }
}

/// Raw values of the fields, as written in the body, including `null`.
#[derive(Default)]
struct Fields<'a> {
    model: Option<&'a [u8]>,
    stream: Option<&'a [u8]>,
    stream_options: Option<&'a [u8]>,
    messages: Option<&'a [u8]>,
    choices: Option<&'a [u8]>,
    /// The extension of this gateway.
    extension: Option<&'a [u8]>,
    /// `input` of Responses.
    input: Option<&'a [u8]>,
    /// `prompt` or `conversation` of Responses, which may stand in for the input.
    stands_in: Option<&'a [u8]>,
    /// `previous_response_id` of Responses, which may, too.
    previous: Option<&'a [u8]>,
    needs: ApiNeeds,
}

const NULL: &[u8] = b"null";

impl Envelope {
    /// Reads the fields of a request of `api`.
    ///
    /// # Errors
    /// Returns an [`EnvelopeError`] if the body is not a request of that API.
    pub fn parse(api: Api, body: &[u8]) -> Result<Self, EnvelopeError> {
        let fields = Fields::find(body).map_err(|reason| EnvelopeError::Malformed { api, reason })?;
        let has = |field: Option<&[u8]>| field.is_some_and(|raw| raw != NULL);
        let is_of_responses = api == Api::Chat && !has(fields.messages) && has(fields.input);
        if api == Api::Responses {
            if !has(fields.input) && !has(fields.stands_in) && !has(fields.previous) {
                return Err(EnvelopeError::MissingInput);
            }
        } else if !is_of_responses {
            let messages = fields.messages.filter(|raw| *raw != NULL).ok_or(EnvelopeError::MissingMessages)?;
            let inside = messages.strip_prefix(b"[").ok_or(EnvelopeError::InvalidMessages)?;
            if inside.trim_ascii_start().starts_with(b"]") {
                return Err(EnvelopeError::InvalidMessages);
            }
        }
        Self::of_fields(api, is_of_responses, &fields, body)
    }

    /// Reads the fields of a request that is not translated.
    ///
    /// # Errors
    /// Returns an [`EnvelopeError`] if the body is not a request of that API.
    pub fn parse_direct(direct: DirectApi, body: &[u8]) -> Result<Self, EnvelopeError> {
        let api = direct.companion();
        let fields = Fields::find(body).map_err(|reason| EnvelopeError::MalformedDirect { direct, reason })?;
        let (mut has_subject, mut prompts) = (false, 1);
        // The body has been read as JSON before.
        let _ = Reader::new(body).object(|name, value| {
            let raw = value.raw()?;
            has_subject |= raw != NULL && direct.subjects().contains(&name);
            if name == "prompt" && direct == DirectApi::Completions {
                prompts = count_prompts(raw);
            }
            Some(())
        });
        match direct.subjects().first() {
            Some(field) if !has_subject => Err(EnvelopeError::MissingSubject { direct, field }),
            _ => {
                let envelope = Self::of_fields(api, false, &fields, body)?;
                Ok(Self { direct: Some(direct), previous: None, prompts, ..envelope })
            }
        }
    }

    fn of_fields(api: Api, is_of_responses: bool, fields: &Fields<'_>, body: &[u8]) -> Result<Self, EnvelopeError> {
        let wrong = |reason: &str| EnvelopeError::Malformed { api, reason: reason.into() };
        let model = match fields.model {
            None | Some(NULL) => None,
            Some(raw) => Some(Reader::new(raw).string().ok_or_else(|| {
                let is_text = raw.starts_with(b"\"");
                wrong(if is_text { "`model` contains an unpaired surrogate" } else { "`model` must be a string" })
            })?),
        };
        let stream = flag(fields.stream).ok_or_else(|| wrong("`stream` must be true or false"))?;
        let include_usage = include_usage(fields.stream_options)
            .ok_or_else(|| wrong("`stream_options` must be an object whose `include_usage` is true or false"))?;
        let place = |raw: &[u8]| {
            let start = raw.as_ptr() as usize - body.as_ptr() as usize;
            start..start + raw.len()
        };
        let (model_at, options_at) = (fields.model.map(place), fields.stream_options.map(place));
        let extension_at = fields.extension.map(place);
        let insert_at = memchr::memchr(b'{', body).map_or(0, |at| at + 1);
        let model = model.filter(|name| !name.is_empty()).map(Cow::into_owned);
        // A value that is no number is left to the provider to refuse.
        let choices = fields.choices.and_then(|raw| std::str::from_utf8(raw).ok()?.parse().ok()).unwrap_or(1).max(1);
        let previous = fields.previous.filter(|_| api == Api::Responses).and_then(|raw| Reader::new(raw).string());
        let previous = previous.filter(|id| !id.is_empty()).map(Cow::into_owned);
        Ok(Self {
            api,
            is_of_responses,
            previous,
            refers_to_log: api == Api::Responses && refers_to_log(body),
            needs: fields.needs,
            model,
            stream,
            include_usage,
            choices,
            prompts: 1,
            direct: None,
            query: None,
            extension_at,
            model_at,
            options_at,
            insert_at,
        })
    }

    /// Returns the number of answers that the request asks for.
    #[must_use]
    pub const fn answers(&self) -> u32 {
        self.choices.saturating_mul(self.prompts)
    }

    /// Returns whether the request is translated for a provider that speaks `api`: because that is another one, or
    /// because the body is not of the API of its path, or continues an answer that only the request log has.
    #[must_use]
    pub fn is_translated(&self, api: Api) -> bool {
        let continues_log = self.refers_to_log || self.previous.as_deref().and_then(request_of).is_some();
        self.direct.is_none() && (api != self.api || self.is_of_responses || continues_log)
    }

    /// Returns the body with `model` as its model name; all other bytes stay identical.
    #[must_use]
    pub fn with_model(&self, body: &Bytes, model: &str) -> Bytes {
        self.for_provider(body, Some(model), false)
    }

    /// Returns the body with `model` as its model name, if there is one, and with a request for the token counts of the
    /// stream, if the provider `counts_streams`; all other bytes stay identical.
    #[must_use]
    pub fn for_provider(&self, body: &Bytes, model: Option<&str>, counts_streams: bool) -> Bytes {
        let model = model.filter(|model| self.model.as_deref() != Some(*model)).map(|model| {
            // Serialising a string cannot fail.
            let name = serde_json::to_string(model).unwrap_or_default();
            match &self.model_at {
                Some(at) => (at.clone(), name),
                // The object is not empty, because it has messages or input, so a comma may follow.
                None => (self.insert_at..self.insert_at, format!("\"model\":{name},")),
            }
        });
        let options = counts_streams.then(|| self.options_with_usage(body));
        match (model, options) {
            (None, None) => body.clone(),
            (Some((at, text)), None) | (None, Some((at, text))) => {
                [&body[..at.start], text.as_bytes(), &body[at.end..]].concat().into()
            }
            (Some(one), Some(other)) => {
                let (first, second) = if one.0.start <= other.0.start { (one, other) } else { (other, one) };
                let between = &body[first.0.end..second.0.start];
                let rest = &body[second.0.end..];
                [&body[..first.0.start], first.1.as_bytes(), between, second.1.as_bytes(), rest].concat().into()
            }
        }
    }

    /// Returns the place of `stream_options`, and the text for it that asks for the token counts.
    fn options_with_usage(&self, body: &[u8]) -> (Range<usize>, String) {
        const ASKED: &str = "\"include_usage\":true";
        let Some(at) = &self.options_at else {
            return (self.insert_at..self.insert_at, format!("\"stream_options\":{{{ASKED}}},"));
        };
        let mut options = format!("{{{ASKED}");
        // Null has no fields.
        let _ = Reader::new(&body[at.clone()]).object(|name, value| {
            let raw = value.raw()?;
            if name != "include_usage" {
                let name = serde_json::to_string(name).unwrap_or_default();
                options.push_str(&format!(",{name}:{}", String::from_utf8_lossy(raw)));
            }
            Some(())
        });
        options.push('}');
        (at.clone(), options)
    }
}

/// Removes the UTF-8 byte order mark that some editors and Windows programs write. JSON does not allow it, and
/// providers refuse it.
#[must_use]
pub fn without_bom(body: Bytes) -> Bytes {
    if body.starts_with(b"\xEF\xBB\xBF") { body.slice(3..) } else { body }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// Finds the fields in the body, which must be a valid JSON object with each of them at most once. Fails with a
    /// message for the client.
    fn find(body: &'a [u8]) -> Result<Self, String> {
        simdutf8::compat::from_utf8(body).map_err(|error| error.to_string())?;
        let (mut reader, mut fields, mut twice) = (Reader::new(body), Self::default(), None);
        let mut seen = [false; 5];
        let read = reader.object(|name, value| {
            let (field, seen) = match name {
                "model" => (&mut fields.model, &mut seen[0]),
                "stream" => (&mut fields.stream, &mut seen[1]),
                "stream_options" => (&mut fields.stream_options, &mut seen[2]),
                "messages" => (&mut fields.messages, &mut seen[3]),
                EXTENSION => (&mut fields.extension, &mut seen[4]),
                "n" => {
                    fields.choices = Some(value.raw()?);
                    return Some(());
                }
                "tools" | "functions" => {
                    let raw = value.raw()?;
                    let is_list = raw.strip_prefix(b"[").is_some_and(|list| list.trim_ascii_start() != b"]");
                    fields.needs.tools |= is_list;
                    return Some(());
                }
                "reasoning_effort" => {
                    fields.needs.no_effort = value.raw()? == b"\"none\"";
                    return Some(());
                }
                "input" | "prompt" | "previous_response_id" | "conversation" => {
                    let raw = value.raw()?;
                    let field = match name {
                        "input" => &mut fields.input,
                        "previous_response_id" => &mut fields.previous,
                        _ => &mut fields.stands_in,
                    };
                    *field = Some(raw).filter(|raw| *raw != NULL).or(*field);
                    return Some(());
                }
                _ => return value.skip(),
            };
            if std::mem::replace(seen, true) {
                twice = Some(format!("`{name}` appears twice"));
            }
            *field = Some(value.raw()?);
            Some(())
        });
        match (read.and_then(|()| reader.end()), twice) {
            (None, _) => Err(json::parse_error(body)),
            (_, Some(twice)) => Err(twice),
            (Some(()), None) => Ok(fields),
        }
    }
}

/// Returns the number of prompts in `prompt` of Completions: an array of texts or of lists of tokens has several, and
/// an array of numbers is one.
fn count_prompts(raw: &[u8]) -> u32 {
    let (mut reader, mut count) = (Reader::new(raw), 0_u32);
    let read = reader.array(|prompt| {
        count = count.saturating_add(u32::from(matches!(prompt.peek()?, b'"' | b'[')));
        prompt.skip()
    });
    read.map_or(1, |()| count.max(1))
}

/// Parses `true` or `false`. Absent and null are false; returns `None` for any other value.
fn flag(raw: Option<&[u8]>) -> Option<bool> {
    match raw {
        None | Some(b"false" | b"null") => Some(false),
        Some(b"true") => Some(true),
        Some(_) => None,
    }
}

fn include_usage(stream_options: Option<&[u8]>) -> Option<bool> {
    let Some(raw) = stream_options.filter(|raw| *raw != NULL) else { return Some(false) };
    let mut include_usage = None;
    Reader::new(raw).object(|name, value| {
        let raw = value.raw()?;
        if name == "include_usage" {
            include_usage = Some(raw);
        }
        Some(())
    })?;
    flag(include_usage)
}

#[cfg(test)]
mod tests;
