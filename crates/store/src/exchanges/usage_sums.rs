//! Computes the sums that a batch adds to `usage_hours`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use signalbox_core::schema::RequestStatus;

use super::{ExchangeEnd, ExchangeStart};
use crate::Error;
use crate::rows::Rows;
use crate::statement::without_nul;
use crate::transaction::Transaction;

/// The key of a row of `usage_hours`. Rows are written in this order, so that two writers cannot deadlock.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    hour: i64,
    provider: Cow<'a, str>,
    model: Cow<'a, str>,
    status: &'static str,
}

#[derive(Debug, Default)]
struct UsageSum {
    requests: i64,
    answers: i64,
    errors: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    total_tokens: i64,
    duration_ms: i64,
    cost_nanos: i64,
    unpriced: i64,
}

/// The sums of a batch.
#[derive(Debug, Default)]
pub(super) struct UsageSums<'a>(BTreeMap<Key<'a>, UsageSum>);

const ADD: (&str, usize, &str) = (
    "INSERT INTO usage_hours (hour, provider_id, model, status, requests, answers, errors, prompt_tokens,
         completion_tokens, total_tokens, timed, duration_ms, cost_nanos, unpriced) VALUES ",
    14,
    " ON CONFLICT (hour, provider_id, model, status) DO UPDATE SET requests = usage_hours.requests + excluded.requests,
         answers = usage_hours.answers + excluded.answers, errors = usage_hours.errors + excluded.errors,
         prompt_tokens = usage_hours.prompt_tokens + excluded.prompt_tokens,
         completion_tokens = usage_hours.completion_tokens + excluded.completion_tokens,
         total_tokens = usage_hours.total_tokens + excluded.total_tokens,
         timed = usage_hours.timed + excluded.timed, duration_ms = usage_hours.duration_ms + excluded.duration_ms,
         cost_nanos = usage_hours.cost_nanos + excluded.cost_nanos, unpriced = usage_hours.unpriced + excluded.unpriced",
);

// === impl UsageSums ===

impl<'a> UsageSums<'a> {
    /// Counts a request that is not in the log yet, answered or not.
    pub(super) fn add(&mut self, begun: &'a ExchangeStart, ended: Option<&'a ExchangeEnd>) {
        let sum = self.0.entry(Key::of(begun, ended)).or_default();
        sum.requests += 1;
        if let Some(ended) = ended {
            sum.answers += 1;
            sum.errors += i64::from(ended.error.is_some());
            sum.duration_ms = sum.duration_ms.saturating_add(ended.duration_ms);
            if let Some(cost) = &ended.cost {
                sum.cost_nanos = sum.cost_nanos.saturating_add(cost.nanos.unwrap_or_default());
                sum.unpriced += i64::from(cost.nanos.is_none());
            }
            if let Some(usage) = &ended.usage {
                sum.prompt_tokens = sum.prompt_tokens.saturating_add(usage.prompt_tokens);
                sum.completion_tokens = sum.completion_tokens.saturating_add(usage.completion_tokens);
                sum.total_tokens = sum.total_tokens.saturating_add(usage.total_tokens);
            }
        }
    }

    /// Counts the end of a request that was pending.
    pub(super) fn end(&mut self, begun: &'a ExchangeStart, ended: &'a ExchangeEnd) {
        self.0.entry(Key::of(begun, None)).or_default().requests -= 1;
        self.add(begun, Some(ended));
    }

    /// Adds the sums.
    pub(super) async fn write(self, tx: &mut Transaction) -> Result<(), Error> {
        let mut rows = Rows::new(ADD.0, ADD.1, ADD.2);
        for (key, sum) in self.0 {
            rows.push([
                key.hour.into(),
                key.provider.into(),
                key.model.into(),
                key.status.into(),
                sum.requests.into(),
                sum.answers.into(),
                sum.errors.into(),
                sum.prompt_tokens.into(),
                sum.completion_tokens.into(),
                sum.total_tokens.into(),
                // Every recorded answer has a duration.
                sum.answers.into(),
                sum.duration_ms.into(),
                sum.cost_nanos.into(),
                sum.unpriced.into(),
            ]);
        }
        rows.execute(tx).await.map(drop)
    }
}

// === impl Key ===

impl<'a> Key<'a> {
    fn of(begun: &'a ExchangeStart, ended: Option<&'a ExchangeEnd>) -> Self {
        Self {
            hour: begun.received_at / crate::tables::usage_hours::HOUR_MS,
            provider: without_nul(ended.and_then(|ended| ended.provider_id.as_deref()).unwrap_or_default()),
            model: without_nul(&begun.model),
            status: ended.map_or(RequestStatus::Pending, |ended| ended.status).as_str(),
        }
    }
}
