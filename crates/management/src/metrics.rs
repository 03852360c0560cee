//! Routes of `/api/metrics`: the request log as series over time.

mod metric;
mod span;

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use signalbox_daemon::clock::unix_ms;
use signalbox_store::metrics::{self, By, Point, Selection, Series};
use signalbox_store::usage;
use utoipa::{IntoParams, ToSchema};

use self::metric::Metric;
use self::span::{Span, minutes_of};
use super::parameter::Parameter;
use super::query::Query;
use super::requests::listing;
use super::{App, Error};

/// Maximum number of series of one response.
const MAX_SERIES: usize = 20;

/// The subjects of series, by their names in requests and responses.
const SUBJECTS: [(By, &str); 4] =
    [(By::Provider, "provider"), (By::Model, "model"), (By::Key, "key"), (By::Status, "status")];

/// Maximum number of values of a facet.
const MAX_FACET: usize = 200;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The time that figures are about.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct TimeRange {
    /// Requests that arrived at this time or later, in milliseconds since 1970.
    #[param(value_type = Option<i64>)]
    from: Parameter<i64>,
    /// Requests that arrived before this time, in milliseconds since 1970; now by default.
    #[param(value_type = Option<i64>)]
    to: Parameter<i64>,
}

/// Series over time, in columns.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MetricSeries {
    /// The time of the first point, in milliseconds since 1970.
    t0: i64,
    /// Milliseconds between points.
    step: i64,
    /// The series with the most requests first. There is none without requests.
    series: Vec<Columns>,
    /// The time of the point that is not complete yet; null if all are. Requests that have not ended are missing from
    /// any point.
    partial_from: Option<i64>,
}

/// The figures of one series: a column for each requested metric, with a value for each point.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Columns {
    /// The provider, model, id of the client key, or status. Empty for requests that reached no provider or have no key,
    /// and for those that an earlier version has counted without key and status. Null for all requests, or for those
    /// that are in no other series.
    key: Option<String>,
    /// With `by=key`, the present name of the client key, unless it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// Number of requests that have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    requests: Option<Vec<i64>>,
    /// Number of those that have an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    errors: Option<Vec<i64>>,
    /// Tokens of the prompts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    prompt: Option<Vec<i64>>,
    /// Tokens of the answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    completion: Option<Vec<i64>>,
    /// The sum of the known costs, in nano-dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cost_nano: Option<Vec<i64>>,
    /// Percentiles of the duration in milliseconds, within 5 %; null where nothing was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    p50: Option<Vec<Option<f64>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    p95: Option<Vec<Option<f64>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    p99: Option<Vec<Option<f64>>>,
    /// Percentiles of the time to the first byte in milliseconds, within 5 %; null where nothing was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ttft50: Option<Vec<Option<f64>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ttft95: Option<Vec<Option<f64>>>,
}

/// The providers, models, client keys or statuses with the highest figures.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Top {
    by: &'static str,
    metric: &'static str,
    /// The beginning of the time, which is extended to whole minutes, or to whole hours beyond two days.
    from: i64,
    /// The end of the time, likewise.
    to: i64,
    /// The highest first; those without a figure last.
    rows: Vec<TopRow>,
}

/// The figures of a provider, model, client key or status.
#[derive(Debug, Serialize, ToSchema)]
struct TopRow {
    /// As in the series: the provider, model, id of the client key, or status.
    key: String,
    /// With `by=key`, the present name of the client key, unless it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    requests: i64,
    errors: i64,
    prompt: i64,
    completion: i64,
    /// The sum of the known costs, in nano-dollars.
    cost_nano: i64,
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    ttft50: Option<f64>,
    ttft95: Option<f64>,
}

/// The values that requests of a time have, as choices for filters; at most 200 of each, the most frequent first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FacetList {
    models: Vec<FacetValue>,
    /// The value is empty for requests that reached no provider.
    providers: Vec<FacetValue>,
    statuses: Vec<FacetValue>,
    /// Client keys; their requests count once they have ended.
    keys: Vec<FacetValue>,
}

/// A value with the number of its requests.
#[derive(Debug, Serialize, ToSchema)]
struct FacetValue {
    /// As filters take it.
    value: String,
    /// The present name of a client key, unless it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    requests: i64,
}

/// Returns figures of the request log over time.
///
/// Requests count at the time at which they arrived, once they have ended. Steps are whole minutes. Steps of whole
/// hours reach 400 days back, others 31 days, with at most two days in one response.
#[utoipa::path(
    get, path = "/api/metrics/series", tag = "metrics",
    params(
        TimeRange,
        ("step" = Option<i64>, Query, minimum = 60_000, multiple_of = 60_000,
         description = "Milliseconds between points; by default, the range has at most 360 points"),
        ("metrics" = Option<String>, Query,
         description = "The figures, separated by commas: `requests`, `errors`, `prompt`, `completion`, `cost_nano`, \
            `p50`, `p95`, `p99`, `ttft50`, `ttft95`; all by default"),
        ("by" = Option<String>, Query, pattern = "^(provider|model|key|status)?$",
         description = "A series for each provider, model, client key or status, at most 20, and one for the others"),
        ("model" = Option<Vec<String>>, Query, description = "Requests for one of these models"),
        ("provider_id" = Option<Vec<String>>, Query, description = "Requests answered by one of these providers"),
        ("key" = Option<Vec<String>>, Query, description = "Requests of one of the client keys with these ids"),
        ("status" = Option<Vec<String>>, Query, description = "Requests that ended with one of these statuses"),
    ),
    responses((status = 200, description = "The series", body = MetricSeries)),
)]
pub(super) async fn series(State(app): State<App>, mut query: Query) -> Result<Json<MetricSeries>, Error> {
    let now = unix_ms();
    let (from, to) = range(&mut query, HOUR_MS, now);
    let step = query.text("step");
    let span = span::of(from, to, step.as_deref(), now, &mut query);
    let wanted = wanted(&mut query);
    let by = by(&mut query).unwrap_or_default();
    let (models, provider_ids) = (query.texts("model"), query.texts("provider_id"));
    let (key_ids, statuses) = (query.texts("key"), listing::statuses(&mut query));
    query.finish()?;
    let Span { start, step, points } = span;
    let selection =
        Selection { start, points, step, by, max_series: MAX_SERIES, models, provider_ids, key_ids, statuses };
    let found = metrics::series(&app.store, &selection).await?;
    let names = names(&app, by, found.iter().filter_map(|series| series.key.as_deref())).await?;
    Ok(Json(MetricSeries {
        t0: start,
        step,
        series: found.into_iter().map(|series| Columns::new(series, &wanted, &names)).collect(),
        partial_from: span.partial_from(now),
    }))
}

/// Returns the providers, models, client keys or statuses with the highest figures in a time; the last 24 hours by
/// default.
#[utoipa::path(
    get, path = "/api/metrics/top", tag = "metrics",
    params(
        TimeRange,
        ("by" = Option<String>, Query, pattern = "^(provider|model|key|status)?$",
         description = "`model` by default"),
        ("metric" = Option<String>, Query,
         pattern = "^(requests|errors|prompt|completion|cost_nano|p50|p95|p99|ttft50|ttft95)?$",
         description = "The figure; `requests` by default"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "10 by default"),
    ),
    responses((status = 200, description = "The figures", body = Top)),
)]
pub(super) async fn top(State(app): State<App>, mut query: Query) -> Result<Json<Top>, Error> {
    let now = unix_ms();
    let (from, to) = range(&mut query, DAY_MS, now);
    let by = by(&mut query).unwrap_or(By::Model);
    let metric = query.word("metric", &Metric::ALL.map(Metric::name)).and_then(Metric::parse);
    let metric = metric.unwrap_or(Metric::Requests);
    let limit = query.count("limit", 10, 100);
    let (start, end) = minutes_of(from, to, now);
    if end <= start && to > from {
        query.mistake("to must not be more than 400 days ago");
    }
    query.finish()?;
    let selection = Selection { start, step: end - start, by, max_series: usize::MAX, ..Selection::default() };
    let found = metrics::series(&app.store, &selection).await?;
    let mut rows: Vec<(Option<f64>, TopRow)> = found
        .into_iter()
        .filter_map(|series| {
            let point = series.points.into_iter().next()?;
            Some((metric.of(&point), TopRow::new(series.key?, &point)))
        })
        .collect();
    rows.sort_by(|(one, _), (other, _)| {
        other.unwrap_or(f64::NEG_INFINITY).total_cmp(&one.unwrap_or(f64::NEG_INFINITY))
    });
    rows.truncate(limit);
    let mut rows: Vec<TopRow> = rows.into_iter().map(|(_, row)| row).collect();
    let names = names(&app, by, rows.iter().map(|row| &*row.key)).await?;
    rows.iter_mut().for_each(|row| row.name = names.get(&row.key).cloned());
    let by = SUBJECTS.iter().find(|(subject, _)| *subject == by).map_or("model", |(_, name)| name);
    Ok(Json(Top { by, metric: metric.name(), from: start, to: end, rows }))
}

/// Returns the models, providers, statuses and client keys of the requests of a time, in whole hours; the last 24 hours
/// by default.
#[utoipa::path(
    get, path = "/api/metrics/facets", tag = "metrics", params(TimeRange),
    responses((status = 200, description = "The values", body = FacetList)),
)]
pub(super) async fn facets(State(app): State<App>, mut query: Query) -> Result<Json<FacetList>, Error> {
    let (from, to) = range(&mut query, DAY_MS, unix_ms());
    query.finish()?;
    let found = metrics::facets(&app.store, from, to.saturating_sub(1)).await?;
    let values = |counts: Vec<(String, i64)>| {
        let value = |(value, requests)| FacetValue { value, name: None, requests };
        counts.into_iter().take(MAX_FACET).map(value).collect::<Vec<_>>()
    };
    let mut keys = values(found.key_ids);
    let names = names(&app, By::Key, keys.iter().map(|key| &*key.value)).await?;
    keys.iter_mut().for_each(|key| key.name = names.get(&key.value).cloned());
    Ok(Json(FacetList {
        models: values(found.models),
        providers: values(found.provider_ids),
        statuses: values(found.statuses),
        keys,
    }))
}

/// Returns the names of client keys by id, if these are the subjects of series.
async fn names<'a>(app: &App, by: By, keys: impl Iterator<Item = &'a str>) -> Result<HashMap<String, String>, Error> {
    if by == By::Key { Ok(usage::key_names(&app.store, keys).await?) } else { Ok(HashMap::new()) }
}

/// Reads the beginning and the end of the time.
fn range(query: &mut Query, default_ms: i64, now: i64) -> (i64, i64) {
    let TimeRange { from, to } = query.read();
    let (from, to) = (query.time("from", from), query.time("to", to));
    let to = to.unwrap_or(now);
    let from = from.unwrap_or_else(|| to.saturating_sub(default_ms));
    if to <= from {
        query.mistake("to must be after from");
    }
    (from, to)
}

fn by(query: &mut Query) -> Option<By> {
    let word = query.word("by", &SUBJECTS.map(|(_, name)| name))?;
    SUBJECTS.iter().find(|(_, name)| *name == word).map(|(by, _)| *by)
}

/// Reads the list of figures.
fn wanted(query: &mut Query) -> Vec<Metric> {
    let Some(text) = query.text("metrics") else { return Metric::ALL.to_vec() };
    let metrics: Vec<Option<Metric>> = text.split(',').map(|name| Metric::parse(name.trim())).collect();
    if metrics.contains(&None) {
        query.mistake(format!("metrics must be some of: {}", Metric::ALL.map(Metric::name).join(", ")));
    }
    metrics.into_iter().flatten().collect()
}

// === impl Columns ===

impl Columns {
    fn new(series: Series, wanted: &[Metric], names: &HashMap<String, String>) -> Self {
        let points = &series.points;
        let counts =
            |metric, count: fn(&Point) -> i64| wanted.contains(&metric).then(|| points.iter().map(count).collect());
        let figures =
            |metric: Metric| wanted.contains(&metric).then(|| points.iter().map(|point| metric.of(point)).collect());
        Self {
            requests: counts(Metric::Requests, |point| point.requests),
            errors: counts(Metric::Errors, |point| point.errors),
            prompt: counts(Metric::Prompt, |point| point.prompt_tokens),
            completion: counts(Metric::Completion, |point| point.completion_tokens),
            cost_nano: counts(Metric::CostNano, |point| point.cost_nanos),
            p50: figures(Metric::P50),
            p95: figures(Metric::P95),
            p99: figures(Metric::P99),
            ttft50: figures(Metric::Ttft50),
            ttft95: figures(Metric::Ttft95),
            name: series.key.as_ref().and_then(|key| names.get(key)).cloned(),
            key: series.key,
        }
    }
}

// === impl TopRow ===

impl TopRow {
    fn new(key: String, point: &Point) -> Self {
        Self {
            key,
            name: None,
            requests: point.requests,
            errors: point.errors,
            prompt: point.prompt_tokens,
            completion: point.completion_tokens,
            cost_nano: point.cost_nanos,
            p50: point.durations.percentile(50),
            p95: point.durations.percentile(95),
            p99: point.durations.percentile(99),
            ttft50: point.first_bytes.percentile(50),
            ttft95: point.first_bytes.percentile(95),
        }
    }
}
