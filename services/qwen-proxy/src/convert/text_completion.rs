//! The older API `/v1/completions`: one prompt, one text. Processed like a chat, with a different response format.

use serde::Serialize;
use serde_json::Value;
use signalbox_core::openai::{Chunk, Usage};

use super::{
    answer::Completion,
    invalid::Invalid,
    message::{Message, Role},
    parsed_request::{Fields, MustCall, ParsedRequest, read},
};
use crate::tools::Tools;

/// Model of requests that do not specify one.
const DEFAULT_MODEL: &str = "qwen-max";

/// A `text_completion`: the complete text, or a chunk of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TextCompletion {
    id: String,
    object: &'static str,
    created: i64,
    model: String,
    choices: Vec<TextChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct TextChoice {
    text: String,
    index: u32,
    finish_reason: Option<String>,
    logprobs: Option<()>,
}

impl ParsedRequest {
    /// Parses the body of `POST /v1/completions`.
    ///
    /// # Errors
    /// Returns [`Invalid`] for an invalid request.
    pub fn parse_prompt(body: &[u8]) -> Result<Self, Invalid> {
        Self::read_prompt(body).map_err(|invalid| invalid.explained_by(body))
    }

    fn read_prompt(body: &[u8]) -> Result<Self, Invalid> {
        let fields = Fields::parse(body)?;
        let invalid = |code, message: &str| Invalid { message: message.into(), param: Some("prompt".into()), code };
        let prompt: Option<Value> = read(fields.prompt, "prompt", "must be a string")?;
        let text = match prompt {
            None => return Err(invalid("missing_parameter", "Missing required parameter: prompt")),
            Some(Value::String(text)) if text.is_empty() => {
                return Err(invalid("missing_parameter", "Missing required parameter: prompt"));
            }
            Some(Value::String(text)) => text,
            Some(_) => return Err(invalid("invalid_type", "prompt must be a string")),
        };
        Ok(Self {
            model: fields.model(DEFAULT_MODEL)?,
            stream: fields.stream()?,
            include_usage: fields.include_usage()?,
            messages: vec![Message { role: Role::User, text, calls: Vec::new(), answers: None }],
            tools: Tools::default(),
            must_call: MustCall::Nothing,
        })
    }
}

impl TextCompletion {
    /// Converts a chunk of the answer; `None` if it contains no text, for instance only thinking.
    #[must_use]
    pub fn from_chunk(chunk: Chunk) -> Option<Self> {
        let choices = chunk.choices.into_iter().filter_map(|choice| {
            let (text, finish_reason) = (choice.delta.content, choice.finish_reason);
            let says = text.is_some() || finish_reason.is_some();
            says.then(|| TextChoice {
                text: text.unwrap_or_default(),
                index: choice.index,
                finish_reason,
                logprobs: None,
            })
        });
        let choices: Vec<TextChoice> = choices.collect();
        let says = !choices.is_empty() || chunk.usage.is_some();
        says.then(|| Self::new(chunk.id, chunk.created, chunk.model, choices, chunk.usage))
    }

    /// Converts the complete answer.
    #[must_use]
    pub fn from_completion(Completion { completion, .. }: Completion) -> Self {
        let choices = completion.choices.into_iter().map(|choice| TextChoice {
            text: choice.message.content.unwrap_or_default(),
            index: choice.index,
            finish_reason: choice.finish_reason,
            logprobs: None,
        });
        Self::new(completion.id, completion.created, completion.model, choices.collect(), completion.usage)
    }

    fn new(id: String, created: i64, model: String, choices: Vec<TextChoice>, usage: Option<Usage>) -> Self {
        Self { id, object: "text_completion", created, model, choices, usage }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        convert::AnswerBuilder,
        qwen::event::{Event, Phase},
    };

    #[test]
    fn a_prompt_becomes_a_user_message() {
        let parsed = ParsedRequest::parse_prompt(br#"{"prompt":"Once","stream":true,"max_tokens":16}"#).unwrap();
        assert_eq!((parsed.model.as_str(), parsed.stream), ("qwen-max", true));
        assert_eq!(parsed.opening_prompt().user, "Once");
        assert!(parsed.is_first_turn() && parsed.tools.is_empty());
    }

    #[test]
    fn a_prompt_is_checked() {
        for (body, code, message) in [
            ("{}", "missing_parameter", "Missing required parameter: prompt"),
            (r#"{"prompt":null}"#, "missing_parameter", "Missing required parameter: prompt"),
            (r#"{"prompt":""}"#, "missing_parameter", "Missing required parameter: prompt"),
            (r#"{"prompt":7}"#, "invalid_type", "prompt must be a string"),
            (r#"{"prompt":["a","b"]}"#, "invalid_type", "prompt must be a string"),
        ] {
            let error = ParsedRequest::parse_prompt(body.as_bytes()).unwrap_err();
            assert_eq!(
                (error.param.as_deref(), error.code, error.to_string().as_str()),
                (Some("prompt"), code, message)
            );
        }
        assert_eq!(ParsedRequest::parse_prompt(b"nonsense").unwrap_err().code, "invalid_json");
    }

    #[test]
    fn an_answer_has_the_text_completion_shape() {
        let mut answer = AnswerBuilder::new("cmpl-1".into(), 7, "m".into(), &Tools::default());
        let mut chunks = Vec::new();
        let usage = Some(Usage::new(1, 2));
        for (text, phase) in [("hm", Phase::Thinking), ("a", Phase::Answer), (" b", Phase::Answer)] {
            answer.push(&Event::Delta { text: text.into(), phase, usage }, &mut chunks);
        }
        answer.finish(&mut chunks);
        let stream: Vec<_> = chunks.into_iter().filter_map(TextCompletion::from_chunk).collect();
        let choice = |text: &str, finish_reason: Option<&str>| json!([{"text": text, "index": 0, "finish_reason": finish_reason, "logprobs": null}]);
        let base = json!({"id": "cmpl-1", "object": "text_completion", "created": 7, "model": "m"});
        let framed = |choices, usage: Option<Usage>| {
            let mut framed = base.clone();
            framed["choices"] = choices;
            if let Some(usage) = usage {
                framed["usage"] = json!(usage);
            }
            framed
        };
        assert_eq!(
            serde_json::to_value(stream).unwrap(),
            json!([
                framed(choice("a", None), None),
                framed(choice(" b", None), None),
                framed(choice("", Some("stop")), None),
                framed(json!([]), usage),
            ])
        );
        assert_eq!(
            serde_json::to_value(TextCompletion::from_completion(answer.into_completion())).unwrap(),
            framed(choice("a b", Some("stop")), usage)
        );
    }
}
