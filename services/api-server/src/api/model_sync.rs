//! `/api/models/sync`: adds the models that providers list to the catalogue. The router requests the lists.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::de::DeserializeOwned;
use signalbox_management::find;

use super::bodies::{Synced, SyncedOne};
use super::error_schemas::Failure;
use super::extract::Path;
use super::{App, Error};

/// Fetches the model lists of all providers, and adds new models.
///
/// Responds 200 even if some providers do not answer.
#[utoipa::path(
    post, path = "/api/models/sync", tag = "model-sync",
    responses(
    (status = 200, description = "Outcome for each provider", body = Synced),
    (status = 503,
     description = "`router_unavailable`: the router, which requests the lists, is not running", body = Failure),
    ),
)]
pub(super) async fn all(State(app): State<App>) -> Result<Json<Synced>, Error> {
    passed_on(&app, None).await
}

/// Fetches the model list of one provider, and adds new models.
#[utoipa::path(
    post, path = "/api/models/sync/{id}", tag = "model-sync",
    params(("id" = String, Path, description = "The provider")),
    responses(
    (status = 200, description = "Outcome for the provider", body = SyncedOne),
    (status = 400, description = "`provider_disabled`", body = Failure),
    (status = 503,
     description = "`router_unavailable`: the router, which requests the lists, is not running", body = Failure),
    ),
)]
pub(super) async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<SyncedOne>, Error> {
    if !find(&app.management, &id).await?.enabled {
        return Err(Error::Disabled(id));
    }
    passed_on(&app, Some(&id)).await
}

async fn passed_on<T: DeserializeOwned>(app: &App, provider: Option<&str>) -> Result<Json<T>, Error> {
    let answer = app.router.sync_models(provider).await.map_err(|error| Error::RouterAway(error.to_string()))?;
    match answer.status {
        StatusCode::OK => answer.read().map(Json).map_err(Error::RouterAway),
        _ => Err(Error::RouterAway(answer.message())),
    }
}
