//! Routes `/api/requests/{id}/explain` and `/attempts`: why a request went where it went.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use signalbox_core::schema::{
    AttemptRecord, PlannedTarget, Request, Response, RoutePolicy, RoutingRecord, SkippedTarget,
};
use signalbox_store::{requests, responses};
use utoipa::ToSchema;

use super::error::{ResourceKind, StoreErrorExt as _};
use super::extract::Path;
use super::requests::key;
use super::{App, Error};

/// The plan of a request and its attempts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Explanation {
    /// UUID of the request.
    request_id: String,
    /// The requested model.
    model: String,
    status: &'static str,
    /// Public model name of the route; null if the catalogue had none for the model.
    route: Option<String>,
    /// Policy of the route.
    policy: Option<String>,
    /// Overrides that the request asked for, with the names of the extension `signalbox` of the body.
    #[schema(value_type = BTreeMap<String, Value>)]
    overrides: Map<String, Value>,
    /// Id of the request of which this one is a copy for the mirror of a route; null for all others.
    mirror_of: Option<String>,
    /// Whether the plan was kept: for requests with a route, with overrides or with more than one attempt. Without it, the lists have
    /// only what the log knows of the answer.
    plan_kept: bool,
    /// Targets in the order in which they were to be tried.
    targets: Vec<ExplainedTarget>,
    /// Targets that were not to be tried.
    skipped: Vec<ExplainedTarget>,
    /// Attempts, in order.
    attempts: Vec<ExplainedAttempt>,
    /// Outcome of the cache of the route; null if it has none.
    cache: Option<ExplainedCache>,
    /// Changes by guardrails, without the content that they found.
    guard: Vec<String>,
}

/// Outcome of the cache of a route for the request.
#[derive(Debug, Serialize, ToSchema)]
struct ExplainedCache {
    /// `hit`, `miss`, or `bypass`: it was not asked.
    outcome: &'static str,
    /// UUID of the request whose answer was given again.
    request_id: Option<String>,
    /// Age of that answer in milliseconds.
    age_ms: Option<u64>,
}

/// The attempts of a request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AttemptList {
    /// UUID of the request.
    request_id: String,
    status: &'static str,
    /// Attempts, in order; the last one answered, unless it has an error. Empty while the request is pending.
    attempts: Vec<ExplainedAttempt>,
}

/// A target and the reason for its place in the order, or for being skipped.
#[derive(Debug, Serialize, ToSchema)]
struct ExplainedTarget {
    provider: String,
    model: Option<String>,
    /// Name of the provider's key, if it has several.
    key: Option<String>,
    why: String,
}

/// An attempt. Times are milliseconds since the request arrived.
#[derive(Debug, Serialize, ToSchema)]
struct ExplainedAttempt {
    /// Place of the target in `targets`, from 0.
    target: usize,
    provider: String,
    model: Option<String>,
    /// Name of the provider's key, if it has several.
    key: Option<String>,
    /// HTTP status of the provider's answer, if there was one.
    status: Option<u16>,
    error: Option<String>,
    start_ms: u64,
    first_byte_ms: Option<u64>,
    end_ms: u64,
    /// Why another attempt followed, or why none did.
    why_next: Option<String>,
}

/// Explains where a request went: the plan with a reason for each target, and the attempts with their times.
#[utoipa::path(
    get, path = "/api/requests/{id}/explain", tag = "requests",
    params(("id" = String, Path, description = "A number or a UUID")),
    responses((status = 200, description = "Plan and attempts", body = Explanation)),
)]
pub(super) async fn explain(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Explanation>, Error> {
    Ok(Json(explained(&app, &id).await?))
}

/// Lists the attempts of a request: which provider was asked when, how it ended, and why another one followed.
///
/// Times are milliseconds since the request arrived.
#[utoipa::path(
    get, path = "/api/requests/{id}/attempts", tag = "requests",
    params(("id" = String, Path, description = "A number or a UUID")),
    responses((status = 200, description = "Attempts", body = AttemptList)),
)]
pub(super) async fn attempts(State(app): State<App>, Path(id): Path<String>) -> Result<Json<AttemptList>, Error> {
    let Explanation { request_id, status, attempts, .. } = explained(&app, &id).await?;
    Ok(Json(AttemptList { request_id, status, attempts }))
}

async fn explained(app: &App, id: &str) -> Result<Explanation, Error> {
    let (request, response) = requests::get(&app.store, &key(id)).await.or_missing(ResourceKind::Request, id)?;
    let kept = match &response {
        Some(response) => responses::plan(&app.store, response.id).await.or_missing(ResourceKind::Request, id)?,
        None => None,
    };
    let record = kept.as_deref().and_then(|kept| serde_json::from_str(kept).ok());
    Ok(Explanation::new(request, response.as_ref(), record))
}

// === impl Explanation ===

impl Explanation {
    fn new(request: Request, response: Option<&Response>, record: Option<RoutingRecord>) -> Self {
        let plan_kept = record.is_some();
        let record = record.unwrap_or_else(|| of_response(response));
        Self {
            request_id: request.request_id,
            model: request.model,
            status: request.status.as_str(),
            route: record.route,
            policy: record.policy.map(word),
            overrides: record.overrides,
            mirror_of: record.mirror_of,
            plan_kept,
            targets: record.targets.into_iter().map(ExplainedTarget::from).collect(),
            skipped: record.skipped.into_iter().map(ExplainedTarget::from).collect(),
            attempts: record.attempts.into_iter().map(ExplainedAttempt::from).collect(),
            cache: record.cache.map(|cache| ExplainedCache {
                outcome: cache.outcome.as_str(),
                request_id: cache.request_id,
                age_ms: cache.age_ms,
            }),
            guard: record.guard,
        }
    }
}

/// Returns what the row of a response tells about its only attempt.
fn of_response(response: Option<&Response>) -> RoutingRecord {
    let Some((response, provider)) = response.and_then(|response| Some((response, response.provider_id.clone()?)))
    else {
        return RoutingRecord::default();
    };
    let millis = |millis: Option<i64>| millis.and_then(|millis| u64::try_from(millis).ok());
    let attempt = AttemptRecord {
        provider: provider.clone(),
        status: response.status_code.and_then(|status| u16::try_from(status).ok()),
        error: response.error.clone(),
        first_byte_ms: millis(response.first_byte_ms),
        end_ms: millis(response.duration_ms).unwrap_or_default(),
        ..AttemptRecord::default()
    };
    let why = "the only attempt; its plan was not kept".to_owned();
    let target = PlannedTarget { provider, why, ..PlannedTarget::default() };
    RoutingRecord { targets: vec![target], attempts: vec![attempt], ..RoutingRecord::default() }
}

fn word(policy: RoutePolicy) -> String {
    serde_json::to_value(policy).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

// === impl ExplainedTarget ===

impl From<PlannedTarget> for ExplainedTarget {
    fn from(target: PlannedTarget) -> Self {
        Self { provider: target.provider, model: target.model, key: target.key, why: target.why }
    }
}

impl From<SkippedTarget> for ExplainedTarget {
    fn from(target: SkippedTarget) -> Self {
        Self { provider: target.provider, model: target.model, key: target.key, why: target.why }
    }
}

// === impl ExplainedAttempt ===

impl From<AttemptRecord> for ExplainedAttempt {
    fn from(attempt: AttemptRecord) -> Self {
        let AttemptRecord { target, provider, model, key, status, error, start_ms, first_byte_ms, end_ms, why_next } =
            attempt;
        Self { target, provider, model, key, status, error, start_ms, first_byte_ms, end_ms, why_next }
    }
}
