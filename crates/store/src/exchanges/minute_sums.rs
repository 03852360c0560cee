//! Computes the sums that a batch adds to `usage_minutes`.
//!
//! Only requests that have ended are counted, at the minute in which they arrived. Histograms cannot be added in SQL, so
//! the rows are read first. Nothing else writes them: writers of the log are serialised.

use std::collections::BTreeMap;

use super::{ExchangeEnd, ExchangeStart};
use crate::Error;
use crate::rows::Rows;
use crate::statement::without_nul;
use crate::tables::usage_minutes::{FIND, HOUR, MINUTE, MinuteSum, Place, StoredSum, begin_of};
use crate::transaction::Transaction;

/// The sums of a batch.
#[derive(Debug, Default)]
pub(super) struct MinuteSums<'a>(BTreeMap<Place<'a>, MinuteSum>);

const PUT: (&str, usize, &str) = (
    "INSERT INTO usage_minutes (span, minute, provider_id, model, key_id, status, requests, errors, prompt_tokens,
         completion_tokens, cost_nanos, durations, first_bytes) VALUES ",
    13,
    " ON CONFLICT (span, minute, provider_id, model, key_id, status) DO UPDATE SET
         requests = excluded.requests, errors = excluded.errors, prompt_tokens = excluded.prompt_tokens,
         completion_tokens = excluded.completion_tokens, cost_nanos = excluded.cost_nanos,
         durations = excluded.durations, first_bytes = excluded.first_bytes",
);

// === impl MinuteSums ===

impl<'a> MinuteSums<'a> {
    /// Counts a request whose end is not in the log yet.
    pub(super) fn add(&mut self, begun: &'a ExchangeStart, ended: &'a ExchangeEnd) {
        for span in [MINUTE, HOUR] {
            add(self.0.entry(place(span, begun, ended)).or_default(), ended);
        }
    }

    /// Adds the sums.
    pub(super) async fn write(mut self, tx: &mut Transaction) -> Result<(), Error> {
        let mut wanted = Rows::new(FIND.0, FIND.1, FIND.2);
        self.0.keys().for_each(|place| wanted.push(place.values()));
        let found: Vec<StoredSum> = wanted.all(tx).await?;
        for StoredSum { place, sum } in found {
            if let Some(more) = self.0.get_mut(&place) {
                more.merge(&sum);
            }
        }
        put(self.0.iter()).execute(tx).await.map(drop)
    }
}

/// Returns the statement that writes rows, in their order, in place of those with the same primary keys.
pub(crate) fn put<'s, 'a: 's>(sums: impl Iterator<Item = (&'s Place<'a>, &'s MinuteSum)>) -> Rows<'a> {
    let mut rows = Rows::new(PUT.0, PUT.1, PUT.2);
    for (place, sum) in sums {
        let [span, minute, provider, model, key, status] = place.values();
        let [requests, errors, prompt_tokens, completion_tokens, cost_nanos, durations, first_bytes] = sum.values();
        rows.push([
            span,
            minute,
            provider,
            model,
            key,
            status,
            requests,
            errors,
            prompt_tokens,
            completion_tokens,
            cost_nanos,
            durations,
            first_bytes,
        ]);
    }
    rows
}

fn add(sum: &mut MinuteSum, ended: &ExchangeEnd) {
    sum.requests += 1;
    sum.errors += i64::from(ended.error.is_some());
    if let Some(usage) = &ended.usage {
        sum.prompt_tokens = sum.prompt_tokens.saturating_add(usage.prompt_tokens);
        sum.completion_tokens = sum.completion_tokens.saturating_add(usage.completion_tokens);
    }
    let cost = ended.cost.as_ref().and_then(|cost| cost.nanos);
    sum.cost_nanos = sum.cost_nanos.saturating_add(cost.unwrap_or_default());
    sum.durations.add(ended.duration_ms);
    if let Some(first_byte_ms) = ended.first_byte_ms {
        sum.first_bytes.add(first_byte_ms);
    }
}

fn place<'a>(span: i64, begun: &'a ExchangeStart, ended: &'a ExchangeEnd) -> Place<'a> {
    Place {
        span,
        minute: begin_of(span, begun.received_at),
        provider: without_nul(ended.provider_id.as_deref().unwrap_or_default()),
        model: without_nul(&begun.model),
        key: without_nul(begun.key_id.as_deref().unwrap_or_default()),
        status: ended.status.as_str().into(),
    }
}
