//! Whole answers of Responses.

use signalbox_core::json::repaired;
use signalbox_core::typed::Started;

use super::Decoder;
use super::item::{id_prefix, write_item};
use crate::Api;
use crate::decoder::foreign_api;
use crate::error_body::response_code;
use crate::field::Raw;
use crate::hub::{Answer, Block, Failure, Finish, FinishReason, Fold, Usage};
use crate::loss::Losses;
use crate::out::{self, Object};

/// Reads a whole answer.
pub(crate) fn read_answer(body: &[u8]) -> Result<Answer, Failure> {
    let json = repaired(body).ok_or_else(|| Failure::foreign("the body is not JSON"))?;
    let value = Raw::document(&json);
    let fields = value.fields().ok_or_else(|| Failure::foreign("the body is not an object"))?;
    if let Some(what) = foreign_api(json.as_bytes(), Api::Responses) {
        return Err(Failure::foreign(&what));
    }
    if fields.get("error").is_some() || fields.str("type").as_deref() == Some("error") {
        return Err(Failure::read(None, json.as_bytes()));
    }
    let mut decoder = Decoder::new(&crate::decoder::id_of_body(body));
    let mut events = Vec::new();
    decoder.read_response(&fields, value, None, &mut events);
    let mut fold = Fold::default();
    events.into_iter().for_each(|event| fold.push(event));
    fold.finish()
}

/// The parts of a response object that change during an answer.
pub(super) struct Response<'r> {
    pub(super) id: &'r str,
    pub(super) created: u64,
    pub(super) model: &'r str,
    /// `previous_response_id`.
    pub(super) previous: Option<&'r str>,
    /// `in_progress`, `completed`, `incomplete` or `failed`.
    pub(super) status: &'r str,
    /// The finished items, without the brackets of their list.
    pub(super) output: &'r [u8],
    pub(super) usage: Option<&'r Usage>,
    pub(super) incomplete: Option<&'r str>,
    pub(super) failure: Option<&'r Failure>,
}

impl Response<'_> {
    pub(super) fn write(&self, out: &mut Object<'_>) {
        out.str("id", self.id);
        out.str("object", "response");
        out.num("created_at", self.created);
        out.str("status", self.status);
        match self.failure {
            Some(failure) => out.object("error", |error| {
                error.str("code", response_code(failure));
                error.str("message", &failure.message);
            }),
            None => out.null("error"),
        }
        match self.incomplete {
            Some(reason) => out.object("incomplete_details", |details| details.str("reason", reason)),
            None => out.null("incomplete_details"),
        }
        out.null("instructions");
        out.object("metadata", |_| {});
        out.str("model", self.model);
        let output = out.value("output");
        output.push(b'[');
        output.extend_from_slice(self.output);
        output.push(b']');
        out.bool("parallel_tool_calls", true);
        out.str_or_null("previous_response_id", self.previous);
        out.null("temperature");
        out.str("tool_choice", "auto");
        out.array("tools", |_| {});
        out.null("top_p");
        match self.usage {
            Some(usage) => out.object("usage", |fields| usage.write_responses(fields)),
            None => out.null("usage"),
        }
        if let Some(searches) = self.usage.map(|usage| usage.web_searches).filter(|searches| *searches > 0) {
            out.object("tool_usage", |tools| {
                tools.object("web_search", |search| search.num("num_requests", searches));
            });
        }
    }
}

/// Writes the event that ends a stream which was not translated and has broken off.
pub(crate) fn write_failed_event(failure: &Failure, started: &Started, request_id: &str, out: &mut Vec<u8>) {
    let own = format!("resp_{request_id}");
    let response = Response {
        id: if started.id.is_empty() { &own } else { &started.id },
        created: started.created,
        model: &started.model,
        previous: None,
        status: "failed",
        output: &[],
        usage: None,
        incomplete: None,
        failure: Some(failure),
    };
    out::frame(out, Some("response.failed"), |event| {
        event.str("type", "response.failed");
        event.num("sequence_number", started.events);
        event.object("response", |object| response.write(object));
    });
}

/// Returns the reason of `incomplete_details`, and reports an end that Responses cannot tell exactly.
pub(super) fn incomplete_reason(losses: &mut Losses, finish: &Finish, has_refusal: bool) -> Option<&'static str> {
    let reason = match finish.reason {
        FinishReason::Refusal if !has_refusal => Some("content_filter"),
        reason => reason.to_incomplete(),
    };
    let to = reason.unwrap_or("completed");
    match (finish.reason, &finish.raw) {
        (FinishReason::Pause | FinishReason::MalformedTool | FinishReason::StopSequence, _) => {
            losses.changed("stop_reason", finish.reason.to_messages(), to, "the client's API has no such reason");
        }
        (_, Some(raw)) if finish.is_unknown() => losses.changed("stop_reason", raw, to, "the reason is not known"),
        _ => {}
    }
    reason
}

/// Writes a whole answer.
pub(crate) fn write_answer(
    answer: &Answer,
    id: &str,
    (created, model): (u64, &str),
    previous: Option<&str>,
) -> (Vec<u8>, Losses) {
    let mut losses = Losses::default();
    let model = if model.is_empty() { answer.model.as_deref().unwrap_or_default() } else { model };
    let has_refusal = answer.blocks.iter().any(|block| matches!(block, Block::Refusal(_)));
    let incomplete = incomplete_reason(&mut losses, &answer.finish, has_refusal);
    let mut output = Vec::new();
    let mut index = 0;
    for block in &answer.blocks {
        let Some(prefix) = id_prefix(block) else {
            if let Block::Opaque { kind, .. } = block {
                losses.dropped(format!("content.{kind}"), "the client's API has no such block");
            }
            continue;
        };
        if index > 0 {
            output.push(b',');
        }
        out::object(&mut output, |out| write_item(out, &format!("{prefix}_{id}_{index}"), block, true));
        index += 1;
    }
    let response = Response {
        id: &format!("resp_{id}"),
        created,
        model,
        previous,
        status: if incomplete.is_some() { "incomplete" } else { "completed" },
        output: &output,
        usage: answer.usage.as_ref(),
        incomplete,
        failure: None,
    };
    let mut body = Vec::new();
    out::object(&mut body, |out| response.write(out));
    (body, losses)
}
