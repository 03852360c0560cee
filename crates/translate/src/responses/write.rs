//! Writes requests for providers of Responses.

use super::choice::write_choice;
use super::write_item::{write_instructions, write_items};
use crate::error::RequestError;
use crate::hub::{Effort, Format, FunctionTool, Request};
use crate::out::{self, Array, Object};
use crate::target::Target;
use crate::write::{Job, Offer};
use crate::{Api, Written};

/// Fields of Chat Completions that Responses has too.
const ALLOWED: [&str; 5] =
    ["metadata", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "moderation"];

/// Minimum of `max_output_tokens`. Clients of other APIs ask for a single token to learn whether a model answers.
const MIN_OUTPUT_TOKENS: u64 = 16;

/// Writes a request.
pub(crate) fn write_request(request: &Request, target: &Target) -> Result<Written, RequestError> {
    let mut job = Job::new(request, target, Api::Responses);
    let mut body = Vec::new();
    let mut result = Ok(());
    out::object(&mut body, |body| result = write_body(&mut job, body));
    result?;
    Ok(job.finish(body))
}

fn write_body(job: &mut Job<'_>, body: &mut Object<'_>) -> Result<(), RequestError> {
    let request = job.request;
    body.str("model", job.model());
    let mut tools = Vec::new();
    let mut result = Ok(());
    out::array(&mut tools, |list| result = write_tools(job, list));
    result?;
    let takes_logprobs = job.takes_logprobs();
    let skipped = write_instructions(job, body);
    let mut result = Ok(());
    body.array("input", |list| result = write_items(job, list, skipped));
    result?;
    job.check_choice(tools != b"[]")?;
    if tools != b"[]" {
        body.raw("tools", &String::from_utf8_lossy(&tools));
        write_choice(job, body)?;
        if let Some(parallel) = request.parallel_tool_calls {
            body.bool("parallel_tool_calls", parallel);
        }
    }
    if let Some(max) = job.max_tokens()? {
        let is_too_small = max < MIN_OUTPUT_TOKENS && !job.is_from(Api::Responses);
        if is_too_small {
            job.losses.altered("max_tokens", "raised to 16, the smallest value that the target takes");
        }
        body.num("max_output_tokens", if is_too_small { MIN_OUTPUT_TOKENS } else { max });
    }
    if request.top_k.is_some() {
        job.losses.dropped("top_k", "the target API has no such field");
    }
    if !request.stop.is_empty() {
        let field = if job.is_from(Api::Messages) { "stop_sequences" } else { "stop" };
        job.losses.emulated(field, None, "the target takes no stop sequences");
        job.stops.clone_from(&request.stop);
    }
    if let Some(top) = request.top_logprobs.filter(|_| takes_logprobs) {
        body.num("top_logprobs", top);
    }
    write_text(body, request);
    let effort = job.effort();
    write_reasoning(job, body, effort.as_ref());
    job.write_sampling(body, effort.as_ref());
    job.write_identity(body);
    if request.cache.is_some() {
        job.losses.dropped("cache_control", "the target places no cache breakpoints by itself");
    }
    // The APIs differ in what they store by default.
    body.bool("store", request.store.unwrap_or_else(|| job.is_from(Api::Responses)));
    write_include(job, body);
    write_extras(job, body)?;
    if request.stream {
        body.bool("stream", true);
        if job.target.pads_streams {
            body.object("stream_options", |options| options.bool("include_obfuscation", false));
        }
    }
    Ok(())
}

fn write_tools(job: &mut Job<'_>, list: &mut Array<'_>) -> Result<(), RequestError> {
    let request = job.request;
    let is_own = request.api == Api::Responses;
    for (index, tool) in request.tools.iter().enumerate() {
        match job.offer(index, tool)? {
            Offer::Function(tool, name) => {
                if tool.cache.is_some() {
                    job.losses.once("cache_control", crate::Action::Dropped, "tools have no cache breakpoints there");
                }
                list.object(|out| write_function(out, &tool, &name, is_own));
            }
            Offer::Custom(tool, name) => list.object(|out| {
                out.str("type", "custom");
                out.str("name", &name);
                out.opt_str("description", tool.description.as_deref());
                out.opt_json("format", tool.format.as_ref());
            }),
            Offer::Builtin(json) => list.raw(json.as_str()),
            Offer::WebSearch => list.object(|out| out.str("type", "web_search")),
            Offer::Dropped => {}
        }
    }
    if job.searches() {
        list.object(|out| out.str("type", "web_search"));
    }
    Ok(())
}

fn write_function(out: &mut Object<'_>, tool: &FunctionTool, name: &str, is_own: bool) {
    out.str("type", "function");
    out.str("name", name);
    out.opt_str("description", tool.description.as_deref());
    match &tool.parameters {
        Some(parameters) => out.raw("parameters", parameters.as_str()),
        None => out.null("parameters"),
    }
    // Without the field, Responses tries to be strict, and the other APIs are not.
    match tool.strict {
        Some(strict) => out.bool("strict", strict),
        None if !is_own => out.bool("strict", false),
        None => {}
    }
    if is_own {
        tool.extras.iter().for_each(|(name, value)| out.raw(name, value.as_str()));
    }
}

fn write_text(body: &mut Object<'_>, request: &Request) {
    if request.format.is_none() && request.verbosity.is_none() {
        return;
    }
    body.object("text", |text| {
        text.opt_str("verbosity", request.verbosity.as_deref());
        let Some(format) = &request.format else { return };
        text.object("format", |out| match format {
            Format::Text => out.str("type", "text"),
            Format::JsonObject => out.str("type", "json_object"),
            Format::JsonSchema { name, schema, strict, description } => {
                out.str("type", "json_schema");
                out.str("name", if name.is_empty() { "output" } else { name });
                out.opt_str("description", description.as_deref());
                out.raw("schema", schema.as_str());
                if let Some(strict) = strict {
                    out.bool("strict", *strict);
                }
            }
        });
    });
}

fn write_reasoning(job: &mut Job<'_>, body: &mut Object<'_>, effort: Option<&Effort>) {
    let request = job.request;
    let mut summary = request.reasoning.summary.as_deref();
    if let Some(display) = request.reasoning.display.as_deref().filter(|display| *display != "omitted") {
        job.losses.changed("thinking.display", display, "reasoning.summary auto", "sent as another field");
        summary = Some("auto");
    }
    let inner = |name: &str| name.strip_prefix("reasoning.").map(str::to_owned).filter(|_| job.is_from(Api::Responses));
    let extras: Vec<_> = request.extras.iter().filter_map(|(name, value)| Some((inner(name)?, value))).collect();
    if effort.is_none() && summary.is_none() && extras.is_empty() {
        return;
    }
    body.object("reasoning", |out| {
        out.opt_str("effort", effort.map(Effort::as_str));
        out.opt_str("summary", summary);
        extras.into_iter().for_each(|(name, value)| out.raw(&name, value.as_str()));
    });
}

fn write_include(job: &Job<'_>, body: &mut Object<'_>) {
    let request = job.request;
    if job.is_from(Api::Responses) && !request.logprobs {
        return;
    }
    let own = request.extras.iter().find(|(name, _)| name == "include" && job.is_from(Api::Responses));
    body.array("include", |list| {
        match own {
            Some((_, words)) => {
                crate::field::Raw::document(words.as_str()).strings().iter().for_each(|word| list.str(word));
            }
            None if !job.is_from(Api::Responses) => list.str("reasoning.encrypted_content"),
            None => {}
        }
        if request.logprobs && job.is_from(Api::Responses) {
            list.str("message.output_text.logprobs");
        }
    });
}

/// Writes the fields that were not interpreted, except those that are parts of others.
fn write_extras(job: &mut Job<'_>, body: &mut Object<'_>) -> Result<(), RequestError> {
    if !job.is_from(Api::Responses) {
        return job.write_extras(body, if job.is_from(Api::Chat) { &ALLOWED } else { &[] });
    }
    for (name, value) in &job.request.extras {
        if !name.contains('.') && (name != "include" || !job.request.logprobs) {
            body.raw(name, value.as_str());
        }
    }
    Ok(())
}
