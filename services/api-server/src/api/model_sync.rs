//! `/api/models/sync`: the models that providers list become models of ours. The router asks them; it knows the way.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::Value;

use super::extract::Path;
use super::providers::find;
use super::{App, Error};

/// `POST /api/models/sync` → `{"success", "message", "results": {provider: …}, "totals"}`; 200 also when some do not answer.
pub(super) async fn all(State(app): State<App>) -> Result<(StatusCode, Json<Value>), Error> {
    passed_on(&app, None).await
}

/// `POST /api/models/sync/:provider` → `{"success", "message", "result"}`.
pub(super) async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<(StatusCode, Json<Value>), Error> {
    if !find(&app, &id).await?.enabled {
        return Err(Error::Disabled(id));
    }
    passed_on(&app, Some(&id)).await
}

async fn passed_on(app: &App, provider: Option<&str>) -> Result<(StatusCode, Json<Value>), Error> {
    let answer = app.router.sync_models(provider).await.map_err(|error| Error::RouterAway(error.to_string()))?;
    match answer.status {
        StatusCode::OK => Ok((answer.status, Json(answer.body))),
        _ => Err(Error::RouterAway(answer.message())),
    }
}
