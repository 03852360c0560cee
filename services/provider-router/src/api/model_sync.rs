//! `POST /v1/models/sync[/{provider}]`: the models that providers list become models of the catalogue.
//!
//! Providers are asked side by side, each within a time of its own, so that one that is slow holds up nobody else. What it takes
//! to write is one transaction for each provider.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use signalbox_core::id::is_resource_id;
use signalbox_store::audit::{Actor, acting};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Duration, timeout},
};

use super::{error::ApiError, models::ask, path::Path, providers::loaded};
use crate::{
    app::App,
    provider::{Adapter, Provider},
};

/// Who presses a button wants to know soon.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many providers are asked at once.
const AT_ONCE: usize = 8;
/// A list with more models is no catalogue.
const MAX_MODELS: usize = 5000;

/// What has come of one provider.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    success: bool,
    models_added: u64,
    links_added: u64,
    /// How many it lists.
    total_models: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// As much of a list as matters here. Ollama and Gemini frame theirs in other ways, but not at the address we ask.
#[derive(Debug, Deserialize)]
struct List {
    data: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    id: String,
}

/// `POST /v1/models/sync`: 200 also when some providers do not answer; `results` says which.
pub(super) async fn all(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    app.refresher.refresh().await?;
    let providers: Vec<_> = app.catalog.current().providers().to_vec();
    let (permits, mut asking) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for provider in providers {
        let (app, permits) = (Arc::clone(&app), Arc::clone(&permits));
        asking.spawn(async move {
            // It is never closed.
            let _permit = permits.acquire().await;
            (provider.id.clone(), sync(&app, &provider).await)
        });
    }
    let results: BTreeMap<String, Outcome> = asking.join_all().await.into_iter().collect();
    app.refresher.refresh().await.ok();
    let successful = results.values().filter(|outcome| outcome.success).count();
    let errors = if successful == results.len() { "successfully" } else { "with errors" };
    Ok(Json(json!({
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
    })))
}

/// `POST /v1/models/sync/{provider}`.
pub(super) async fn one(State(app): State<Arc<App>>, Path(id): Path) -> Response {
    // Somebody who has just made a provider means that one.
    app.refresher.refresh().await.ok();
    let provider = match loaded(&app, &id).await {
        Ok(provider) => provider,
        Err(error) => return refusal(&error),
    };
    let outcome = sync(&app, &provider).await;
    app.refresher.refresh().await.ok();
    let message = match &outcome.error {
        None => format!("Models of {id} synced successfully"),
        Some(error) => format!("The models of {id} cannot be synced: {error}"),
    };
    Json(json!({ "success": outcome.success, "message": message, "result": outcome })).into_response()
}

/// The original's shape, with a status that says what is wrong.
fn refusal(error: &ApiError) -> Response {
    let body = json!({ "success": false, "error": error.to_string() });
    (error.status(), Json(body)).into_response()
}

async fn sync(app: &App, provider: &Provider) -> Outcome {
    let asked = timeout(PATIENCE, list(app, provider)).await;
    let listed = asked.unwrap_or_else(|_| Err(format!("it has not answered within {} s", PATIENCE.as_secs())));
    match listed {
        Ok(None) => Outcome { success: true, ..Outcome::default() },
        Ok(Some(listed)) => {
            let written = acting(Actor::router(), app.refresher.sync(&provider.id, &listed)).await;
            match written {
                Ok(synced) => Outcome {
                    success: true,
                    models_added: synced.models_added,
                    links_added: synced.links_added,
                    total_models: listed.len(),
                    error: None,
                },
                Err(away) => Outcome { error: Some(away.to_string()), ..Outcome::default() },
            }
        }
        Err(error) => Outcome { error: Some(error), ..Outcome::default() },
    }
}

/// The ids that the provider lists, each once, in its order; none if it is not somebody one can ask.
async fn list(app: &App, provider: &Provider) -> Result<Option<Vec<String>>, String> {
    let openai = match &provider.adapter {
        Adapter::Echo(_) => return Ok(None),
        Adapter::Misconfigured(reason) => return Err(reason.clone()),
        Adapter::OpenAi(openai) => openai,
    };
    read(&ask(app, openai).await?).map(Some)
}

fn read(list: &[u8]) -> Result<Vec<String>, String> {
    let list: List = serde_json::from_slice(list).map_err(|error| format!("its list is not one of models: {error}"))?;
    let mut ids: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for Listed { id } in list.data {
        // What cannot be an id here cannot be asked for either.
        if is_resource_id(&id) && seen.insert(id.clone()) {
            ids.push(id);
        }
    }
    if ids.len() > MAX_MODELS {
        return Err(format!("it lists {} models, more than {MAX_MODELS}", ids.len()));
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_once_and_in_order() {
        let list = r#"{"object":"list","data":[{"id":"b","owned_by":"x"},{"id":"a/b:c.d"},{"id":"b"},{"id":"no such"},{"id":""}]}"#;
        assert_eq!(read(list.as_bytes()).unwrap(), ["b", "a/b:c.d"]);
        assert!(read(br#"{"data":[]}"#).unwrap().is_empty());
        for bad in ["{}", "[]", r#"{"data":[{"name":"x"}]}"#, r#"{"data":{}}"#, "<html>"] {
            assert!(read(bad.as_bytes()).unwrap_err().starts_with("its list is not"), "{bad}");
        }
        let many: Vec<_> = (0..=MAX_MODELS).map(|id| json!({"id": format!("m-{id}")})).collect();
        assert!(read(json!({"data": many}).to_string().as_bytes()).unwrap_err().contains("more than"));
    }
}
