//! Searches the texts of requests and answers.
//!
//! Bodies are compressed and split into pieces, so they cannot be indexed. A search reads the bodies in the order of
//! the filter, until it reaches its bounds, and returns the position from which the caller can continue. Requests that do not match
//! the filter are not read.

use std::collections::HashMap;

use signalbox_core::body_search::SearchTerm;
use signalbox_core::schema::{Request, Response};
use tokio::time::{Duration, Instant};

use super::filter::total;
use super::{Filter, ResponseSummary, StoredRequest, fill_bodies, fill_excerpts, page_statement};
use crate::bodies::{MAX_EXCERPT, length_of};
use crate::rows::Rows;
use crate::statement::Statement;
use crate::tables::responses::{BY_IDS, StoredResponse, fill_bodies as whole_responses};
use crate::transaction::Transaction;
use crate::{Error, Page, RowPosition, Store, responses};

/// Number of requests that one statement reads, without their bodies.
const STATEMENT_ROWS: usize = 16;

/// Maximum bytes of bodies in memory at once, unless a single body is longer.
const MAX_BUFFERED_BYTES: usize = 4 << 20;

/// The bounds of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchLimits {
    /// Stops when this many requests have been found.
    pub found: usize,
    /// Stops when this many requests, or a few more, have been read.
    pub read: usize,
    /// Stops when this many bytes of bodies have been read; the last body may exceed the limit.
    pub bytes: usize,
    /// Stops after this time, or slightly later.
    pub time: Duration,
}

/// The result of a search.
#[derive(Debug)]
pub struct SearchPage {
    /// The requests with summaries of their responses, in the order of the filter.
    pub items: Vec<(Request, Option<ResponseSummary>)>,
    /// The number of requests that match the filter, regardless of where the search began.
    pub total: i64,
    /// The number of requests that were read.
    pub read: usize,
    /// The position from which to continue; `None` if all requests have been read.
    pub next: Option<RowPosition<i64>>,
}

/// A row whose bodies have not been read yet.
struct Candidate {
    row: StoredRequest,
    summary: Option<ResponseSummary>,
    /// Length of the bodies in bytes.
    length: usize,
}

/// Reads requests and their answers in the order of the filter, without the first `skipped`, and returns those that contain
/// the text; their bodies are as in [`list`](super::list). Every search makes progress, even with the smallest bounds.
///
/// # Errors
/// See [`Error`].
pub async fn search(
    store: &Store,
    filter: &Filter,
    text: &str,
    skipped: i64,
    bounds: SearchLimits,
) -> Result<SearchPage, Error> {
    let term = SearchTerm::new(text);
    let began = Instant::now();
    let mut filter = filter.clone();
    let mut page = Page { limit: i64::try_from(STATEMENT_ROWS).unwrap_or(i64::MAX), offset: skipped }.check()?;
    let mut found = SearchPage { items: Vec::new(), total: 0, read: 0, next: None };
    let mut bytes = 0_usize;
    loop {
        // One transaction per step, so that a long search does not keep SQLite from checkpointing or PostgreSQL from
        // vacuuming.
        let mut tx = store.read().await?;
        if found.read == 0 {
            found.total = total(&mut tx, &filter).await?;
        }
        let mut candidates = candidates(&mut tx, &filter, page).await?.into_iter().peekable();
        let is_last = candidates.len() < STATEMENT_ROWS;
        while candidates.peek().is_some() {
            let mut held = 0_usize;
            let group: Vec<Candidate> = std::iter::from_fn(|| {
                let next =
                    candidates.next_if(|next| held == 0 || held.saturating_add(next.length) <= MAX_BUFFERED_BYTES)?;
                held = held.saturating_add(next.length.max(1));
                Some(next)
            })
            .collect();
            bytes = bytes.saturating_add(held);
            let texts = read(&mut tx, &group).await?;
            let mut hits = Vec::new();
            for (Candidate { row, summary, .. }, (request, answer)) in group.into_iter().zip(texts) {
                found.read += 1;
                found.next = Some(RowPosition { at: row.request.timestamp, id: row.request.id });
                if term.is_found_in(&request) || answer.is_some_and(|answer| term.is_found_in(&answer)) {
                    hits.push((row, summary));
                    if found.items.len() + hits.len() >= bounds.found {
                        break;
                    }
                }
            }
            let (rows, summaries): (Vec<_>, Vec<_>) = hits.into_iter().unzip();
            found.items.extend(fill_excerpts(&mut tx, rows).await?.into_iter().zip(summaries));
            if found.items.len() >= bounds.found {
                return Ok(found);
            }
            let ends = is_last && candidates.peek().is_none();
            if !ends && (found.read >= bounds.read || bytes >= bounds.bytes || began.elapsed() >= bounds.time) {
                return Ok(found);
            }
        }
        if is_last {
            found.next = None;
            return Ok(found);
        }
        filter.after.clone_from(&found.next);
        page.offset = 0;
    }
}

/// Reads one page without its bodies.
async fn candidates(tx: &mut Transaction, filter: &Filter, page: Page) -> Result<Vec<Candidate>, Error> {
    let rows: Vec<(StoredRequest, Option<ResponseSummary>)> = tx.all(page_statement(filter, page)).await?;
    let answered = rows.iter().filter(|(_, summary)| summary.is_some()).map(|(row, _)| row.request.id);
    let answers = responses::lengths(tx, answered).await?;
    let candidate = |(row, summary): (StoredRequest, _)| {
        let answer = answers.get(&row.request.id).copied().unwrap_or_default();
        let length = match &row.pieces {
            Some(pieces) => length_of(pieces).unwrap_or_default(),
            // The body is in the row, but its length is unknown.
            None if is_truncated(&row) => MAX_BUFFERED_BYTES,
            None => row.request.request_body.len(),
        };
        Candidate { length: length.saturating_add(answer), row, summary }
    };
    Ok(rows.into_iter().map(candidate).collect())
}

/// Reads the bodies of a few requests and of their answers.
async fn read(tx: &mut Transaction, group: &[Candidate]) -> Result<Vec<(String, Option<String>)>, Error> {
    let mut answered = Rows::new(BY_IDS.0, BY_IDS.1, BY_IDS.2);
    let mut rows = Vec::with_capacity(group.len());
    for Candidate { row, summary, .. } in group {
        if summary.is_some() {
            answered.push([row.request.id.into()]);
        }
        let mut request = row.request.clone();
        if row.pieces.is_none() && is_truncated(row) {
            let by_id = Statement::new("SELECT * FROM requests WHERE id = $1").bind(request.id);
            request = tx.one(by_id, super::ENTITY).await?;
        }
        // The body sent to the provider has the same texts, so it is not read.
        rows.push(StoredRequest { request, pieces: row.pieces.clone(), upstream_pieces: None });
    }
    let answers: Vec<StoredResponse> = answered.all(tx).await?;
    let answers = whole_responses(tx, answers).await?;
    let mut answers: HashMap<i64, Response> = answers.into_iter().map(|answer| (answer.id, answer)).collect();
    let text = |request: Request| {
        let answer = answers.remove(&request.id).and_then(|answer| answer.response_body);
        (request.request_body, answer)
    };
    Ok(fill_bodies(tx, rows).await?.into_iter().map(text).collect())
}

/// Returns whether the column of a body is longer than the part that a list reads.
fn is_truncated(row: &StoredRequest) -> bool {
    row.request.request_body.len() > MAX_EXCERPT
}
