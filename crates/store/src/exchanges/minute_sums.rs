//! Computes the sums that a batch adds to `usage_minutes`.
//!
//! Only requests that have ended are counted, at the minute in which they arrived. Histograms cannot be added in SQL, so
//! the rows are read first. Nothing else writes them: writers of the log are serialised.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::{ExchangeEnd, ExchangeStart};
use crate::Error;
use crate::histogram::Histogram;
use crate::row::{Columns, FromRow};
use crate::rows::Rows;
use crate::statement::without_nul;
use crate::tables::usage_minutes::{HOUR, MINUTE, MINUTE_MS};
use crate::transaction::Transaction;

/// The key of a row of `usage_minutes`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    span: i64,
    minute: i64,
    provider: Cow<'a, str>,
    model: Cow<'a, str>,
}

#[derive(Debug, Default)]
struct MinuteSum {
    requests: i64,
    errors: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    cost_nanos: i64,
    durations: Histogram,
    first_bytes: Histogram,
}

/// The sums of a batch.
#[derive(Debug, Default)]
pub(super) struct MinuteSums<'a>(BTreeMap<Key<'a>, MinuteSum>);

/// The histograms of a row.
struct Histograms {
    key: (i64, i64, String, String),
    durations: Histogram,
    first_bytes: Histogram,
}

pub(crate) const FIND: (&str, usize, &str) = (
    "WITH wanted (span, minute, provider_id, model) AS (VALUES ",
    4,
    ") SELECT sums.span, sums.minute, sums.provider_id, sums.model, sums.durations, sums.first_bytes
     FROM wanted JOIN usage_minutes AS sums ON sums.span = wanted.span AND sums.minute = wanted.minute
         AND sums.provider_id = wanted.provider_id AND sums.model = wanted.model",
);

const ADD: (&str, usize, &str) = (
    "INSERT INTO usage_minutes (span, minute, provider_id, model, requests, errors, prompt_tokens, completion_tokens,
         cost_nanos, durations, first_bytes) VALUES ",
    11,
    " ON CONFLICT (span, minute, provider_id, model) DO UPDATE SET
         requests = usage_minutes.requests + excluded.requests, errors = usage_minutes.errors + excluded.errors,
         prompt_tokens = usage_minutes.prompt_tokens + excluded.prompt_tokens,
         completion_tokens = usage_minutes.completion_tokens + excluded.completion_tokens,
         cost_nanos = usage_minutes.cost_nanos + excluded.cost_nanos,
         durations = excluded.durations, first_bytes = excluded.first_bytes",
);

// === impl MinuteSums ===

impl<'a> MinuteSums<'a> {
    /// Counts a request whose end is not in the log yet.
    pub(super) fn add(&mut self, begun: &'a ExchangeStart, ended: &'a ExchangeEnd) {
        for span in [MINUTE, HOUR] {
            self.0.entry(Key::of(span, begun, ended)).or_default().add(ended);
        }
    }

    /// Adds the sums.
    pub(super) async fn write(mut self, tx: &mut Transaction) -> Result<(), Error> {
        let mut keys = Rows::new(FIND.0, FIND.1, FIND.2);
        for key in self.0.keys() {
            keys.push([key.span.into(), key.minute.into(), key.provider.clone().into(), key.model.clone().into()]);
        }
        let found: Vec<Histograms> = keys.all(tx).await?;
        let mut found: HashMap<_, _> =
            found.into_iter().map(|row| (row.key, (row.durations, row.first_bytes))).collect();
        let mut rows = Rows::new(ADD.0, ADD.1, ADD.2).with_capacity(self.0.len());
        for (key, sum) in &mut self.0 {
            let place = (key.span, key.minute, key.provider.to_string(), key.model.to_string());
            if let Some((durations, first_bytes)) = found.remove(&place) {
                sum.durations.merge(&durations);
                sum.first_bytes.merge(&first_bytes);
            }
            let (_, _, provider, model) = place;
            rows.push([
                key.span.into(),
                key.minute.into(),
                provider.into(),
                model.into(),
                sum.requests.into(),
                sum.errors.into(),
                sum.prompt_tokens.into(),
                sum.completion_tokens.into(),
                sum.cost_nanos.into(),
                sum.durations.text().into(),
                sum.first_bytes.text().into(),
            ]);
        }
        rows.execute(tx).await.map(drop)
    }
}

// === impl MinuteSum ===

impl MinuteSum {
    fn add(&mut self, ended: &ExchangeEnd) {
        self.requests += 1;
        self.errors += i64::from(ended.error.is_some());
        if let Some(usage) = &ended.usage {
            self.prompt_tokens = self.prompt_tokens.saturating_add(usage.prompt_tokens);
            self.completion_tokens = self.completion_tokens.saturating_add(usage.completion_tokens);
        }
        let cost = ended.cost.as_ref().and_then(|cost| cost.nanos);
        self.cost_nanos = self.cost_nanos.saturating_add(cost.unwrap_or_default());
        self.durations.add(ended.duration_ms);
        if let Some(first_byte_ms) = ended.first_byte_ms {
            self.first_bytes.add(first_byte_ms);
        }
    }
}

// === impl Key ===

impl<'a> Key<'a> {
    fn of(span: i64, begun: &'a ExchangeStart, ended: &'a ExchangeEnd) -> Self {
        let minute = begun.received_at.div_euclid(MINUTE_MS);
        Self {
            span,
            minute: minute - minute.rem_euclid(span),
            provider: without_nul(ended.provider_id.as_deref().unwrap_or_default()),
            model: without_nul(&begun.model),
        }
    }
}

// === impl FromRow ===

impl FromRow for Histograms {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            key: (row.int("span")?, row.int("minute")?, row.text("provider_id")?, row.text("model")?),
            durations: Histogram::parse(&row.text("durations")?),
            first_bytes: Histogram::parse(&row.text("first_bytes")?),
        })
    }
}
