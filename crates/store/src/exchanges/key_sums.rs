//! Computes the sums that a batch adds to `key_hours`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{ExchangeEnd, ExchangeStart, Source};
use crate::Error;
use crate::rows::Rows;
use crate::statement::without_nul;
use crate::tables::usage_hours::HOUR_MS;
use crate::transaction::Transaction;

/// The key of a row of `key_hours`: hour, client key and model. Rows are written in this order, so that two writers
/// cannot deadlock. Requests without a client key have an empty one.
type Key<'a> = (i64, Cow<'a, str>, Cow<'a, str>);

#[derive(Debug, Default)]
struct KeySum {
    requests: i64,
    errors: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    cost_nanos: i64,
    unpriced: i64,
}

/// The sums of a batch. Requests that were sent to qwen-proxy directly have no client key and no cost, and are left out.
#[derive(Debug, Default)]
pub(super) struct KeySums<'a>(BTreeMap<Key<'a>, KeySum>);

const ADD: (&str, usize, &str) = (
    "INSERT INTO key_hours (hour, key_id, model, requests, errors, prompt_tokens, completion_tokens, cost_nanos,
         unpriced) VALUES ",
    9,
    " ON CONFLICT (hour, key_id, model) DO UPDATE SET requests = key_hours.requests + excluded.requests,
         errors = key_hours.errors + excluded.errors,
         prompt_tokens = key_hours.prompt_tokens + excluded.prompt_tokens,
         completion_tokens = key_hours.completion_tokens + excluded.completion_tokens,
         cost_nanos = key_hours.cost_nanos + excluded.cost_nanos, unpriced = key_hours.unpriced + excluded.unpriced",
);

// === impl KeySums ===

impl<'a> KeySums<'a> {
    /// Counts a request that is not in the log yet.
    pub(super) fn begin(&mut self, begun: &'a ExchangeStart) {
        if let Some(sum) = self.of(begun) {
            sum.requests += 1;
        }
    }

    /// Counts the end of a request that is in the log without an end, or was counted by [`KeySums::begin`].
    pub(super) fn end(&mut self, begun: &'a ExchangeStart, ended: &'a ExchangeEnd) {
        let Some(sum) = self.of(begun) else { return };
        sum.errors += i64::from(ended.error.is_some());
        if let Some(usage) = &ended.usage {
            sum.prompt_tokens = sum.prompt_tokens.saturating_add(usage.prompt_tokens);
            sum.completion_tokens = sum.completion_tokens.saturating_add(usage.completion_tokens);
        }
        if let Some(cost) = &ended.cost {
            sum.cost_nanos = sum.cost_nanos.saturating_add(cost.nanos.unwrap_or_default());
            sum.unpriced += i64::from(cost.nanos.is_none());
        }
    }

    fn of(&mut self, begun: &'a ExchangeStart) -> Option<&mut KeySum> {
        if begun.source != Source::Router {
            return None;
        }
        let key_id = without_nul(begun.key_id.as_deref().unwrap_or_default());
        let key = (begun.received_at.div_euclid(HOUR_MS), key_id, without_nul(&begun.model));
        Some(self.0.entry(key).or_default())
    }

    /// Adds the sums.
    pub(super) async fn write(self, tx: &mut Transaction) -> Result<(), Error> {
        let mut rows = Rows::new(ADD.0, ADD.1, ADD.2);
        for ((hour, key_id, model), sum) in self.0 {
            rows.push([
                hour.into(),
                key_id.into(),
                model.into(),
                sum.requests.into(),
                sum.errors.into(),
                sum.prompt_tokens.into(),
                sum.completion_tokens.into(),
                sum.cost_nanos.into(),
                sum.unpriced.into(),
            ]);
        }
        rows.execute(tx).await.map(drop)
    }
}
