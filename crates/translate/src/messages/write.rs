//! Writes requests for providers of Messages.

use super::choice::write_choice;
use super::write_message::{write_messages, write_system};
use crate::error::RequestError;
use crate::hub::{Effort, Format, FunctionTool, Json, Request, ThinkingMode, ToolChoice};
use crate::out::{self, Array, Object};
use crate::target::Target;
use crate::write::{Job, Offer, write_cache_control};
use crate::{Api, Written};

const FOREIGN: &str = "the target API has no such field";

/// Writes a request.
pub(crate) fn write_request(request: &Request, target: &Target) -> Result<Written, RequestError> {
    let mut job = Job::new(request, target, Api::Messages);
    let mut body = Vec::new();
    let mut result = Ok(());
    out::object(&mut body, |body| result = write_body(&mut job, body));
    result?;
    Ok(job.finish(body))
}

fn write_body(job: &mut Job<'_>, body: &mut Object<'_>) -> Result<(), RequestError> {
    let request = job.request;
    body.str("model", job.model());
    let max_tokens = request.max_tokens.unwrap_or(job.target.default_max_tokens);
    if request.max_tokens.is_none() {
        job.losses.emulated("max_tokens", Some(max_tokens.to_string()), "the target requires it");
    }
    body.num("max_tokens", max_tokens);
    // The order of a cached prefix: tools, system, messages.
    let mut tools = Vec::new();
    let mut result = Ok(());
    out::array(&mut tools, |list| result = write_tools(job, list));
    result?;
    job.check_choice(tools != b"[]")?;
    if tools != b"[]" {
        body.raw("tools", &String::from_utf8_lossy(&tools));
        write_choice(job, body)?;
    }
    let leading = request.messages.iter().take_while(|message| message.is_system()).count();
    let (system, turns) = request.messages.split_at(leading);
    write_system(job, body, system);
    let mut result = Ok(());
    body.array("messages", |list| result = write_messages(job, list, turns));
    result?;
    write_sampling(job, body);
    write_reasoning(job, body);
    if !request.stop.is_empty() {
        body.array("stop_sequences", |list| request.stop.iter().for_each(|stop| list.str(stop)));
    }
    write_identity(job, body);
    let cache = job.breakpoint(request.cache);
    write_cache_control(body, cache);
    report_openai_fields(job);
    write_own_extras(job, body)?;
    if request.stream {
        body.bool("stream", true);
    }
    Ok(())
}

fn write_tools(job: &mut Job<'_>, list: &mut Array<'_>) -> Result<(), RequestError> {
    let request = job.request;
    let allowed = match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => Some(names),
        _ => None,
    };
    for (index, tool) in request.tools.iter().enumerate() {
        if let (Some(allowed), Some(name)) = (allowed, tool.name())
            && !allowed.iter().any(|known| known == name)
        {
            continue;
        }
        match job.offer(index, tool)? {
            Offer::Function(tool, name) => write_tool(job, list, &tool, &name),
            Offer::Builtin(json) => list.raw(json.as_str()),
            Offer::WebSearch => write_search(list),
            Offer::Custom(..) | Offer::Dropped => {}
        }
    }
    if job.searches() {
        write_search(list);
    }
    Ok(())
}

fn write_search(list: &mut Array<'_>) {
    list.object(|out| {
        out.str("type", "web_search_20250305");
        out.str("name", "web_search");
    });
}

fn write_tool(job: &mut Job<'_>, list: &mut Array<'_>, tool: &FunctionTool, name: &str) {
    let cache = job.breakpoint(tool.cache);
    let is_own = job.is_from(Api::Messages);
    list.object(|out| {
        out.str("name", name);
        out.opt_str("description", tool.description.as_deref());
        out.raw("input_schema", tool.parameters.as_ref().map_or(r#"{"type":"object"}"#, Json::as_str));
        if let Some(strict) = tool.strict {
            out.bool("strict", strict);
        }
        if is_own {
            tool.extras.iter().for_each(|(name, value)| out.raw(name, value.as_str()));
        }
        write_cache_control(out, cache);
    });
}

fn write_sampling(job: &mut Job<'_>, body: &mut Object<'_>) {
    let request = job.request;
    let fields = [("temperature", &request.temperature), ("top_p", &request.top_p), ("top_k", &request.top_k)];
    for (name, value) in fields {
        let Some(value) = value else { continue };
        if !job.target.sampling {
            job.losses.dropped(name, "the model takes no sampling fields");
        } else if name == "temperature" && value.as_str().parse::<f64>().is_ok_and(|number| number > 1.0) {
            job.losses.changed(name, value.as_str(), "1", "the target takes 0 to 1");
            body.raw(name, "1");
        } else {
            body.raw(name, value.as_str());
        }
    }
}

/// Writes `thinking` and `output_config`.
fn write_reasoning(job: &mut Job<'_>, body: &mut Object<'_>) {
    let request = job.request;
    let asked = &request.reasoning;
    let (mut effort, mut thinking) = (None, asked.thinking.clone());
    match &asked.effort {
        None => {}
        Some(word) if job.is_from(Api::Messages) => effort = Some(word.as_str()),
        Some(Effort::None) if job.target.disable_thinking => {
            job.losses.changed(effort_field(job), "none", "thinking disabled", "the target has no effort `none`");
            thinking = Some(ThinkingMode::Disabled);
        }
        Some(Effort::None) => job.losses.dropped(effort_field(job), "thinking of the model cannot be disabled"),
        Some(word) => {
            let known = if *word == Effort::Minimal { "low" } else { word.as_str() };
            job.losses.changed(effort_field(job), word.as_str(), known, "the models measure effort differently");
            effort = Some(known);
            if job.target.adaptive_thinking {
                thinking = Some(ThinkingMode::Adaptive);
            }
        }
    }
    let display = match (&asked.display, &asked.summary) {
        (Some(display), _) => Some(display.as_str()),
        (None, Some(summary)) => {
            job.losses.changed("reasoning.summary", summary, "summarized", "sent as `thinking.display`");
            Some("summarized")
        }
        (None, None) => None,
    };
    if thinking.is_none() && display.is_some() && job.target.adaptive_thinking {
        thinking = Some(ThinkingMode::Adaptive);
    }
    if let Some(thinking) = thinking {
        body.object("thinking", |out| write_thinking(job, out, &thinking, display));
    }
    let schema = output_schema(job);
    if effort.is_some() || schema.is_some() || has_extra(request, "output_config.") {
        body.object("output_config", |out| {
            out.opt_str("effort", effort);
            if let Some(schema) = schema {
                out.object("format", |format| {
                    format.str("type", "json_schema");
                    format.raw("schema", schema.as_str());
                });
            }
            write_inner_extras(job, out, "output_config.");
        });
    }
}

fn write_thinking(job: &Job<'_>, out: &mut Object<'_>, thinking: &ThinkingMode, display: Option<&str>) {
    match thinking {
        ThinkingMode::Adaptive => out.str("type", "adaptive"),
        ThinkingMode::Disabled => return out.str("type", "disabled"),
        ThinkingMode::Other(mode) => out.str("type", mode),
        ThinkingMode::Budget(tokens) => {
            out.str("type", "enabled");
            out.num("budget_tokens", *tokens);
        }
    }
    out.opt_str("display", display);
    write_inner_extras(job, out, "thinking.");
}

fn effort_field(job: &Job<'_>) -> &'static str {
    if job.is_from(Api::Chat) { "reasoning_effort" } else { "reasoning.effort" }
}

fn output_schema<'r>(job: &mut Job<'r>) -> Option<&'r Json> {
    let field = match job.request.api {
        Api::Chat => "response_format",
        Api::Messages => "output_config.format",
        Api::Responses => "text.format",
    };
    match job.request.format.as_ref()? {
        Format::Text => None,
        Format::JsonObject => {
            job.losses.dropped(field, "the target has no JSON mode without a schema");
            None
        }
        Format::JsonSchema { schema, .. } => {
            if !job.is_from(Api::Messages) {
                job.losses.altered(field, "the target takes the schema only, and it is binding");
            }
            Some(schema)
        }
    }
}

/// Writes the end user, the service tier and the speed.
fn write_identity(job: &mut Job<'_>, body: &mut Object<'_>) {
    let request = job.request;
    let is_own = job.is_from(Api::Messages);
    if let Some(user) = &request.user {
        if !is_own {
            job.losses.changed(request.user_field, request.user_field, "metadata.user_id", "sent as another field");
        }
        body.object("metadata", |metadata| {
            metadata.str("user_id", user);
            write_inner_extras(job, metadata, "metadata.");
        });
    }
    let Some(tier) = request.service_tier.as_deref() else { return };
    if is_own {
        return body.str("service_tier", tier);
    }
    match tier {
        "default" => {
            job.losses.changed("service_tier", tier, "standard_only", "the tiers of the APIs differ");
            body.str("service_tier", "standard_only");
        }
        "auto" => body.str("service_tier", "auto"),
        "priority" => {
            job.losses.changed("service_tier", tier, "auto", "the tiers of the APIs differ");
            body.str("service_tier", "auto");
        }
        "fast" => {
            job.losses.changed("service_tier", tier, "speed fast", "sent as another field");
            body.str("speed", "fast");
        }
        _ => job.losses.dropped("service_tier", "the target has no such tier"),
    }
}

/// Reports the fields of the OpenAI APIs that have no form here.
fn report_openai_fields(job: &mut Job<'_>) {
    let request = job.request;
    job.takes_logprobs();
    let verbosity = if job.is_from(Api::Chat) { "verbosity" } else { "text.verbosity" };
    let fields = [(verbosity, request.verbosity.is_some()), ("store", request.store == Some(true))];
    for (name, _) in fields.into_iter().filter(|(_, is_set)| *is_set) {
        job.losses.dropped(name, FOREIGN);
    }
}

fn has_extra(request: &Request, prefix: &str) -> bool {
    request.api == Api::Messages && request.extras.iter().any(|(name, _)| name.starts_with(prefix))
}

fn write_inner_extras(job: &Job<'_>, out: &mut Object<'_>, prefix: &str) {
    if !job.is_from(Api::Messages) {
        return;
    }
    for (name, value) in &job.request.extras {
        if let Some(name) = name.strip_prefix(prefix) {
            out.raw(name, value.as_str());
        }
    }
}

/// Writes the fields that were not interpreted. Those within `metadata`, `thinking` and `output_config` are written
/// there.
fn write_own_extras(job: &mut Job<'_>, body: &mut Object<'_>) -> Result<(), RequestError> {
    if !job.is_from(Api::Messages) {
        return job.write_extras(body, &[]);
    }
    for (name, value) in job.request.extras.iter().filter(|(name, _)| !name.contains('.')) {
        body.raw(name, value.as_str());
    }
    Ok(())
}
