//! The request log as series over time: sums by minute for the last 31 days, and by hour for the last 400.
//!
//! Requests count at the time at which they arrived, once they have ended.

use std::collections::{BTreeMap, HashMap, HashSet};

use signalbox_core::schema::RequestStatus;

pub use crate::histogram::Histogram;
use crate::row::{Columns, FromRow};
use crate::statement::{Filtered, Statement};
use crate::tables::usage_hours::HOUR_MS;
use crate::tables::usage_minutes::{HOUR, MINUTE, MINUTE_MS, MinuteSum, StoredSum};
use crate::{Error, Page, Store};

/// How long sums by minute are kept, in milliseconds.
pub const MINUTES_KEPT_MS: i64 = crate::tables::usage_minutes::MINUTES_KEPT_MS;

/// Number of spans that one statement reads, so that a long range needs little memory.
const SPANS_AT_ONCE: i64 = 240;

/// Selects sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The beginning in Unix milliseconds: a multiple of a minute.
    pub start: i64,
    /// Number of points.
    pub points: usize,
    /// Milliseconds between points: a multiple of a minute. If all points are whole hours, sums by hour are read.
    pub step: i64,
    /// Subject of each series.
    pub by: By,
    /// Maximum number of series; the others, which have fewer requests, are added up in one.
    pub max_series: usize,
    /// Requests for one of these models; empty for all.
    pub models: Vec<String>,
    /// Requests answered or last tried by one of these providers; empty for all.
    pub provider_ids: Vec<String>,
    /// Requests of one of these client keys; empty for all. An empty id stands for requests without a key.
    pub key_ids: Vec<String>,
    /// Requests that ended with one of these statuses; empty for all.
    pub statuses: Vec<RequestStatus>,
}

/// Subject of each series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// One series for all requests.
    #[default]
    All,
    /// A series for each provider.
    Provider,
    /// A series for each model.
    Model,
    /// A series for each client key.
    Key,
    /// A series for each status.
    Status,
}

/// A series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The provider, model, key or status. Empty for requests that reached no provider or have no key, and for those that
    /// an earlier version has counted without key and status. `None` for all requests, or for those that are in no other
    /// series.
    pub key: Option<String>,
    /// The points, without gaps.
    pub points: Vec<Point>,
}

/// The sums of the requests that arrived in one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// Number of requests that have ended.
    pub requests: i64,
    /// Number of those that have an error.
    pub errors: i64,
    /// Tokens of the prompts.
    pub prompt_tokens: i64,
    /// Tokens of the answers.
    pub completion_tokens: i64,
    /// The sum of the known costs, in nano-dollars.
    pub cost_nanos: i64,
    /// Milliseconds from the arrival of a request to the last byte of its answer.
    pub durations: Histogram,
    /// Milliseconds from the arrival of a request to the first byte of its answer.
    pub first_bytes: Histogram,
}

/// The values that requests of a time have, each with the number of requests, the most frequent first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    /// Models.
    pub models: Vec<(String, i64)>,
    /// Providers.
    pub provider_ids: Vec<(String, i64)>,
    /// Names of statuses.
    pub statuses: Vec<(String, i64)>,
    /// Ids of client keys, with the number of their requests that have ended.
    pub key_ids: Vec<(String, i64)>,
}

/// Key of a series.
struct Key(String);

struct KeyCount {
    key_id: String,
    requests: i64,
}

struct Facet {
    model: String,
    provider_id: String,
    status: String,
    requests: i64,
}

/// Returns the series, the one with the most requests first.
///
/// # Errors
/// See [`Error`].
pub async fn series(store: &Store, selection: &Selection) -> Result<Vec<Series>, Error> {
    let span = selection.span();
    let first = selection.start.div_euclid(MINUTE_MS);
    let count = i64::try_from(selection.points).unwrap_or(i64::MAX);
    let end = first.saturating_add((selection.step / MINUTE_MS).saturating_mul(count));
    let mut series: HashMap<Option<String>, Vec<Point>> = HashMap::new();
    let mut tx = store.read().await?;
    // Clients choose the names of models, so that there may be any number.
    let keys: HashSet<String> = match largest_statement(selection, first, end) {
        Some(statement) => tx.all::<Key>(statement).await?.into_iter().map(|Key(key)| key).collect(),
        None => HashSet::new(),
    };
    let mut from = first;
    while from < end {
        let to = from.saturating_add(SPANS_AT_ONCE * span).min(end);
        let sums: Vec<StoredSum> = tx.all(sums_statement(selection, from, to)).await?;
        for StoredSum { place, sum } in sums {
            let key = match selection.by {
                By::All => None,
                By::Provider => Some(place.provider.into_owned()),
                By::Model => Some(place.model.into_owned()),
                By::Key => Some(place.key.into_owned()),
                By::Status => Some(place.status.into_owned()),
            }
            .filter(|key| keys.contains(key));
            let points = series.entry(key).or_insert_with(|| vec![Point::default(); selection.points]);
            let step = (place.minute - first) * MINUTE_MS / selection.step;
            if let Some(point) = usize::try_from(step).ok().and_then(|step| points.get_mut(step)) {
                point.add(&sum.into());
            }
        }
        from = to;
    }
    let others = if selection.by == By::All { None } else { series.remove(&None) };
    let mut series: Vec<Series> = series.into_iter().map(|(key, points)| Series { key, points }).collect();
    series.sort_by_cached_key(|series| (std::cmp::Reverse(series.requests()), series.key.clone()));
    series.extend(others.map(|points| Series { key: None, points }));
    Ok(series)
}

/// Returns the values of the requests that arrived in the hours from `start` to `end`, in Unix milliseconds.
///
/// # Errors
/// See [`Error`].
pub async fn facets(store: &Store, start: i64, end: i64) -> Result<Facets, Error> {
    let select = "SELECT model, provider_id, status, CAST(SUM(requests) AS BIGINT) AS requests FROM usage_hours
         WHERE hour >= $1 AND hour <= $2 GROUP BY model, provider_id, status";
    let (first, last) = (start.div_euclid(HOUR_MS), end.div_euclid(HOUR_MS));
    let mut tx = store.read().await?;
    let found: Vec<Facet> = tx.all(Statement::new(select).bind(first).bind(last)).await?;
    let keys: Vec<KeyCount> = tx.all(keys_statement(first, last)).await?;
    let mut facets = [BTreeMap::new(), BTreeMap::new(), BTreeMap::new()];
    for Facet { model, provider_id, status, requests } in found.into_iter().filter(|facet| facet.requests > 0) {
        for (counts, value) in facets.iter_mut().zip([model, provider_id, status]) {
            // Requests that reached no provider cannot be selected by it.
            if !value.is_empty() {
                *counts.entry(value).or_default() += requests;
            }
        }
    }
    let [models, provider_ids, statuses] = facets.map(|counts| {
        let mut counts: Vec<(String, i64)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, requests)| std::cmp::Reverse(*requests));
        counts
    });
    let key_ids = keys.into_iter().map(|count| (count.key_id, count.requests)).collect();
    Ok(Facets { models, provider_ids, statuses, key_ids })
}

/// Returns the statement that counts the requests of each client key in some hours, the most frequent first.
pub(crate) fn keys_statement(first_hour: i64, last_hour: i64) -> Statement<'static> {
    let select = "SELECT key_id, CAST(SUM(requests) AS BIGINT) AS requests FROM usage_minutes
         WHERE span = $1 AND minute >= $2 AND minute <= $3 AND key_id <> '' GROUP BY key_id ORDER BY 2 DESC, 1";
    let minute = |hour: i64| hour.saturating_mul(HOUR);
    Statement::new(select).bind(HOUR).bind(minute(first_hour)).bind(minute(last_hour))
}

/// Returns the statement that reads the sums of some minutes.
pub(crate) fn sums_statement(selection: &Selection, from: i64, to: i64) -> Statement<'_> {
    filtered(selection, from, to).all(
        "SELECT span, minute, provider_id, model, key_id, status, requests, errors, prompt_tokens, completion_tokens,
             cost_nanos, durations, first_bytes
         FROM usage_minutes",
    )
}

fn filtered(selection: &Selection, from: i64, to: i64) -> Filtered<'_> {
    let mut filtered = Filtered::default();
    filtered.and("span = ?", selection.span());
    filtered.and("minute >= ?", from);
    filtered.and("minute < ?", to);
    filtered.and_any("provider_id", &selection.provider_ids);
    filtered.and_any("model", &selection.models);
    filtered.and_any("key_id", &selection.key_ids);
    filtered.and_any("status", selection.statuses.iter().map(|status| status.as_str()));
    filtered
}

/// Returns the statement that reads the keys of the largest series of some minutes; `None` if there is one series only.
pub(crate) fn largest_statement(selection: &Selection, from: i64, to: i64) -> Option<Statement<'_>> {
    let (select, order) = match selection.by {
        By::All => return None,
        By::Provider => (
            "SELECT provider_id AS name FROM usage_minutes",
            "GROUP BY provider_id ORDER BY SUM(requests) DESC, provider_id",
        ),
        By::Model => ("SELECT model AS name FROM usage_minutes", "GROUP BY model ORDER BY SUM(requests) DESC, model"),
        By::Key => ("SELECT key_id AS name FROM usage_minutes", "GROUP BY key_id ORDER BY SUM(requests) DESC, key_id"),
        By::Status => {
            ("SELECT status AS name FROM usage_minutes", "GROUP BY status ORDER BY SUM(requests) DESC, status")
        }
    };
    let limit = i64::try_from(selection.max_series).unwrap_or(i64::MAX);
    Some(filtered(selection, from, to).page(select, order, Page { limit, offset: 0 }))
}

// === impl Selection ===

impl Selection {
    /// Returns the span of the rows that are read.
    const fn span(&self) -> i64 {
        if self.step % HOUR_MS == 0 && self.start % HOUR_MS == 0 { HOUR } else { MINUTE }
    }
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            start: 0,
            points: 1,
            step: MINUTE_MS,
            by: By::All,
            max_series: 20,
            models: Vec::new(),
            provider_ids: Vec::new(),
            key_ids: Vec::new(),
            statuses: Vec::new(),
        }
    }
}

// === impl Series ===

impl Series {
    /// Returns the number of requests of all points.
    #[must_use]
    pub fn requests(&self) -> i64 {
        self.points.iter().map(|point| point.requests).sum()
    }
}

// === impl Point ===

impl Point {
    /// Adds the sums of another point.
    pub fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.errors = self.errors.saturating_add(other.errors);
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.cost_nanos = self.cost_nanos.saturating_add(other.cost_nanos);
        self.durations.merge(&other.durations);
        self.first_bytes.merge(&other.first_bytes);
    }
}

impl From<MinuteSum> for Point {
    fn from(sum: MinuteSum) -> Self {
        let MinuteSum { requests, errors, prompt_tokens, completion_tokens, cost_nanos, durations, first_bytes } = sum;
        Self { requests, errors, prompt_tokens, completion_tokens, cost_nanos, durations, first_bytes }
    }
}

// === impl FromRow ===

impl FromRow for KeyCount {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { key_id: row.text("key_id")?, requests: row.int("requests")? })
    }
}

impl FromRow for Key {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.text("name").map(Self)
    }
}

impl FromRow for Facet {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            model: row.text("model")?,
            provider_id: row.text("provider_id")?,
            status: row.text("status")?,
            requests: row.int("requests")?,
        })
    }
}
