//! Writes requests for providers of Chat Completions.

use std::borrow::Cow;

use super::after_tools::joined;
use super::thinking::write_thinking;
use super::tools::{write_custom, write_function};
use super::write_message::write_messages;
use crate::error::RequestError;
use crate::field::Raw;
use crate::hub::{CallKind, Format, Request, ToolChoice};
use crate::loss::Losses;
use crate::out::{self, Array, Object};
use crate::target::Target;
use crate::write::{Job, Offer};
use crate::{Api, Written};

/// Fields of Responses that Chat Completions has too.
const ALLOWED: [&str; 4] = ["metadata", "prompt_cache_key", "prompt_cache_retention", "moderation"];

const CACHE_OPTIONS: &str = "prompt_cache_options";

const SEARCHES: &str = "the target searches as it likes";

/// Writes a request.
pub(crate) fn write_request(request: &Request, target: &Target) -> Result<Written, RequestError> {
    let (request, losses) = match (!target.user_after_tool).then(|| joined(request)).flatten() {
        Some((request, losses)) => (Cow::Owned(request), losses),
        None => (Cow::Borrowed(request), Losses::default()),
    };
    let mut job = Job::new(&request, target, Api::Chat);
    job.losses.append(losses);
    let mut body = Vec::new();
    let mut result = Ok(());
    out::object(&mut body, |body| result = write_body(&mut job, body));
    result?;
    Ok(job.finish(body))
}

fn write_body(job: &mut Job<'_>, body: &mut Object<'_>) -> Result<(), RequestError> {
    let request = job.request;
    body.str("model", job.model());
    // Tools come first, so that the names in the conversation are known.
    let (mut tools, mut has_search) = (Vec::new(), false);
    let mut result = Ok(());
    out::array(&mut tools, |list| result = write_tools(job, list).map(|search| has_search = search));
    result?;
    let mut result = Ok(());
    body.array("messages", |list| result = write_messages(job, list));
    result?;
    job.check_choice(tools != b"[]" || has_search)?;
    let is_search = |choice: &ToolChoice| *choice == ToolChoice::Required || job.chooses_search(choice);
    if tools == b"[]" && has_search && request.tool_choice.as_ref().is_some_and(is_search) {
        job.losses.altered("tool_choice", SEARCHES);
    }
    // A provider that knows no choice would take the tools for allowed.
    let is_allowed = job.target.tool_choice || request.tool_choice != Some(ToolChoice::None);
    if tools != b"[]" && is_allowed {
        body.raw("tools", &String::from_utf8_lossy(&tools));
        write_choice(job, body)?;
        if let Some(parallel) = request.parallel_tool_calls {
            body.bool("parallel_tool_calls", parallel);
        }
    }
    if has_search {
        body.object("web_search_options", |_| {});
    }
    if let Some(max) = job.max_tokens()? {
        body.num(if job.target.max_completion_tokens { "max_completion_tokens" } else { "max_tokens" }, max);
    }
    write_limits(job, body);
    if let Some(format) = &request.format {
        write_format(body, format);
    }
    body.opt_str("verbosity", request.verbosity.as_deref());
    let effort = write_thinking(job, body);
    if request.reasoning.summary.is_some() {
        job.losses.dropped("reasoning.summary", "the target API has no such field");
    }
    if request.reasoning.display.is_some() {
        job.losses.dropped("thinking.display", "the target API has no such field");
    }
    job.write_sampling(body, effort.as_ref());
    job.write_identity(body);
    if let Some(store) = request.store.filter(|_| job.is_from(Api::Chat))
        && !job.refuses("store", "store")
    {
        body.bool("store", store);
    }
    if request.cache.is_some() {
        job.losses.dropped("cache_control", "the target places no cache breakpoints by itself");
    }
    write_cache_options(job, body);
    job.write_extras(body, if job.is_from(Api::Responses) { &ALLOWED } else { &[] })?;
    write_stream(job, body, tools != b"[]" && is_allowed);
    Ok(())
}

/// Writes what the provider needs to know about the stream, and the fields that it wants.
fn write_stream(job: &Job<'_>, body: &mut Object<'_>, has_tools: bool) {
    let (target, streams) = (job.target, job.streams());
    if streams {
        body.bool("stream", true);
        if target.usage_option || target.pads_streams {
            body.object("stream_options", |options| {
                if target.usage_option {
                    options.bool("include_usage", true);
                }
                if target.pads_streams {
                    options.bool("include_obfuscation", false);
                }
            });
        }
    }
    for added in target.added.iter().filter(|added| !added.is_for_streamed_tools || streams && has_tools) {
        body.raw(added.field, added.value);
    }
}

/// Writes what Chat Completions has of the cache options of Responses.
fn write_cache_options(job: &mut Job<'_>, body: &mut Object<'_>) {
    let own = job.request.extras.iter().find(|(name, _)| name == CACHE_OPTIONS && job.is_from(Api::Responses));
    let Some(fields) = own.and_then(|(_, value)| Raw::document(value.as_str()).fields()) else { return };
    let is_known =
        |name: &str, value: Raw<'_>| name == "mode" || (name == "ttl" && value.str().as_deref() == Some("30m"));
    let (known, others): (Vec<_>, Vec<_>) = fields.rest().partition(|(name, value)| is_known(name, *value));
    for (name, _) in others {
        job.losses.dropped(format!("{CACHE_OPTIONS}.{name}"), "the target API has no such option");
    }
    if !known.is_empty() {
        body.object(CACHE_OPTIONS, |out| known.iter().for_each(|(name, value)| out.raw(name, value.as_str())));
    }
}

/// Writes the tools. Returns whether web search is asked for.
fn write_tools(job: &mut Job<'_>, list: &mut Array<'_>) -> Result<bool, RequestError> {
    let request = job.request;
    let mut has_search = false;
    for (index, tool) in request.tools.iter().enumerate() {
        match job.offer(index, tool)? {
            Offer::Function(tool, name) => {
                if let Some(cache) = tool.cache {
                    job.breakpoint(Some(cache));
                }
                list.object(|out| {
                    out.str("type", "function");
                    out.object("function", |function| {
                        write_function(function, &tool, &name);
                        if request.api == Api::Chat {
                            tool.extras.iter().for_each(|(name, value)| function.raw(name, value.as_str()));
                        }
                    });
                });
            }
            Offer::Custom(tool, name) => list.object(|out| {
                out.str("type", "custom");
                out.object("custom", |custom| write_custom(custom, tool, &name));
            }),
            Offer::Builtin(json) => list.raw(json.as_str()),
            Offer::WebSearch => has_search = true,
            Offer::Dropped => {}
        }
    }
    Ok(has_search)
}

fn write_choice(job: &mut Job<'_>, body: &mut Object<'_>) -> Result<(), RequestError> {
    let Some(choice) = &job.request.tool_choice else { return Ok(()) };
    if !job.target.tool_choice {
        if *choice != ToolChoice::Auto {
            job.losses.dropped("tool_choice", "the provider lets the model choose");
        }
        return Ok(());
    }
    let is_forced = matches!(choice, ToolChoice::Required | ToolChoice::Named { .. });
    if is_forced && !job.target.forced_tools {
        job.losses.changed("tool_choice", "required", "auto", "the model refuses forced tools");
        body.str("tool_choice", "auto");
        return Ok(());
    }
    match choice {
        ToolChoice::None => body.str("tool_choice", "none"),
        ToolChoice::Auto => body.str("tool_choice", "auto"),
        ToolChoice::Required => body.str("tool_choice", "required"),
        choice if job.chooses_search(choice) => job.losses.altered("tool_choice", SEARCHES),
        ToolChoice::Named { name, .. } => {
            let (kind, name) = job.chosen(name);
            body.object("tool_choice", |choice| write_named(choice, kind, &name));
        }
        ToolChoice::Allowed { json, api: Api::Chat, .. } => body.raw("tool_choice", json.as_str()),
        ToolChoice::Allowed { names, .. } if job.allows_nothing(names) => {
            job.losses.altered("tool_choice", "the provider has none of the allowed tools");
            body.str("tool_choice", "none");
        }
        ToolChoice::Allowed { required, names, .. } => {
            let names: Vec<(CallKind, String)> = names.iter().map(|name| job.chosen(name)).collect();
            body.object("tool_choice", |choice| {
                choice.str("type", "allowed_tools");
                choice.object("allowed_tools", |allowed| {
                    allowed.str("mode", if *required { "required" } else { "auto" });
                    allowed.array("tools", |tools| {
                        names.iter().for_each(|(kind, name)| tools.object(|tool| write_named(tool, *kind, name)));
                    });
                });
            });
        }
        ToolChoice::Other { json, api: Api::Chat } => body.raw("tool_choice", json.as_str()),
        ToolChoice::Other { .. } => return job.refuse("tool_choice", "Choose a function instead."),
    }
    Ok(())
}

fn write_named(choice: &mut Object<'_>, kind: CallKind, name: &str) {
    let kind = if kind == CallKind::Custom { "custom" } else { "function" };
    choice.str("type", kind);
    choice.object(kind, |inner| inner.str("name", name));
}

fn write_limits(job: &mut Job<'_>, body: &mut Object<'_>) {
    let request = job.request;
    match &request.top_k {
        Some(top_k) if job.target.top_k => body.raw("top_k", top_k.as_str()),
        Some(_) => job.losses.dropped("top_k", "the provider does not take it"),
        None => {}
    }
    let max_stops = if job.target.refused.contains(&"stop") { 0 } else { job.target.max_stops };
    if request.stop.len() > max_stops {
        let field = if job.is_from(Api::Messages) { "stop_sequences" } else { "stop" };
        job.losses.emulated(field, None, "the provider takes fewer stop sequences");
        job.stops.clone_from(&request.stop);
    } else if !request.stop.is_empty() {
        body.array("stop", |list| request.stop.iter().for_each(|stop| list.str(stop)));
    }
    if job.takes_logprobs() {
        if request.logprobs {
            body.bool("logprobs", true);
        }
        if let Some(top) = request.top_logprobs {
            body.num("top_logprobs", top);
        }
    }
}

fn write_format(body: &mut Object<'_>, format: &Format) {
    body.object("response_format", |out| match format {
        Format::Text => out.str("type", "text"),
        Format::JsonObject => out.str("type", "json_object"),
        Format::JsonSchema { name, schema, strict, description } => {
            out.str("type", "json_schema");
            out.object("json_schema", |inner| {
                inner.str("name", if name.is_empty() { "output" } else { name });
                inner.opt_str("description", description.as_deref());
                inner.raw("schema", schema.as_str());
                if let Some(strict) = strict {
                    inner.bool("strict", *strict);
                }
            });
        }
    });
}
