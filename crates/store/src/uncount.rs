//! Subtracts requests and answers from `usage_minutes` before they are deleted.
//!
//! Triggers subtract them from `usage_hours`, but SQL cannot subtract histograms. So the rows that are about to be
//! deleted are read, and their sums changed, within the transaction that deletes them. Writers of the log are
//! serialised, so that nothing else changes the sums in between.
//!
//! Earlier versions wrote rows without key and status: a request that is not in the row of its key is subtracted from
//! those. No sum becomes negative: requests of versions without such sums are in none.

use std::collections::{BTreeMap, BTreeSet};

use signalbox_core::schema::RequestStatus;

use crate::Error;
use crate::exchanges::minute_sums;
use crate::row::{Columns, FromRow};
use crate::rows::Rows;
use crate::tables::usage_minutes::{FIND, HOUR, MINUTE, MinuteSum, Place, StoredSum, begin_of};
use crate::transaction::Transaction;

/// A request as it was counted.
struct Counted {
    /// When it arrived, in Unix milliseconds.
    timestamp: i64,
    provider: String,
    model: String,
    key: String,
    status: String,
    sum: MinuteSum,
}

/// Reads the requests with these numbers, and their answers.
pub(crate) const COUNTED: (&str, usize, &str) = (
    "SELECT requests.timestamp, requests.provider_id, requests.model, requests.key_id, requests.status,
         responses.error IS NOT NULL AS failed, responses.prompt_tokens, responses.completion_tokens,
         responses.cost_nanos, responses.duration_ms, responses.first_byte_ms
     FROM requests LEFT JOIN responses ON responses.id = requests.id WHERE requests.id IN (VALUES ",
    1,
    ")",
);

pub(crate) const DELETE: (&str, usize, &str) =
    ("DELETE FROM usage_minutes WHERE (span, minute, provider_id, model, key_id, status) IN (VALUES ", 6, ")");

/// Subtracts requests and their answers.
pub(crate) async fn requests(tx: &mut Transaction, ids: impl Iterator<Item = i64>) -> Result<(), Error> {
    let counted = counted(tx, ids).await?;
    subtract(tx, counted).await
}

/// Subtracts the answers of requests that are kept and still count as such.
pub(crate) async fn answers(tx: &mut Transaction, ids: impl Iterator<Item = i64>) -> Result<(), Error> {
    let mut counted = counted(tx, ids).await?;
    counted.iter_mut().for_each(|request| request.sum.requests = 0);
    subtract(tx, counted).await
}

async fn counted(tx: &mut Transaction, ids: impl Iterator<Item = i64>) -> Result<Vec<Counted>, Error> {
    let mut rows = Rows::new(COUNTED.0, COUNTED.1, COUNTED.2);
    ids.for_each(|id| rows.push([id.into()]));
    rows.all(tx).await
}

async fn subtract(tx: &mut Transaction, counted: Vec<Counted>) -> Result<(), Error> {
    let mut less: BTreeMap<Place<'_>, MinuteSum> = BTreeMap::new();
    for request in &counted {
        for span in [MINUTE, HOUR] {
            less.entry(request.place(span)).or_default().merge(&request.sum);
        }
    }
    let places: BTreeSet<Place<'_>> =
        less.keys().flat_map(|place| [place.clone(), place.of_earlier_versions()]).collect();
    let mut wanted = Rows::new(FIND.0, FIND.1, FIND.2);
    places.iter().for_each(|place| wanted.push(place.values()));
    let found: Vec<StoredSum> = wanted.all(tx).await?;
    let mut sums: BTreeMap<Place<'_>, MinuteSum> = found.into_iter().map(|row| (row.place, row.sum)).collect();
    for (place, mut rest) in less {
        for place in [place.clone(), place.of_earlier_versions()] {
            if let Some(sum) = sums.get_mut(&place) {
                sum.subtract(&mut rest);
            }
        }
    }
    let mut empty = Rows::new(DELETE.0, DELETE.1, DELETE.2);
    sums.iter().filter(|(_, sum)| sum.requests == 0).for_each(|(place, _)| empty.push(place.values()));
    empty.execute(tx).await?;
    minute_sums::put(sums.iter().filter(|(_, sum)| sum.requests > 0)).execute(tx).await.map(drop)
}

// === impl Counted ===

impl Counted {
    fn place(&self, span: i64) -> Place<'_> {
        Place {
            span,
            minute: begin_of(span, self.timestamp),
            provider: self.provider.as_str().into(),
            model: self.model.as_str().into(),
            key: self.key.as_str().into(),
            status: self.status.as_str().into(),
        }
    }
}

impl FromRow for Counted {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        let status = row.text("status")?;
        let count = |column| Ok::<_, Error>(row.optional_int(column)?.unwrap_or_default());
        let mut sum = MinuteSum {
            requests: i64::from(status != RequestStatus::Pending.as_str()),
            errors: i64::from(row.flag("failed")?),
            prompt_tokens: count("prompt_tokens")?,
            completion_tokens: count("completion_tokens")?,
            cost_nanos: count("cost_nanos")?,
            ..MinuteSum::default()
        };
        if let Some(duration_ms) = row.optional_int("duration_ms")? {
            sum.durations.add(duration_ms);
        }
        if let Some(first_byte_ms) = row.optional_int("first_byte_ms")? {
            sum.first_bytes.add(first_byte_ms);
        }
        Ok(Self {
            timestamp: row.int("timestamp")?,
            provider: row.optional_text("provider_id")?.unwrap_or_default(),
            model: row.text("model")?,
            key: row.optional_text("key_id")?.unwrap_or_default(),
            status,
            sum,
        })
    }
}
