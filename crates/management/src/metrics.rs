//! Routes of `/api/metrics`: the request log as series over time.

mod span;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use signalbox_daemon::clock::unix_ms;
use signalbox_store::metrics::{self, By, Point, Selection, Series};
use utoipa::{IntoParams, ToSchema};

use self::span::{Span, minutes_of};
use super::parameter::Parameter;
use super::query::Query;
use super::{App, Error};

/// Maximum number of series of one response.
const MAX_SERIES: usize = 20;

/// Maximum number of values of a facet.
const MAX_FACET: usize = 200;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The figures of a series, by their names in requests and responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metric {
    Requests,
    Errors,
    Prompt,
    Completion,
    CostNano,
    P50,
    P95,
    P99,
    Ttft50,
    Ttft95,
}

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
    /// The provider or model; empty for requests that reached no provider. Null for all requests, or for those that are
    /// in no other series.
    key: Option<String>,
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

/// The providers or models with the highest figures.
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

/// The figures of a provider or model.
#[derive(Debug, Serialize, ToSchema)]
struct TopRow {
    /// The provider or model; empty for requests that reached no provider.
    key: String,
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
}

/// A value with the number of its requests.
#[derive(Debug, Serialize, ToSchema)]
struct FacetValue {
    value: String,
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
        ("by" = Option<String>, Query, pattern = "^(provider|model)?$",
         description = "A series for each provider or model, at most 20, and one for the others"),
        ("model" = Option<Vec<String>>, Query, description = "Requests for one of these models"),
        ("provider_id" = Option<Vec<String>>, Query, description = "Requests answered by one of these providers"),
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
    query.finish()?;
    let Span { start, step, points } = span;
    let selection = Selection { start, points, step, by, max_series: MAX_SERIES, models, provider_ids };
    let found = metrics::series(&app.store, &selection).await?;
    Ok(Json(MetricSeries {
        t0: start,
        step,
        series: found.into_iter().map(|series| Columns::new(series, &wanted)).collect(),
        partial_from: span.partial_from(now),
    }))
}

/// Returns the providers or models with the highest figures in a time; the last 24 hours by default.
#[utoipa::path(
    get, path = "/api/metrics/top", tag = "metrics",
    params(
        TimeRange,
        ("by" = Option<String>, Query, pattern = "^(provider|model)?$", description = "`model` by default"),
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
    let mut rows: Vec<(Option<f64>, TopRow)> = metrics::series(&app.store, &selection)
        .await?
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
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    let by = if by == By::Provider { "provider" } else { "model" };
    Ok(Json(Top { by, metric: metric.name(), from: start, to: end, rows }))
}

/// Returns the models, providers and statuses of the requests of a time, in whole hours; the last 24 hours by default.
#[utoipa::path(
    get, path = "/api/metrics/facets", tag = "metrics", params(TimeRange),
    responses((status = 200, description = "The values", body = FacetList)),
)]
pub(super) async fn facets(State(app): State<App>, mut query: Query) -> Result<Json<FacetList>, Error> {
    let (from, to) = range(&mut query, DAY_MS, unix_ms());
    query.finish()?;
    let found = metrics::facets(&app.store, from, to.saturating_sub(1)).await?;
    let values = |counts: Vec<(String, i64)>| {
        counts.into_iter().take(MAX_FACET).map(|(value, requests)| FacetValue { value, requests }).collect()
    };
    Ok(Json(FacetList {
        models: values(found.models),
        providers: values(found.provider_ids),
        statuses: values(found.statuses),
    }))
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
    query.word("by", &["provider", "model"]).map(|word| if word == "provider" { By::Provider } else { By::Model })
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

// === impl Metric ===

impl Metric {
    const ALL: [Self; 10] = [
        Self::Requests,
        Self::Errors,
        Self::Prompt,
        Self::Completion,
        Self::CostNano,
        Self::P50,
        Self::P95,
        Self::P99,
        Self::Ttft50,
        Self::Ttft95,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Errors => "errors",
            Self::Prompt => "prompt",
            Self::Completion => "completion",
            Self::CostNano => "cost_nano",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Ttft50 => "ttft50",
            Self::Ttft95 => "ttft95",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Returns the figure of a point, to sort by.
    fn of(self, point: &Point) -> Option<f64> {
        let count = |count: i64| Some(count as f64);
        match self {
            Self::Requests => count(point.requests),
            Self::Errors => count(point.errors),
            Self::Prompt => count(point.prompt_tokens),
            Self::Completion => count(point.completion_tokens),
            Self::CostNano => count(point.cost_nanos),
            Self::P50 => point.durations.percentile(50),
            Self::P95 => point.durations.percentile(95),
            Self::P99 => point.durations.percentile(99),
            Self::Ttft50 => point.first_bytes.percentile(50),
            Self::Ttft95 => point.first_bytes.percentile(95),
        }
    }
}

// === impl Columns ===

impl Columns {
    fn new(series: Series, wanted: &[Metric]) -> Self {
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
            key: series.key,
        }
    }
}

// === impl TopRow ===

impl TopRow {
    fn new(key: String, point: &Point) -> Self {
        Self {
            key,
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
