//! Looking for a text in what was said.
//!
//! Bodies are compressed, and in pieces, so no index knows their words. A search reads them, the newest first, as many as its
//! bounds allow, and says where it stopped: whoever wants more goes on there. What the filter leaves out is not read.

use std::collections::HashMap;

use signalbox_core::said::Needle;
use signalbox_core::schema::{Request, Response};
use tokio::time::{Duration, Instant};

use super::{Filter, Kept, ResponseSummary, piece, total, whole};
use crate::responses::{self, BY_IDS, Kept as KeptResponse};
use crate::rows::Rows;
use crate::{After, Error, Page, Store};

/// How many requests are in memory at once, with their bodies.
const STEP: usize = 16;

/// How far one search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// It stops when it has found so many.
    pub found: usize,
    /// It stops when it has read so many requests, or a few more.
    pub read: usize,
    /// It stops when it has taken so long, or a little longer.
    pub time: Duration,
}

/// What a search found.
#[derive(Debug)]
pub struct Found {
    /// The requests with the short of their responses, the newest first.
    pub items: Vec<(Request, Option<ResponseSummary>)>,
    /// How many requests the filter leaves, wherever the search began.
    pub total: i64,
    /// How many of them were read.
    pub read: usize,
    /// Where the search goes on; `None` if there is nothing left to read.
    pub next: Option<After<i64>>,
}

/// Reads requests and their answers, the newest first and without the first `skipped`, and answers those in which the text
/// was said. However narrow the bounds are, it comes further.
///
/// # Errors
/// See [`Error`].
pub async fn search(store: &Store, filter: &Filter, text: &str, skipped: i64, bounds: Bounds) -> Result<Found, Error> {
    let needle = Needle::new(text);
    let began = Instant::now();
    let mut filter = filter.clone();
    let mut page = Page { limit: i64::try_from(STEP).unwrap_or(i64::MAX), offset: skipped }.check()?;
    let mut found = Found { items: Vec::new(), total: 0, read: 0, next: None };
    loop {
        // A transaction for each step: who cleans up after writers need not wait for the whole search.
        let mut tx = store.read().await?;
        if found.read == 0 {
            found.total = total(&mut tx, &filter).await?;
        }
        let rows: Vec<(Kept, Option<ResponseSummary>)> = tx.all(piece(&filter, page)).await?;
        let is_last = rows.len() < STEP;
        let (rows, summaries): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let mut answered = Rows::new(BY_IDS.0, BY_IDS.1, BY_IDS.2);
        rows.iter()
            .zip(&summaries)
            .filter(|(_, summary)| summary.is_some())
            .for_each(|(row, _)| answered.push([row.request.id.into()]));
        let answers: Vec<KeptResponse> = answered.all(&mut tx).await?;
        let answers = responses::whole(&mut tx, answers).await?;
        let mut answers: HashMap<i64, Response> = answers.into_iter().map(|answer| (answer.id, answer)).collect();
        let requests = whole(&mut tx, rows).await?;
        drop(tx);
        for (request, summary) in requests.into_iter().zip(summaries) {
            found.read += 1;
            found.next = Some(After { at: request.timestamp, id: request.id });
            let answer = answers.remove(&request.id).and_then(|answer| answer.openai_response);
            if needle.is_said_in(&request.openai_request) || answer.is_some_and(|answer| needle.is_said_in(&answer)) {
                found.items.push((request, summary));
                if found.items.len() >= bounds.found {
                    return Ok(found);
                }
            }
        }
        if is_last {
            found.next = None;
            return Ok(found);
        }
        if found.read >= bounds.read || began.elapsed() >= bounds.time {
            return Ok(found);
        }
        filter.after.clone_from(&found.next);
        page.offset = 0;
    }
}
