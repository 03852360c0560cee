//! Judges prompts by the guardrails.

use std::sync::Arc;

use bytes::Bytes;
use signalbox_core::{Api, json::Reader, schema::GuardRules};
use signalbox_daemon::Caller;
use signalbox_translate::hub::Json;
use uuid::Uuid;

use crate::{
    app::App,
    direct::DirectApi,
    envelope::Envelope,
    guard::{About, Passed, Prompt, Refused, Stage},
    route::Plan,
    stored_responses::{Earlier, items_before},
};

/// A request that guardrails let pass.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Their changes.
    pub(super) passed: Passed,
    /// Earlier turns, as far as they were judged.
    pub(super) earlier: Earlier,
    /// Rules for the answer.
    pub(super) rules: Option<GuardRules>,
}

/// Returns the rules of the configuration, the route and the key for a request, if there are any.
pub(super) fn rules(app: &App, plan: Option<&Plan>, caller: Option<&Caller>) -> Option<GuardRules> {
    let of_route = plan.and_then(|plan| plan.route.as_ref()?.plan.guard.as_ref());
    app.guard.rules(of_route, caller)
}

/// Judges a request by `rules`, once, together with the earlier turns that the log adds to it.
///
/// # Errors
/// Returns the reason why it is refused.
pub(super) async fn judge(
    app: &App,
    rules: GuardRules,
    plan: &Plan,
    caller: Option<&Caller>,
    (envelope, body): (&Envelope, &Bytes),
    id: Uuid,
) -> Result<Judged, Refused> {
    let judges_answers = app.guard.judges_answers(&rules);
    if judges_answers && envelope.direct.is_some() && envelope.stream {
        let reason = "streams of this API cannot be judged; ask without `stream`".to_owned();
        return Err(Refused::Content { stage: Stage::Answer, reason });
    }
    let earlier = match is_continued(plan, envelope) {
        false => Earlier::Judged(None),
        true => match items_before(&app.store, body, caller).await {
            Ok(items) => Earlier::Judged(items.map(Arc::from)),
            // Only a target with another API needs them, and then the attempt fails.
            Err(error) => Earlier::Failed(error),
        },
    };
    let items = match &earlier {
        Earlier::Judged(Some(items)) => Some(document(items)),
        _ => None,
    };
    let id = id.to_string();
    let about = About {
        id: &id,
        api: envelope.direct.map_or(envelope.api.as_str(), DirectApi::as_str),
        model: envelope.model.as_deref(),
        key: caller.map(Caller::name),
        owner: caller.and_then(Caller::owner),
    };
    let prompt = Prompt { body, earlier: items.as_ref() };
    // Boxed to keep the futures of all other requests small.
    let mut passed = Box::pin(app.guard.request(&rules, prompt, &about)).await?;
    let earlier = match passed.earlier.take() {
        Some(redacted) => Earlier::Judged(Some(items_of(&redacted))),
        None => earlier,
    };
    Ok(Judged { passed, earlier, rules: judges_answers.then_some(rules) })
}

/// Returns whether the log may add turns to the request: one of its targets, or of the copies of it, speaks another API.
fn is_continued(plan: &Plan, envelope: &Envelope) -> bool {
    let is_translated = || plan.candidates.iter().any(|candidate| candidate.is_translated(envelope));
    envelope.api == Api::Responses && envelope.direct.is_none() && (plan.is_mirrored() || is_translated())
}

/// Returns the items as a JSON array.
fn document(items: &[Json]) -> Bytes {
    let mut document = vec![b'['];
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            document.push(b',');
        }
        document.extend_from_slice(item.as_str().as_bytes());
    }
    document.push(b']');
    document.into()
}

/// Returns the items of a JSON array.
fn items_of(document: &[u8]) -> Arc<[Json]> {
    let mut items = Vec::new();
    // Replacing texts in it has left its structure.
    let _ = Reader::lenient(document).array(|item| {
        let raw = item.raw()?;
        items.extend(Json::parse(&String::from_utf8_lossy(raw)));
        Some(())
    });
    items.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_a_document_and_back() {
        let items = [r#"{"a":"x, ]"}"#, "[1]", "null"].map(|json| Json::parse(json).unwrap());
        for items in [&items[..], &items[..1], &[]] {
            let back = items_of(&document(items));
            assert_eq!(
                back.iter().map(Json::as_str).collect::<Vec<_>>(),
                items.iter().map(Json::as_str).collect::<Vec<_>>()
            );
        }
    }
}
