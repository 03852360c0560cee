//! The choice of tools, in requests of Responses.

use crate::Api;
use crate::chat::word_choice;
use crate::error::RequestError;
use crate::field::{Path, Raw};
use crate::hub::{CallKind, ToolChoice};
use crate::out::Object;
use crate::read::{part, unknown_kind};
use crate::write::Job;

pub(super) fn read_choice(value: Raw<'_>) -> Result<ToolChoice, RequestError> {
    let at = Path::Name(&Path::Root, "tool_choice");
    if let Some(word) = value.str() {
        return word_choice(&word).ok_or_else(|| unknown_kind(&at, &word));
    }
    let (kind, mut fields) = part(value, &at)?;
    Ok(match &*kind {
        "function" => ToolChoice::Named { name: fields.need_str("name", &at)?, kind: CallKind::Function },
        "custom" => ToolChoice::Named { name: fields.need_str("name", &at)?, kind: CallKind::Custom },
        "allowed_tools" => ToolChoice::Allowed {
            required: fields.str("mode").as_deref() == Some("required"),
            names: fields.elements("tools").into_iter().filter_map(|tool| tool.fields()?.string("name")).collect(),
            json: value.to_json(),
            api: Api::Responses,
        },
        _ => ToolChoice::Other { api: Api::Responses, json: value.to_json() },
    })
}

pub(super) fn write_choice(job: &mut Job<'_>, body: &mut Object<'_>) -> Result<(), RequestError> {
    let Some(choice) = &job.request.tool_choice else { return Ok(()) };
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
        choice if job.chooses_search(choice) => {
            body.object("tool_choice", |choice| choice.str("type", "web_search"));
        }
        ToolChoice::Named { name, .. } => {
            let (kind, name) = job.chosen(name);
            body.object("tool_choice", |choice| write_named(choice, kind, &name));
        }
        ToolChoice::Allowed { json, api: Api::Responses, .. } | ToolChoice::Other { json, api: Api::Responses } => {
            body.raw("tool_choice", json.as_str());
        }
        ToolChoice::Allowed { names, .. } if job.allows_nothing(names) => {
            job.losses.altered("tool_choice", "the provider has none of the allowed tools");
            body.str("tool_choice", "none");
        }
        ToolChoice::Allowed { required, names, .. } => {
            let names: Vec<(CallKind, String)> = names.iter().map(|name| job.chosen(name)).collect();
            body.object("tool_choice", |choice| {
                choice.str("type", "allowed_tools");
                choice.str("mode", if *required { "required" } else { "auto" });
                choice.array("tools", |tools| {
                    names.iter().for_each(|(kind, name)| tools.object(|tool| write_named(tool, *kind, name)));
                });
            });
        }
        ToolChoice::Other { .. } => return job.refuse("tool_choice", "Choose a function instead."),
    }
    Ok(())
}

fn write_named(choice: &mut Object<'_>, kind: CallKind, name: &str) {
    choice.str("type", if kind == CallKind::Custom { "custom" } else { "function" });
    choice.str("name", name);
}
