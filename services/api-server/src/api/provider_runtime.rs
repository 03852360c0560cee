//! `/api/providers/:id/test|reload`: tests and reloads a provider in the running router.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use signalbox_daemon::clock::unix_ms;
use signalbox_management::find;

use super::bodies::{Reloaded, Tested};
use super::error_schemas::Failure;
use super::extract::Path;
use super::{App, Error};

/// Tests a provider by requesting its models.
///
/// Responds 200 even if the provider is unhealthy, because the test itself succeeded.
#[utoipa::path(
    post, path = "/api/providers/{id}/test", tag = "providers", params(("id" = String, Path)),
    responses(
    (status = 200, description = "The outcome", body = Tested),
    (status = 400,
     description = "`provider_not_loaded`: the router is not running, or has not loaded the provider", body = Failure),
    ),
)]
pub(super) async fn test(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Tested>, Error> {
    find(&app.management, &id).await?;
    let not_loaded = |reason: String| Error::NotLoaded { id: id.clone(), reason };
    let answer = app.router.test(&id).await.map_err(|error| not_loaded(format!("provider-router: {error}")))?;
    match (answer.status, answer.code()) {
        (StatusCode::OK, _) => answer.read().map(Json).map_err(Error::RouterAway),
        (StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND, _) => Err(not_loaded(answer.message())),
        _ => Ok(Json(Tested::failed(id, answer.message(), unix_ms()))),
    }
}

/// Makes the router reload its configuration: a change is in effect when this responds, instead of within a second.
#[utoipa::path(
    post, path = "/api/providers/{id}/reload", tag = "providers", params(("id" = String, Path)),
    responses(
    (status = 200, description = "The provider is loaded", body = Reloaded),
    (status = 400, description = "`provider_disabled`", body = Failure),
    (status = 503,
     description = "`router_unavailable`: saved changes take effect once the router is running", body = Failure),
    ),
)]
pub(super) async fn reload(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Reloaded>, Error> {
    if !find(&app.management, &id).await?.enabled {
        return Err(Error::Disabled(id));
    }
    let away = |reason: String| Error::RouterAway(reason);
    let answer = app.router.reload(&id).await.map_err(|error| away(error.to_string()))?;
    match answer.status {
        StatusCode::OK => {
            // There may be no listeners.
            app.reloads.send(id).ok();
            answer.read().map(Json).map_err(away)
        }
        _ => Err(away(answer.message())),
    }
}
