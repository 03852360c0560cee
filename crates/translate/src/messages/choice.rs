//! The choice of tools, in requests of Messages.

use crate::error::RequestError;
use crate::field::{Path, Raw};
use crate::hub::{CallKind, ToolChoice};
use crate::out::Object;
use crate::read::{part, unknown_kind};
use crate::write::Job;

/// Reads a choice, and whether only one tool may be called at a time.
pub(super) fn read_choice(value: Raw<'_>) -> Result<(ToolChoice, Option<bool>), RequestError> {
    let at = Path::Name(&Path::Root, "tool_choice");
    let (kind, mut fields) = part(value, &at)?;
    let is_single = fields.take_bool("disable_parallel_tool_use", &at)?;
    let choice = match &*kind {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named { name: fields.need_str("name", &at)?, kind: CallKind::Function },
        other => return Err(unknown_kind(&at, other)),
    };
    Ok((choice, is_single))
}

/// Writes the choice of tools. Tools that are not allowed have been left out.
pub(super) fn write_choice(job: &mut Job<'_>, body: &mut Object<'_>) -> Result<(), RequestError> {
    let request = job.request;
    let mut choice = match &request.tool_choice {
        Some(ToolChoice::None) => Some(("none", None)),
        Some(ToolChoice::Auto) => Some(("auto", None)),
        Some(ToolChoice::Required) => Some(("any", None)),
        Some(choice) if job.chooses_search(choice) => Some(("tool", Some("web_search".to_owned()))),
        Some(ToolChoice::Named { name, .. }) => Some(("tool", Some(job.chosen(name).1))),
        Some(ToolChoice::Allowed { required, .. }) => {
            job.losses.altered("tool_choice", "the other tools are left out, which changes the cached prefix");
            Some((if *required { "any" } else { "auto" }, None))
        }
        Some(ToolChoice::Other { .. }) => return job.refuse("tool_choice", "Choose a function instead."),
        None => None,
    };
    if matches!(choice, Some(("any" | "tool", _))) && !job.target.forced_tools {
        job.losses.changed("tool_choice", "required", "auto", "the model refuses forced tools");
        choice = Some(("auto", None));
    }
    let is_single = request.parallel_tool_calls.map(|parallel| !parallel);
    if is_single == Some(true) && choice.is_none() {
        choice = Some(("auto", None));
    }
    let Some((kind, name)) = choice else { return Ok(()) };
    body.object("tool_choice", |out| {
        out.str("type", kind);
        out.opt_str("name", name.as_deref());
        if let Some(is_single) = is_single.filter(|_| kind != "none") {
            out.bool("disable_parallel_tool_use", is_single);
        }
    });
    Ok(())
}
