//! Routes of `/api/routes`: the targets that serve a public model name.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use signalbox_core::id::request_id;
use signalbox_core::route_document;
use signalbox_core::schema::{NewRoute, Provider, Route, RoutePlan};
use signalbox_daemon::clock::unix_ms;
use signalbox_store::{Page, providers, routes};
use utoipa::ToSchema;

use super::bodies::RouteToPut;
use super::done::Done;
use super::error::{ResourceKind, StoreErrorExt as _};
use super::error_schemas::Failure;
use super::extract::{Body, Path};
use super::filters::Pages;
use super::form::{Form, document_of};
use super::precondition::{IfMatch, Versioned};
use super::query::{Query, next_offset_cursor};
use super::version::Version;
use super::{App, Error};

/// A route.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RouteView {
    id: String,
    /// The name of the model in requests; a `*` matches any characters in its place.
    model: String,
    enabled: bool,
    #[serde(flatten)]
    plan: RoutePlan,
    /// Why some of its targets cannot be asked; empty if all can.
    problems: Vec<String>,
    created_at: i64,
    updated_at: i64,
}

/// A page of the list of routes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RouteList {
    routes: Vec<RouteView>,
    total: i64,
    /// The cursor of the next page; null at the end.
    next_cursor: Option<String>,
}

/// Lists the routes, sorted by model name.
#[utoipa::path(
    get, path = "/api/routes", tag = "routes",
    params(
        Pages,
        ("cursor" = Option<String>, Query, pattern = "^(p[0-7][0-9a-f]{15})?$",
         description = "`next_cursor` of the previous page; omit it for the first page"),
    ),
    responses((status = 200, description = "One page of the list", body = RouteList)),
)]
pub(super) async fn list(State(app): State<App>, mut query: Query) -> Result<Json<RouteList>, Error> {
    let page = query.offset_page();
    query.finish()?;
    let providers = all_providers(&app).await?;
    let list = routes::list(&app.store, page).await?.map(|route| RouteView::new(route, &providers));
    let next_cursor = next_offset_cursor(list.items.len(), list.total, page);
    Ok(Json(RouteList { routes: list.items, total: list.total, next_cursor }))
}

/// Returns one route.
#[utoipa::path(
    get, path = "/api/routes/{id}", tag = "routes", params(("id" = String, Path)),
    responses((status = 200, description = "The route", body = RouteView)),
)]
pub(super) async fn get(State(app): State<App>, Path(id): Path<String>) -> Result<Versioned<RouteView>, Error> {
    let route = find(&app, &id).await?;
    let version = version_of(&route);
    Ok(Versioned(version, RouteView::new(route, &all_providers(&app).await?)))
}

/// Creates a route. Requests are routed by it within a second.
#[utoipa::path(
    post, path = "/api/routes", tag = "routes", request_body = RouteToPut,
    responses(
    (status = 201, description = "The route", body = RouteView),
    (status = 409, description = "`route_exists`: another route has its model or an alias", body = Failure),
    ),
)]
pub(super) async fn create(
    State(app): State<App>,
    Body(given, form): Body<RouteToPut>,
) -> Result<(StatusCode, Json<RouteView>), Error> {
    let providers = all_providers(&app).await?;
    let route = read(request_id().to_string(), given, form, &providers)?;
    app.check_guard(route.plan.guard.as_ref())?;
    let made = routes::insert(&app.store, &route, unix_ms()).await;
    let made = taken(&app, &route, made).await?;
    Ok((StatusCode::CREATED, Json(RouteView::new(made, &providers))))
}

/// Replaces a route. Absent fields get their defaults.
///
/// `id`, `problems`, `created_at` and `updated_at` are accepted and ignored, so that a response can be sent back.
#[utoipa::path(
    put, path = "/api/routes/{id}", tag = "routes", request_body = RouteToPut,
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that the change is meant for")),
    responses(
    (status = 200, description = "The route", body = RouteView),
    (status = 412, description = "`version_changed`: it is not the version of `If-Match`", body = Failure),
    (status = 409, description = "`route_exists`: another route has its model or an alias", body = Failure),
    ),
)]
pub(super) async fn update(
    State(app): State<App>,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(given, mut form): Body<RouteToPut>,
) -> Result<Versioned<RouteView>, Error> {
    form.ignore(&["id", "problems", "created_at", "updated_at"]);
    find(&app, &id).await?;
    let providers = all_providers(&app).await?;
    let route = read(id.clone(), given, form, &providers)?;
    app.check_guard(route.plan.guard.as_ref())?;
    let changed = if_match.guard(&app, || present(&app, &id), || change(&app, &route)).await?;
    Ok(Versioned(version_of(&changed), RouteView::new(changed, &providers)))
}

/// Deletes a route. Its model names are routed as if it had never existed.
#[utoipa::path(
    delete, path = "/api/routes/{id}", tag = "routes",
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
    let of = (ResourceKind::Route, &*id);
    if_match.delete(&app, of, || present(&app, &id), || routes::delete(&app.store, &id)).await?;
    Ok(Json(Done::new("Route deleted")))
}

async fn find(app: &App, id: &str) -> Result<Route, Error> {
    routes::get(&app.store, id).await.or_missing(ResourceKind::Route, id)
}

async fn present(app: &App, id: &str) -> Result<Version, Error> {
    Ok(version_of(&find(app, id).await?))
}

async fn change(app: &App, route: &NewRoute) -> Result<Route, Error> {
    let changed = routes::update(&app.store, route, unix_ms()).await;
    taken(app, route, changed).await.or_missing(ResourceKind::Route, &route.id)
}

/// Returns the version of a route. Its problems belong to the providers.
fn version_of(route: &Route) -> Version {
    Version::of_json(route.updated_at, &(&route.model, route.enabled, &route.plan))
}

/// Returns a sentence for each target that cannot be asked.
#[must_use]
pub fn problems(plan: &RoutePlan, providers: &[Provider]) -> Vec<String> {
    let problem = |place: String, id: &str| match providers.iter().find(|provider| provider.id == *id) {
        None => Some(format!("{place}: the provider {id} does not exist")),
        Some(provider) if !provider.enabled => Some(format!("{place}: the provider {id} is disabled")),
        Some(_) => None,
    };
    let targets = plan.targets.iter().enumerate();
    let of_targets = targets.filter_map(|(at, target)| problem(format!("targets[{at}]"), &target.provider));
    let of_mirror = plan.mirror.iter().filter_map(|mirror| problem("mirror".to_owned(), &mirror.provider));
    of_targets.chain(of_mirror).collect()
}

/// Returns the name that both a route and another one have, and the model of the other one.
#[must_use]
pub fn shared_name<'a>(route: &'a NewRoute, others: &'a [Route]) -> Option<(&'a str, &'a str)> {
    let names = || std::iter::once(&route.model).chain(&route.plan.aliases);
    let others = others.iter().filter(|other| other.id != route.id);
    let mut taken = others.flat_map(|other| {
        std::iter::once(&other.model).chain(&other.plan.aliases).map(|name| (name.as_str(), other.model.as_str()))
    });
    taken.find(|(name, _)| names().any(|own| own == name))
}

fn read(id: String, given: RouteToPut, form: Form, providers: &[Provider]) -> Result<NewRoute, Error> {
    let has_provider = |id: &str| providers.iter().any(|provider| provider.id == id);
    form.finish_with(route_document::read(id, document(given), &has_provider))
}

fn document(given: RouteToPut) -> Map<String, Value> {
    let RouteToPut {
        model,
        enabled,
        aliases,
        policy,
        targets,
        retries,
        deadlines,
        resume,
        sticky,
        strict,
        resumable,
        cache,
        guard,
        limits,
        hedge,
        mirror,
    } = given;
    document_of([
        ("model", model),
        ("enabled", enabled),
        ("aliases", aliases),
        ("policy", policy),
        ("targets", targets),
        ("retries", retries),
        ("deadlines", deadlines),
        ("resume", resume),
        ("sticky", sticky),
        ("strict", strict),
        ("resumable", resumable),
        ("cache", cache),
        ("guard", guard),
        ("limits", limits),
        ("hedge", hedge),
        ("mirror", mirror),
    ])
}

async fn all_providers(app: &App) -> Result<Vec<Provider>, Error> {
    Ok(providers::list(&app.store, &providers::Filter::default(), Page::ALL).await?.items)
}

/// Translates a violated unique constraint; names the route that has the model name.
async fn taken(app: &App, route: &NewRoute, done: Result<Route, signalbox_store::Error>) -> Result<Route, Error> {
    if !matches!(done, Err(signalbox_store::Error::Conflict { .. })) {
        return done.map_err(Error::from);
    }
    let others = routes::list(&app.store, Page::ALL).await?.items;
    let shared = shared_name(route, &others);
    let message = match shared {
        Some((name, other)) if name == other => format!("A route for the model {name} exists; change that one"),
        Some((name, other)) => format!("{name} is an alias of the route for {other}; remove it there first"),
        None => "Another route has this model or one of these aliases; change that one, or use other names".to_owned(),
    };
    let field = if shared.is_none_or(|(name, _)| name == route.model) { "model" } else { "aliases" };
    Err(Error::Taken { code: "route_exists", field, message })
}

// === impl RouteView ===

impl RouteView {
    fn new(route: Route, providers: &[Provider]) -> Self {
        let Route { id, model, enabled, plan, created_at, updated_at } = route;
        let problems = problems(&plan, providers);
        Self { id, model, enabled, plan, problems, created_at, updated_at }
    }
}
