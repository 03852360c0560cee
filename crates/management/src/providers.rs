//! Routes of `/api/providers`: the upstreams that answer requests.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use signalbox_core::id::check_provider_id;
use signalbox_core::provider_config::check_type;
use signalbox_core::provider_type::{Field, provider_type};
use signalbox_core::schema::{NewProvider, Provider, ProviderConfig, ProviderUpdate};
use signalbox_daemon::clock::unix_ms;
use signalbox_store::{provider_configs, provider_models, providers};
use utoipa::ToSchema;

use super::bodies::{ProviderChanges, ProviderToMake};
use super::config_values::{check_files, shown, values};
use super::done::Done;
use super::error::{ResourceKind, StoreErrorExt as _};
use super::error_schemas::Failure;
use super::extract::{Body, Path};
use super::filters::{Pages, ProviderFilter};
use super::form::Form;
use super::precondition::{IfMatch, Versioned};
use super::query::{Query, next_offset_cursor};
use super::version::Version;
use super::views::LinkedModelView;
use super::{App, Error, Statuses};

/// A provider in a list.
#[derive(Debug, Serialize, ToSchema)]
struct ListedProvider {
    #[serde(flatten)]
    provider: Provider,
    /// The status reported by the running router: `loaded`, `not_loaded` or `error`.
    runtime_status: String,
}

/// A provider with its configuration and models.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WholeProvider {
    #[serde(flatten)]
    provider: Provider,
    /// The configuration, with secrets masked.
    #[schema(value_type = BTreeMap<String, Value>)]
    config: Map<String, Value>,
    models: Vec<LinkedModelView>,
    /// The status reported by the running router: `loaded`, `not_loaded` or `error`.
    runtime_status: String,
}

/// A newly created provider.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NewlyMade {
    #[serde(flatten)]
    provider: Provider,
    /// The configuration, with secrets masked.
    #[schema(value_type = BTreeMap<String, Value>)]
    config: Map<String, Value>,
    /// Values that it still needs before it can work; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<String>,
}

/// A provider that was enabled or disabled.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Switched {
    #[serde(flatten)]
    provider: Provider,
    message: &'static str,
    /// Values that it still needs before it can work; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<String>,
}

/// A page of the list of providers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProviderList {
    providers: Vec<ListedProvider>,
    total: i64,
    /// The cursor of the next page; null at the end.
    next_cursor: Option<String>,
}

/// Lists the providers, highest priority first.
#[utoipa::path(
    get, path = "/api/providers", tag = "providers",
    params(
        ProviderFilter, Pages,
        ("cursor" = Option<String>, Query, pattern = "^(p[0-7][0-9a-f]{15})?$",
         description = "`next_cursor` of the previous page; omit it for the first page"),
    ),
    responses((status = 200, description = "One page of the list", body = ProviderList)),
)]
pub(super) async fn list(State(app): State<App>, mut query: Query) -> Result<Json<ProviderList>, Error> {
    let filter: ProviderFilter = query.read();
    let filter = providers::Filter {
        kind: filter.r#type.text(),
        // Every value but `true` means disabled; clients of the Node.js version rely on this.
        enabled: filter.enabled.text().map(|text| text == "true"),
    };
    let page = query.offset_page();
    query.finish()?;
    let (list, statuses) = tokio::join!(providers::list(&app.store, &filter, page), app.runtime.statuses());
    let list = list?;
    let providers: Vec<_> = list
        .items
        .into_iter()
        .map(|provider| ListedProvider { runtime_status: status_of(&provider, &statuses), provider })
        .collect();
    Ok(Json(ProviderList {
        next_cursor: next_offset_cursor(providers.len(), list.total, page),
        providers,
        total: list.total,
    }))
}

/// Returns one provider with its configuration and its models.
#[utoipa::path(
    get, path = "/api/providers/{id}", tag = "providers", params(("id" = String, Path)),
    responses((status = 200, description = "The provider", body = WholeProvider)),
)]
pub(super) async fn get(State(app): State<App>, Path(id): Path<String>) -> Result<Versioned<WholeProvider>, Error> {
    let provider = find(&app, &id).await?;
    let configs = provider_configs::list(&app.store, &id).await?;
    let models = provider_models::list(&app.store, &id).await?;
    let statuses = app.runtime.statuses().await;
    let whole = WholeProvider {
        runtime_status: status_of(&provider, &statuses),
        config: shown(&app, &configs, true)?,
        models: models.into_iter().map(LinkedModelView::from).collect(),
        provider,
    };
    Ok(Versioned(version_of(&whole.provider, &configs), whole))
}

/// Creates a provider. Requests are routed to it within a second.
///
/// Its configuration may follow later. `warnings` says what it lacks until then.
#[utoipa::path(
    post, path = "/api/providers", tag = "providers", request_body = ProviderToMake,
    responses(
    (status = 201, description = "The provider", body = NewlyMade),
    (status = 409, description = "`provider_exists`: its id or its name is taken", body = Failure),
    ),
)]
pub(super) async fn create(
    State(app): State<App>,
    Body(new, mut form): Body<ProviderToMake>,
) -> Result<(StatusCode, Json<NewlyMade>), Error> {
    let id = form.required_text(new.id, "id is required and must be a non-empty string");
    if let (false, Err(mistake)) = (id.is_empty(), check_provider_id(&id)) {
        form.mistake(format!("id {mistake}"));
    }
    let provider = NewProvider {
        id,
        name: form.required_line("name", new.name, NAME),
        kind: kind(form.required_text(new.r#type, KIND), &mut form),
        enabled: form.boolean("enabled", new.enabled).unwrap_or(true),
        priority: form.integer("priority", new.priority).unwrap_or(0),
        description: form.prose_or_null("description", new.description).flatten(),
    };
    let config = form.object("config", new.config).unwrap_or_default();
    let configs = values(&app, &config, &[], &mut form)?;
    form.finish()?;
    check_files(&app, &[], &configs, true).await?;
    let provider = providers::insert(&app.store, &app.sealer, &provider, &configs, unix_ms()).await.map_err(taken)?;
    let configs = provider_configs::list(&app.store, &provider.id).await?;
    let warnings = warnings(&provider, &configs);
    Ok((StatusCode::CREATED, Json(NewlyMade { provider, config: shown(&app, &configs, true)?, warnings })))
}

/// Changes a provider. Absent fields keep their values.
///
/// `id`, `created_at`, `updated_at` and `runtime_status` are accepted and ignored, so that a response can be sent back.
#[utoipa::path(
    put, path = "/api/providers/{id}", tag = "providers", request_body = ProviderChanges,
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that the change is meant for")),
    responses(
    (status = 200, description = "The provider", body = Provider),
    (status = 412, description = "`version_changed`: it is not the version of `If-Match`", body = Failure),
    (status = 409, description = "`provider_exists`: its name is taken", body = Failure),
    ),
)]
pub(super) async fn update(
    State(app): State<App>,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(changes, mut form): Body<ProviderChanges>,
) -> Result<Versioned<Provider>, Error> {
    form.ignore(&READ_ONLY);
    let update = updated(changes, &mut form);
    form.finish()?;
    if update == ProviderUpdate::default() {
        return Err(Error::invalid(
            "No valid fields to update; send at least one of name, type, enabled, priority and description",
        ));
    }
    let changed = if_match.guard(&app, || present(&app, &id), || change(&app, &id, &update)).await?;
    let configs = provider_configs::list(&app.store, &id).await?;
    Ok(Versioned(version_of(&changed, &configs), changed))
}

/// Deletes a provider with its configuration and its links.
#[utoipa::path(
    delete, path = "/api/providers/{id}", tag = "providers",
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
    let of = (ResourceKind::Provider, &*id);
    if_match.delete(&app, of, || present(&app, &id), || providers::delete(&app.store, &id)).await?;
    Ok(Json(Done::new("Provider deleted")))
}

/// Enables the provider: requests are routed to it.
#[utoipa::path(
    post, path = "/api/providers/{id}/enable", tag = "providers", params(("id" = String, Path)),
    responses((status = 200, description = "The provider", body = Switched)),
)]
pub(super) async fn enable(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Switched>, Error> {
    switch(&app, &id, true, "Provider enabled").await
}

/// Disables the provider: no requests are routed to it.
#[utoipa::path(
    post, path = "/api/providers/{id}/disable", tag = "providers", params(("id" = String, Path)),
    responses((status = 200, description = "The provider", body = Switched)),
)]
pub(super) async fn disable(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Switched>, Error> {
    switch(&app, &id, false, "Provider disabled").await
}

const NAME: &str = "name is required and must be a non-empty string";
const KIND: &str = "type is required and must be a string";

/// Fields that forms send back unchanged.
const READ_ONLY: [&str; 4] = ["id", "created_at", "updated_at", "runtime_status"];

/// Returns the provider.
///
/// # Errors
/// [`Error::Missing`] if it does not exist, or an error of the store.
pub async fn find(app: &App, id: &str) -> Result<Provider, Error> {
    providers::get(&app.store, id).await.or_missing(ResourceKind::Provider, id)
}

/// Returns the version of a provider with its configuration.
pub(super) fn version_of(provider: &Provider, configs: &[ProviderConfig]) -> Version {
    // Values may be secrets, of which a client could recognise the digest.
    let configs: Vec<_> = configs.iter().map(|config| (&config.key, config.updated_at, config.is_sensitive)).collect();
    Version::of_json(provider.updated_at, &(provider, configs))
}

/// Returns the present version of a provider.
pub(super) async fn present(app: &App, id: &str) -> Result<Version, Error> {
    Ok(version_of(&find(app, id).await?, &provider_configs::list(&app.store, id).await?))
}

/// Returns a sentence for each configuration key without which the provider can never work.
pub(super) fn warnings(provider: &Provider, configs: &[ProviderConfig]) -> Vec<String> {
    let missing = provider_type(&provider.kind).missing(|key| configs.iter().any(|config| config.key == key));
    let sentence = |field: Field| {
        format!("config.{} is missing: a provider of the type {} cannot work without it", field.name, provider.kind)
    };
    missing.into_iter().map(sentence).collect()
}

/// Checks the type unless it is empty, which has been reported already.
fn kind(kind: String, form: &mut Form) -> String {
    if !kind.is_empty() {
        form.check(check_type(&kind));
    }
    kind
}

fn updated(changes: ProviderChanges, form: &mut Form) -> ProviderUpdate {
    ProviderUpdate {
        name: form.line("name", changes.name, NAME),
        kind: form.text(changes.r#type, KIND).map(|text| kind(text, form)),
        enabled: form.boolean("enabled", changes.enabled),
        priority: form.integer("priority", changes.priority),
        description: form.prose_or_null("description", changes.description),
    }
}

async fn switch(app: &App, id: &str, enabled: bool, message: &'static str) -> Result<Json<Switched>, Error> {
    let update = ProviderUpdate { enabled: Some(enabled), ..ProviderUpdate::default() };
    let provider = change(app, id, &update).await?;
    let warnings =
        if enabled { warnings(&provider, &provider_configs::list(&app.store, id).await?) } else { Vec::new() };
    Ok(Json(Switched { provider, message, warnings }))
}

async fn change(app: &App, id: &str, update: &ProviderUpdate) -> Result<Provider, Error> {
    providers::update(&app.store, id, update, unix_ms()).await.map_err(taken).or_missing(ResourceKind::Provider, id)
}

/// Translates a violated unique constraint; both the id and the name are unique.
fn taken(error: signalbox_store::Error) -> Error {
    match error {
        signalbox_store::Error::Conflict { entity } => {
            let field = if entity.ends_with(".name") { "name" } else { "id" };
            let message =
                format!("A provider with this {field} already exists; choose another one, or update that provider");
            Error::Taken { code: "provider_exists", field, message }
        }
        other => other.into(),
    }
}

/// Returns the status reported by the router; a provider that the router does not report is not loaded.
fn status_of(provider: &Provider, statuses: &Statuses) -> String {
    statuses.get(&provider.id).cloned().unwrap_or_else(|| "not_loaded".to_owned())
}
