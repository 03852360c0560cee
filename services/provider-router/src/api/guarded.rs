//! Judges requests by the guardrails.

use bytes::Bytes;
use signalbox_core::schema::GuardRules;
use signalbox_daemon::Caller;
use uuid::Uuid;

use crate::{
    app::App,
    direct::DirectApi,
    envelope::Envelope,
    guard::{About, Passed, Refused, Stage},
    route::Plan,
};

/// A request that guardrails let pass.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Their changes.
    pub(super) passed: Passed,
    /// Rules for the answer.
    pub(super) rules: Option<GuardRules>,
}

/// Judges a request by the rules of the configuration, the route and the key.
///
/// # Errors
/// Returns the reason why it is refused.
pub(super) async fn judge(
    app: &App,
    plan: Option<&Plan>,
    caller: Option<&Caller>,
    envelope: &Envelope,
    body: &Bytes,
    id: Uuid,
) -> Result<Judged, Refused> {
    let of_route = plan.and_then(|plan| plan.route.as_ref()?.plan.guard.as_ref());
    let Some(rules) = app.guard.rules(of_route, caller) else { return Ok(Judged::default()) };
    let judges_answers = app.guard.judges_answers(&rules);
    if judges_answers && envelope.direct.is_some() && envelope.stream {
        let reason = "streams of this API cannot be judged; ask without `stream`".to_owned();
        return Err(Refused::Content { stage: Stage::Answer, reason });
    }
    let id = id.to_string();
    let about = About {
        id: &id,
        api: envelope.direct.map_or(envelope.api.as_str(), DirectApi::as_str),
        model: envelope.model.as_deref(),
        key: caller.map(Caller::name),
        owner: caller.and_then(Caller::owner),
    };
    // Boxed to keep the futures of all other requests small.
    let passed = Box::pin(app.guard.request(&rules, body, &about)).await?;
    Ok(Judged { passed, rules: judges_answers.then_some(rules) })
}
