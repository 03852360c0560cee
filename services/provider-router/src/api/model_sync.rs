//! `POST /v1/models/sync[/{provider}]`: adds the models that providers list to the catalogue.
//!
//! Providers are asked concurrently, each with its own timeout, so that a slow provider does not delay the others. The
//! models and links of each provider are written in one transaction. List entries that are not models are counted and
//! named in the result.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, json};
use signalbox_core::id::check_model_id;
use signalbox_store::audit::{Actor, with_actor};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{error::ApiError, path::Path, providers::loaded};
use crate::{app::App, model_list::ParsedList, model_lists, provider::Provider};

/// Maximum number of providers asked at once.
const MAX_CONCURRENT: usize = 8;
/// Maximum number of skipped entries named in a result.
const MAX_NAMED: usize = 20;

/// Result for one provider.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    success: bool,
    models_added: u64,
    links_added: u64,
    /// Number of listed models that are valid in the catalogue.
    total_models: usize,
    /// Number of skipped list entries.
    #[serde(skip_serializing_if = "is_zero")]
    skipped: usize,
    /// The first skipped entries, each with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    skipped_models: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// `POST /v1/models/sync`: syncs all providers. The status is 200 even if some do not answer; see `results`.
///
/// The changes have the actor of the request in the audit log, if it has one.
pub(super) async fn all(State(app): State<Arc<App>>, actor: Option<Extension<Actor>>) -> Result<Json<Value>, ApiError> {
    let actor = of_request(actor);
    app.refresher.refresh().await?;
    let providers: Vec<_> = app.catalog.current().providers().to_vec();
    let (permits, mut asking) = (Arc::new(Semaphore::new(MAX_CONCURRENT)), JoinSet::new());
    for provider in providers {
        let (app, permits, actor) = (Arc::clone(&app), Arc::clone(&permits), actor.clone());
        asking.spawn(async move {
            // The semaphore is never closed.
            let _permit = permits.acquire().await;
            (provider.id.clone(), sync(&app, &provider, actor).await)
        });
    }
    let results: BTreeMap<String, Outcome> = asking.join_all().await.into_iter().collect();
    let warning = app.refresher.refresh().await.err().map(|away| away.not_in_effect());
    let successful = results.values().filter(|outcome| outcome.success).count();
    let errors = if successful == results.len() { "successfully" } else { "with errors" };
    let mut answer = json!({
        "success": successful == results.len(),
        "message": format!("Model sync completed {errors}"),
        "totals": {
            "providers": results.len(),
            "successful": successful,
            "failed": results.len() - successful,
            "totalModelsAdded": results.values().map(|outcome| outcome.models_added).sum::<u64>(),
            "totalLinksAdded": results.values().map(|outcome| outcome.links_added).sum::<u64>(),
        },
        "results": results,
    });
    if let Some(warning) = warning {
        answer["warning"] = warning.into();
    }
    Ok(Json(answer))
}

/// `POST /v1/models/sync/{provider}`: syncs one provider.
pub(super) async fn one(State(app): State<Arc<App>>, actor: Option<Extension<Actor>>, Path(id): Path) -> Response {
    // The provider may have been created a moment ago.
    if let Err(away) = app.refresher.refresh().await {
        return refusal(&away.into());
    }
    let provider = match loaded(&app, &id).await {
        Ok(provider) => provider,
        Err(error) => return refusal(&error),
    };
    let outcome = sync(&app, &provider, of_request(actor)).await;
    let warning = app.refresher.refresh().await.err().map(|away| away.not_in_effect());
    let message = match &outcome.error {
        None => format!("Models of {id} synced successfully"),
        Some(error) => format!("The models of {id} cannot be synced: {error}"),
    };
    let mut answer = json!({ "success": outcome.success, "message": message, "result": outcome });
    if let Some(warning) = warning {
        answer["warning"] = warning.into();
    }
    Json(answer).into_response()
}

/// Returns an error in the response shape of the Node.js version, with the status of the error.
fn refusal(error: &ApiError) -> Response {
    let body = json!({ "success": false, "error": error.to_string() });
    (error.status(), Json(body)).into_response()
}

/// Returns the actor of a request; the router if api-server has sent it.
fn of_request(actor: Option<Extension<Actor>>) -> Actor {
    actor.map_or_else(Actor::router, |Extension(actor)| actor)
}

async fn sync(app: &App, provider: &Provider, actor: Actor) -> Outcome {
    let failed = |error: String| Outcome { error: Some(error), ..Outcome::default() };
    let listed = match model_lists::fetch(app, provider).await {
        Ok(None) => return Outcome { success: true, ..Outcome::default() },
        Ok(Some(answer)) => answer.listed,
        Err(reason) => return failed(reason),
    };
    let (ids, skipped) = for_catalogue(&listed);
    let written = async {
        app.refresher.keep_list(provider, &listed.models).await?;
        app.refresher.sync(&provider.id, &ids).await
    };
    match with_actor(actor, written).await {
        Ok(synced) => Outcome {
            success: true,
            models_added: synced.models_added,
            links_added: synced.links_added,
            total_models: ids.len(),
            skipped: skipped.len(),
            skipped_models: skipped.into_iter().take(MAX_NAMED).collect(),
            error: None,
        },
        Err(away) => failed(away.to_string()),
    }
}

/// Returns the ids that are valid in the catalogue, and all skipped entries with the reason.
fn for_catalogue(listed: &ParsedList) -> (Vec<String>, Vec<String>) {
    let (mut good, mut skipped) = (Vec::new(), listed.skipped.clone());
    for model in &listed.models {
        match check_model_id(&model.id) {
            Ok(()) => good.push(model.id.clone()),
            Err(mistake) => skipped.push(format!("{}: an id in the catalogue {mistake}", json!(model.id))),
        }
    }
    (good, skipped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_list::read;

    #[test]
    fn ids_that_the_catalogue_refuses_are_named() {
        let list =
            json!({"data": [{"id": "b"}, {"id": "a/b:c.d@q4+x"}, {"id": "no such"}, {"object": "model"}, {"id": "b"}]});
        let (ids, skipped) = for_catalogue(&read(list.to_string().as_bytes(), "p").unwrap());
        assert_eq!(ids, ["b", "a/b:c.d@q4+x"]);
        assert!(skipped.len() == 2 && skipped[1].starts_with("\"no such\": "), "{skipped:?}");
    }

    #[test]
    fn a_success_is_reported_like_in_the_nodejs_version() {
        let outcome = Outcome { success: true, models_added: 1, links_added: 2, total_models: 3, ..Outcome::default() };
        assert_eq!(json!(outcome), json!({"success": true, "modelsAdded": 1, "linksAdded": 2, "totalModels": 3}));
    }
}
