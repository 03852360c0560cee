//! Writes how much the model thinks: the effort, and the provider's own switch.

use crate::hub::{Effort, ThinkingMode};
use crate::out::Object;
use crate::write::Job;
use crate::{Action, ThinkingSwitch};

/// Writes the effort and the switch. Returns the effort that the client asks for.
pub(super) fn write_thinking(job: &mut Job<'_>, body: &mut Object<'_>) -> Option<Effort> {
    let asked = &job.request.reasoning;
    let budget = match asked.thinking {
        Some(ThinkingMode::Budget(tokens)) if job.target.thinking == ThinkingSwitch::Flag => Some(tokens),
        _ => None,
    };
    let effort = match budget {
        Some(_) if asked.effort.is_some() => {
            job.losses.dropped(job.effort_field(), "the budget is sent instead");
            None
        }
        Some(_) => None,
        None => job.effort(),
    };
    let is_adaptive = matches!(asked.thinking, Some(ThinkingMode::Adaptive));
    let is_on = match &effort {
        Some(effort) => Some(*effort != Effort::None),
        None => (budget.is_some() || is_adaptive).then_some(true),
    };
    if let Some(is_on) = is_on {
        write_switch(job.target.thinking, body, is_on);
    }
    if let Some(tokens) = budget {
        body.num("thinking_budget", tokens);
    }
    // The switch says it.
    let is_said = job.target.thinking != ThinkingSwitch::None && effort == Some(Effort::None);
    if let Some(effort) = effort.as_ref().filter(|_| !is_said) {
        write_effort(job, body, effort);
    }
    effort
}

/// Returns whether the request asks for no thinking.
pub(super) fn is_off(job: &Job<'_>) -> bool {
    let asked = &job.request.reasoning;
    matches!(asked.thinking, Some(ThinkingMode::Disabled)) || asked.effort == Some(Effort::None)
}

fn write_switch(switch: ThinkingSwitch, body: &mut Object<'_>, is_on: bool) {
    match switch {
        ThinkingSwitch::None => {}
        ThinkingSwitch::Type => {
            body.object("thinking", |thinking| thinking.str("type", if is_on { "enabled" } else { "disabled" }));
        }
        ThinkingSwitch::Flag => body.bool("enable_thinking", is_on),
    }
}

/// Writes the provider's word for an effort.
fn write_effort(job: &mut Job<'_>, body: &mut Object<'_>, effort: &Effort) {
    let is_asked = job.request.reasoning.effort.is_some();
    let (field, word) = (if is_asked { job.effort_field() } else { "thinking" }, effort.as_str());
    if !job.target.reasoning_effort {
        return job.losses.once(field, Action::Altered, "the provider only switches thinking on and off");
    }
    match job.target.efforts.iter().find(|(own, _)| *own == word) {
        None => body.str("reasoning_effort", word),
        Some((_, "")) => job.losses.dropped(field, "the provider has no such effort"),
        Some((_, other)) => {
            job.losses.changed(field, word, other, "the provider has no such effort");
            body.str("reasoning_effort", other);
        }
    }
}
