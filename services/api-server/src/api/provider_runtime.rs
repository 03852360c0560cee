//! `/api/providers/:id/test|reload`: what the running router makes of a provider.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Value, json};
use signalbox_management::find;

use super::bodies::{Reloaded, Tested};
use super::extract::Path;
use super::refusals::Failure;
use super::{App, Error, now_ms};

/// Asks it for its models, to see whether it answers.
///
/// 200 also when the provider is not well: the test went well.
#[utoipa::path(
    post, path = "/api/providers/{id}/test", tag = "providers", params(("id" = String, Path)),
    responses(
    (status = 200, description = "The outcome", body = Tested),
    (status = 400, description = "`provider_not_loaded`: the router does not run, or has not loaded it", body = Failure),
    ),
)]
pub(super) async fn test(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Error> {
    find(&app.management, &id).await?;
    let not_loaded = |reason: String| Error::NotLoaded { id: id.clone(), reason };
    let answer = app.router.test(&id).await.map_err(|error| not_loaded(format!("provider-router: {error}")))?;
    match (answer.status, answer.code()) {
        (StatusCode::OK, _) => Ok(Json(answer.body)),
        (StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND, _) => Err(not_loaded(answer.message())),
        _ => Ok(Json(json!({ "provider_id": id, "healthy": false, "error": answer.message(), "timestamp": now_ms() }))),
    }
}

/// Has the router read its configuration anew: a change is in force when this answers, and not only within a second.
#[utoipa::path(
    post, path = "/api/providers/{id}/reload", tag = "providers", params(("id" = String, Path)),
    responses(
    (status = 200, description = "It is loaded", body = Reloaded),
    (status = 400, description = "`provider_disabled`", body = Failure),
    (status = 503, description = "`router_unavailable`: what is saved takes effect when it runs", body = Failure),
    ),
)]
pub(super) async fn reload(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Error> {
    if !find(&app.management, &id).await?.enabled {
        return Err(Error::Disabled(id));
    }
    let away = |reason: String| Error::RouterAway(reason);
    let answer = app.router.reload(&id).await.map_err(|error| away(error.to_string()))?;
    match answer.status {
        StatusCode::OK => {
            // Nobody may be listening.
            app.reloads.send(id).ok();
            Ok(Json(answer.body))
        }
        _ => Err(away(answer.message())),
    }
}
