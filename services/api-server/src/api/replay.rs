//! `/api/requests/{id}/replay`: sends a logged request again, perhaps to another provider or model.

mod repeated;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, header};
use serde::Deserialize;
use serde_json::{Map, Number, Value};
use signalbox_management::form::{Field, Form};
use signalbox_management::request_key;
use signalbox_store::requests::{self, BodyKind};
use signalbox_store::{Error as StoreError, providers};
use utoipa::ToSchema;

use self::repeated::repeated;
use super::error::{ResourceKind, StoreErrorExt as _};
use super::error_schemas::Failure;
use super::extract::{Body, Path};
use super::playground::{LOGGED_ID, relayed, unanswered};
use super::{App, Error};

/// Header with the id of the request that was repeated.
const REPLAY_OF: HeaderName = HeaderName::from_static("x-signalbox-replay-of");

/// Maximum number of replays at once.
const MAX_TIMES: u8 = 20;

/// Differences from the logged request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayCommand {
    /// The id of the provider that answers; as routed by default.
    #[serde(default)]
    #[schema(value_type = String, min_length = 1)]
    provider: Field<String>,
    /// The model; that of the request by default.
    #[serde(default)]
    #[schema(value_type = String, min_length = 1)]
    model: Field<String>,
    /// Fields of the body with their new values; null removes a field.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Value>)]
    changes: Field<Map<String, Value>>,
    /// Number of times it is sent, one after the other; 1 by default. With more, the outcomes are returned, not the
    /// answers.
    #[serde(default)]
    #[schema(value_type = i64, minimum = 1, maximum = 20)]
    times: Field<Number>,
}

/// The valid options of a replay.
#[derive(Debug, PartialEq)]
struct Changes {
    provider: Option<String>,
    model: Option<String>,
    fields: Map<String, Value>,
    times: u8,
}

/// Sends a logged request again, and returns the response of the router, a stream as it arrives.
///
/// The new request is logged like any other, under the id in the header `x-signalbox-request-id`, and its `replay_of`
/// names the repeated one. A client that disconnects cancels it. It may cost money. With `times` above 1, the response
/// has the ids and outcomes of all replays.
#[utoipa::path(
    post, path = "/api/requests/{id}/replay", tag = "requests", request_body = ReplayCommand,
    params(("id" = String, Path, description = "A number or a UUID")),
    responses(
        (status = 200, description = "The response of the router", content(
            (Value = "application/json"), (String = "text/event-stream"),
        )),
        (status = "default", description = "The error of the router", body = Value),
        (status = 404, description = "`request_not_found`, or `body_not_found`: its body is not kept", body = Failure),
        (status = 409, description = "`not_replayable`: its body is redacted or no JSON object", body = Failure),
        (status = 503, description = "`router_unavailable`: the router does not answer, and nothing was sent",
         body = Failure),
    ),
)]
pub(super) async fn replay(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(command, form): Body<ReplayCommand>,
) -> Result<Response, Error> {
    let changes = command.check(form)?;
    if let Some(provider) = &changes.provider {
        signalbox_management::find(&app.management, provider).await?;
    }
    let key = request_key(&id);
    let (request, _) = requests::summary(&app.store, &key).await.or_missing(ResourceKind::Request, &id)?;
    let asked = requests::body(&app.store, &key, BodyKind::Asked).await.or_missing(ResourceKind::Request, &id)?;
    let asked = asked.ok_or_else(|| Error::Missing { what: ResourceKind::Body, id: format!("{id}/asked") })?;
    if request.method != Method::POST.as_str() || !request.path.starts_with("/v1/") {
        return Err(not_replayable("it asks no model. Choose one of the inference API"));
    }
    let routed = routed_model(&app, &changes, &request.model).await?;
    let body = changed(&asked.text, changes.fields, routed)?;
    let accept = headers.get(header::ACCEPT).cloned();
    if changes.times > 1 {
        let sent = (request.path.as_str(), body, accept);
        return Ok(Json(repeated(&app, sent, request.request_id, changes.times).await?).into_response());
    }
    let sent = app.router.infer(&request.path, body, accept).await;
    let mut response = relayed(sent.map_err(unanswered)?);
    let new = response.headers().get(LOGGED_ID).and_then(|id| id.to_str().ok());
    note(&app, new, &request.request_id).await;
    if let Ok(original) = HeaderValue::try_from(request.request_id) {
        response.headers_mut().insert(REPLAY_OF, original);
    }
    Ok(response)
}

/// Notes that a request repeats another one. Without the note, it is a request like any other.
async fn note(app: &App, new: Option<&str>, replay_of: &str) {
    let Some(new) = new else { return };
    if let Err(error) = requests::note_replay(&app.store, new, replay_of).await {
        tracing::warn!(%error, request_id = new, "cannot note that a request is a replay");
    }
}

/// Returns the new value of the field `model`, if it changes: a provider is chosen as `provider/model`.
async fn routed_model(app: &App, changes: &Changes, original: &str) -> Result<Option<String>, Error> {
    let Some(provider) = &changes.provider else { return Ok(changes.model.clone()) };
    let model = changes.model.as_deref().unwrap_or(original);
    // The name may choose a provider already.
    let name = match model.split_once('/') {
        Some((prefix, name)) => match providers::get(&app.store, prefix).await {
            Ok(_) => name,
            Err(StoreError::NotFound { .. }) => model,
            Err(error) => return Err(error.into()),
        },
        None => model,
    };
    Ok(Some(format!("{provider}/{name}")))
}

/// Returns the body with its changes.
fn changed(asked: &str, fields: Map<String, Value>, model: Option<String>) -> Result<Bytes, Error> {
    let Ok(Value::Object(mut body)) = serde_json::from_str(asked) else {
        return Err(not_replayable("its body is no JSON object. Send the corrected request as a new one"));
    };
    if body.values().any(is_redacted) {
        return Err(not_replayable("only the shape of its body is kept. Send it as a new one"));
    }
    for (name, value) in fields {
        match value {
            Value::Null => drop(body.remove(&name)),
            value => drop(body.insert(name, value)),
        }
    }
    if let Some(model) = model {
        body.insert("model".to_owned(), model.into());
    }
    Ok(Value::Object(body).to_string().into())
}

/// Returns whether a value has a text that the log has replaced by its length.
fn is_redacted(value: &Value) -> bool {
    match value {
        Value::String(text) => text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(" characters]"))
            .is_some_and(|count| !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit())),
        Value::Array(items) => items.iter().any(is_redacted),
        Value::Object(fields) => fields.values().any(is_redacted),
        _ => false,
    }
}

fn not_replayable(reason: &str) -> Error {
    Error::Conflict { code: "not_replayable", message: format!("The request cannot be repeated: {reason}") }
}

// === impl ReplayCommand ===

impl ReplayCommand {
    fn check(self, mut form: Form) -> Result<Changes, Error> {
        let changes = Changes {
            provider: form.text(self.provider, "provider must be the id of a provider"),
            model: form.text(self.model, "model must be the name of a model"),
            fields: form.object("changes", self.changes).unwrap_or_default(),
            times: times(self.times, &mut form),
        };
        if changes.fields.contains_key("model") {
            form.mistake("changes must not contain model: use the field model");
        }
        form.finish()?;
        Ok(changes)
    }
}

/// Reads how many times the request is sent.
fn times(given: Field<Number>, form: &mut Form) -> u8 {
    let Some(number) = form.integer("times", given) else { return 1 };
    let times = u8::try_from(number).ok().filter(|times| (1..=MAX_TIMES).contains(times));
    times.unwrap_or_else(|| {
        form.mistake(format!("times must be between 1 and {MAX_TIMES}"));
        1
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use signalbox_management::form::read;

    use super::*;

    fn check(value: &Value) -> Result<Changes, Error> {
        let (command, form) = read::<ReplayCommand>(value.as_object().cloned().unwrap_or_default())?;
        command.check(form)
    }

    #[test]
    fn changes_are_applied_to_the_body() {
        let asked = r#"{"model":"a","temperature":1,"stop":"x","messages":[{"role":"user","content":"hi"}]}"#;
        let fields = json!({"temperature": 0, "stop": null, "stream": true});
        let body = changed(asked, fields.as_object().cloned().unwrap(), Some("p/b".to_owned())).unwrap();
        let expected = json!({"model": "p/b", "temperature": 0, "stream": true,
            "messages": [{"role": "user", "content": "hi"}]});
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    }

    #[test]
    fn what_is_not_kept_is_not_sent() {
        for asked in ["", "[]", "not JSON", r#"{"messages":[{"role":"user","content":"[12 characters]"}]}"#] {
            let error = changed(asked, Map::new(), None).unwrap_err();
            assert!(matches!(error, Error::Conflict { code: "not_replayable", .. }), "{asked}");
        }
        changed(r#"{"messages":[{"content":"[many characters]"}]}"#, Map::new(), None).unwrap();
    }

    #[test]
    fn every_mistake_is_reported() {
        let none = Changes { provider: None, model: None, fields: Map::new(), times: 1 };
        assert_eq!(check(&json!({})).unwrap(), none);
        assert_eq!(check(&json!({"times": 20})).unwrap().times, 20);
        for times in [json!(0), json!(21), json!(1.5), json!("x")] {
            check(&json!({ "times": times })).unwrap_err();
        }
        let wrong = json!({"provider": 1, "model": " ", "changes": [], "stream": 3});
        let Err(Error::Validation(mistakes)) = check(&wrong) else { panic!("accepted") };
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
        check(&json!({"changes": {"model": "x"}})).unwrap_err();
    }
}
