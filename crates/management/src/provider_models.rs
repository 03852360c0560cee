//! Routes of `/api/providers/:id/models`: the models that a provider serves.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use signalbox_core::provider_config::check_link;
use signalbox_core::schema::{LinkedModel, ProviderModel};
use signalbox_daemon::clock::unix_ms;
use signalbox_store::{models, provider_models};
use utoipa::ToSchema;

use super::bodies::LinkToMake;
use super::done::Done;
use super::error::{ResourceKind, StoreErrorExt as _};
use super::error_schemas::Failure;
use super::extract::{Body, Path};
use super::providers::find;
use super::views::{LinkedModelView, as_json};
use super::{App, Error};

/// A newly created link.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LinkView {
    id: i64,
    provider_id: String,
    model_id: String,
    is_default: bool,
    #[schema(value_type = Value)]
    config: Option<Box<RawValue>>,
    created_at: i64,
    updated_at: i64,
}

/// The models of a provider.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LinkedModels {
    provider_id: String,
    models: Vec<LinkedModelView>,
    total: usize,
}

/// The default that was set.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DefaultSet {
    provider_id: String,
    default_model: LinkedModelView,
    message: &'static str,
}

/// Lists the linked models of a provider, the default first.
#[utoipa::path(
    get, path = "/api/providers/{id}/models", tag = "provider-models", params(("id" = String, Path)),
    responses((status = 200, description = "The models", body = LinkedModels)),
)]
pub(super) async fn list(State(app): State<App>, Path(id): Path<String>) -> Result<Json<LinkedModels>, Error> {
    find(&app, &id).await?;
    let models = provider_models::list(&app.store, &id).await?;
    let models: Vec<_> = models.into_iter().map(LinkedModelView::from).collect();
    Ok(Json(LinkedModels { provider_id: id, total: models.len(), models }))
}

/// Links a model to a provider, which serves the model from then on.
#[utoipa::path(
    post, path = "/api/providers/{id}/models", tag = "provider-models", request_body = LinkToMake, params(("id" = String, Path)),
    responses(
    (status = 201, description = "The link", body = LinkView),
    (status = 409, description = "`model_already_linked`", body = Failure),
    ),
)]
pub(super) async fn link(
    State(app): State<App>,
    Path(id): Path<String>,
    Body(new, mut form): Body<LinkToMake>,
) -> Result<(StatusCode, Json<LinkView>), Error> {
    let model_id = form.required_text(new.model_id, "model_id is required and must be a non-empty string");
    let is_default = form.boolean("is_default", new.is_default).unwrap_or(false);
    let config = form.valid(new.config, "config must be an object or null").flatten().map(|config| {
        form.check(check_link(&config));
        Value::Object(config).to_string()
    });
    form.finish()?;
    find(&app, &id).await?;
    models::get(&app.store, &model_id).await.or_missing(ResourceKind::Model, &model_id)?;
    let link = provider_models::NewLink { provider_id: id, model_id, is_default, config };
    let row = provider_models::link(&app.store, &link, unix_ms()).await.or_taken(
        "model_already_linked",
        "model_id",
        || format!("Model {} is linked to this provider already", link.model_id),
    )?;
    Ok((StatusCode::CREATED, Json(row.into())))
}

/// Removes a link.
#[utoipa::path(
    delete, path = "/api/providers/{id}/models/{model}", tag = "provider-models", params(("id" = String, Path), ("model" = String, Path)),
    responses((status = 200, description = "Deleted", body = Done)),
)]
pub(super) async fn unlink(
    State(app): State<App>,
    Path((id, model)): Path<(String, String)>,
) -> Result<Json<Done>, Error> {
    find(&app, &id).await?;
    provider_models::unlink(&app.store, &id, &model).await.or_missing(ResourceKind::Link, &model)?;
    Ok(Json(Done::new("Model unlinked from provider")))
}

/// Makes a linked model the default of the provider, in place of the previous default.
#[utoipa::path(
    put, path = "/api/providers/{id}/models/{model}/default", tag = "provider-models", params(("id" = String, Path), ("model" = String, Path)),
    responses((status = 200, description = "The model", body = DefaultSet)),
)]
pub(super) async fn set_default(
    State(app): State<App>,
    Path((id, model)): Path<(String, String)>,
) -> Result<Json<DefaultSet>, Error> {
    find(&app, &id).await?;
    let link = provider_models::set_default(&app.store, &id, &model, unix_ms())
        .await
        .or_missing(ResourceKind::Link, &model)?;
    let model = models::get(&app.store, &model).await.or_missing(ResourceKind::Model, &model)?;
    let default_model = LinkedModelView::from(LinkedModel { model, is_default: link.is_default, config: link.config });
    Ok(Json(DefaultSet { provider_id: id, default_model, message: "Default model updated" }))
}

// === impl LinkView ===

impl From<ProviderModel> for LinkView {
    fn from(row: ProviderModel) -> Self {
        Self {
            id: row.id,
            provider_id: row.provider_id,
            model_id: row.model_id,
            is_default: row.is_default,
            config: row.config.map(as_json),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
