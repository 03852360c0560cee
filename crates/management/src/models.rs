//! Routes of `/api/models`: the model names that requests may use.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use signalbox_core::id::{check_model_id, is_resource_id};
use signalbox_core::schema::{Model, ModelUpdate, NewModel, Provider};
use signalbox_core::text::{NOT_A_LINE, is_line};
use signalbox_daemon::clock::unix_ms;
use signalbox_store::{ListPage, Page, models, provider_models};
use utoipa::ToSchema;

use super::bodies::{ModelChanges, ModelToMake};
use super::done::Done;
use super::error::{ResourceKind, StoreErrorExt as _};
use super::error_schemas::Failure;
use super::extract::{Body, Path};
use super::filters::{ModelFilter, Pages};
use super::form::{Field, Form};
use super::mistake::FieldMistake;
use super::precondition::{IfMatch, Versioned};
use super::query::{Query, next_offset_cursor};
use super::version::Version;
use super::views::{LinkedModelView, ModelView, as_json};
use super::{App, Error};

/// A model with the providers that serve it.
#[derive(Debug, Serialize, ToSchema)]
struct WholeModel {
    #[serde(flatten)]
    model: ModelView,
    providers: Vec<ServingProvider>,
}

/// A provider that serves the model.
#[derive(Debug, Serialize, ToSchema)]
struct ServingProvider {
    #[serde(flatten)]
    provider: Provider,
    is_default: bool,
    #[schema(value_type = Value)]
    model_config: Option<Box<RawValue>>,
}

/// Models, or models as served by one provider.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum ModelViews {
    All(Vec<ModelView>),
    Linked(Vec<LinkedModelView>),
}

/// A page of the list of models.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelList {
    models: ModelViews,
    total: i64,
    /// The cursor of the next page; null at the end.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OneModel {
    model: ModelView,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OneWholeModel {
    model: WholeModel,
}

/// Lists the models, sorted by name.
///
/// With `provider`, lists the models as served by that provider, its default first.
#[utoipa::path(
    get, path = "/api/models", tag = "models",
    params(
        ModelFilter, Pages,
        ("cursor" = Option<String>, Query, pattern = "^(p[0-7][0-9a-f]{15})?$",
         description = "`next_cursor` of the previous page; omit it for the first page"),
    ),
    responses((status = 200, description = "One page of the list", body = ModelList)),
)]
pub(super) async fn list(State(app): State<App>, mut query: Query) -> Result<Json<ModelList>, Error> {
    let filter: ModelFilter = query.read();
    let (capability, provider) = (filter.capability.text(), filter.provider.text());
    let page = query.offset_page();
    query.finish()?;
    let Some(provider) = provider else {
        let filter = models::Filter { capability, provider_id: None };
        let list = models::list(&app.store, &filter, page).await?.map(ModelView::from);
        let next_cursor = next_offset_cursor(list.items.len(), list.total, page);
        return Ok(Json(ModelList { total: list.total, models: ModelViews::All(list.items), next_cursor }));
    };
    let list = served_by(&app, &provider, capability.as_deref(), page).await?;
    let next_cursor = next_offset_cursor(list.items.len(), list.total, page);
    Ok(Json(ModelList { total: list.total, models: ModelViews::Linked(list.items), next_cursor }))
}

/// Returns one model with the providers that serve it.
#[utoipa::path(
    get, path = "/api/models/{id}", tag = "models",
    params(("id" = String, Path)),
    responses((status = 200, description = "The model", body = OneWholeModel)),
)]
pub(super) async fn get(State(app): State<App>, Path(id): Path<String>) -> Result<Versioned<OneWholeModel>, Error> {
    let model = models::get(&app.store, &id).await.or_missing(ResourceKind::Model, &id)?;
    let version = version_of(&model);
    let providers = provider_models::providers_of(&app.store, &id).await?;
    let serving = |linked: provider_models::LinkedProvider| ServingProvider {
        provider: linked.provider,
        is_default: linked.is_default,
        model_config: linked.config.map(as_json),
    };
    let model = WholeModel { model: model.into(), providers: providers.into_iter().map(serving).collect() };
    Ok(Versioned(version, OneWholeModel { model }))
}

/// Creates a model.
#[utoipa::path(
    post, path = "/api/models", tag = "models", request_body = ModelToMake,
    responses(
    (status = 201, description = "The model", body = OneModel),
    (status = 409, description = "`model_exists`", body = Failure),
    ),
)]
pub(super) async fn create(
    State(app): State<App>,
    Body(new, mut form): Body<ModelToMake>,
) -> Result<(StatusCode, Json<OneModel>), Error> {
    let id = form.required_text(new.id, "id is required and must be a non-empty string");
    if !id.is_empty() && !is_resource_id(&id) {
        // More permissive than the Node.js version: model names contain dots, slashes and colons.
        form.mistake("id must contain only letters, numbers, and the characters - . _ : / @ +, at most 128 of them");
    } else if let Some(mistake) = check_model_id(&id).err().filter(|_| !id.is_empty()) {
        form.mistake(format!("id {mistake}"));
    }
    let model = NewModel {
        id,
        name: form.required_line("name", new.name, NAME),
        description: form.prose_or_null("description", new.description).flatten(),
        capabilities: capabilities(&mut form, new.capabilities).unwrap_or_default(),
    };
    form.finish()?;
    let model = models::insert(&app.store, &model, unix_ms()).await.or_taken("model_exists", "id", || {
        format!("A model with the id {} already exists; choose another id, or update that model", model.id)
    })?;
    Ok((StatusCode::CREATED, Json(OneModel { model: model.into() })))
}

/// Changes a model. Absent fields keep their values.
#[utoipa::path(
    put, path = "/api/models/{id}", tag = "models", request_body = ModelChanges,
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that the change is meant for")),
    responses(
    (status = 200, description = "The model", body = OneModel),
    (status = 412, description = "`version_changed`: it is not the version of `If-Match`", body = Failure),
    ),
)]
pub(super) async fn update(
    State(app): State<App>,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(changes, mut form): Body<ModelChanges>,
) -> Result<Versioned<OneModel>, Error> {
    form.ignore(&READ_ONLY);
    let update = ModelUpdate {
        name: form.line("name", changes.name, NAME),
        description: form.prose_or_null("description", changes.description),
        capabilities: capabilities(&mut form, changes.capabilities),
    };
    form.finish()?;
    if update == ModelUpdate::default() {
        return Err(Error::invalid(
            "No valid fields to update; send at least one of name, description and capabilities",
        ));
    }
    let model = if_match.guard(&app, || present(&app, &id), || change(&app, &id, &update)).await?;
    Ok(Versioned(version_of(&model), OneModel { model: model.into() }))
}

/// Deletes a model with its links.
#[utoipa::path(
    delete, path = "/api/models/{id}", tag = "models",
    params(
        ("id" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that is meant to be deleted"),
    ),
    responses(
    (status = 200, description = "Deleted", body = Done),
    (status = 412, description = "`version_changed`: it is not the version of `If-Match`", body = Failure),
    ),
)]
pub(super) async fn delete(
    State(app): State<App>,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<Json<Done>, Error> {
    let of = (ResourceKind::Model, &*id);
    if_match.delete(&app, of, || present(&app, &id), || models::delete(&app.store, &id)).await?;
    Ok(Json(Done::new("Model deleted")))
}

const NAME: &str = "name is required and must be a non-empty string";

/// Fields that forms send back unchanged.
const READ_ONLY: [&str; 5] = ["id", "created_at", "updated_at", "status", "providers"];

async fn change(app: &App, id: &str, update: &ModelUpdate) -> Result<Model, Error> {
    models::update(&app.store, id, update, unix_ms()).await.or_missing(ResourceKind::Model, id)
}

async fn present(app: &App, id: &str) -> Result<Version, Error> {
    Ok(version_of(&models::get(&app.store, id).await.or_missing(ResourceKind::Model, id)?))
}

fn version_of(model: &Model) -> Version {
    Version::of(model.updated_at, &(&model.name, &model.description, &model.capabilities))
}

async fn served_by(
    app: &App,
    provider: &str,
    capability: Option<&str>,
    page: Page,
) -> Result<ListPage<LinkedModelView>, Error> {
    let mut models = provider_models::list(&app.store, provider).await?;
    models.retain(|linked| capability.is_none_or(|wanted| linked.model.capabilities.iter().any(|has| has == wanted)));
    let total = i64::try_from(models.len()).unwrap_or(i64::MAX);
    let skip = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let take = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let items = models.into_iter().skip(skip).take(take).map(LinkedModelView::from).collect();
    Ok(ListPage { items, total })
}

/// Returns a list of texts, which may also be given as a JSON array in a string, as responses have it.
fn capabilities(form: &mut Form, field: Field<Value>) -> Option<Vec<String>> {
    let given = match field.valid()? {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        other => other,
    };
    let Value::Array(items) = given else {
        form.mistake("capabilities must be an array");
        return None;
    };
    let capabilities: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
    match &capabilities {
        None => form.mistake(FieldMistake::new("capabilities", "all capabilities must be strings")),
        Some(words) if !words.iter().all(|word| is_line(word)) => form.mistake(format!("capabilities {NOT_A_LINE}")),
        Some(_) => {}
    }
    capabilities
}
