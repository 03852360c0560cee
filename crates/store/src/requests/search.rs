//! Looking for a text in what was said.
//!
//! Bodies are compressed, and in pieces, so no index knows their words. A search reads them, the newest first, as many as its
//! bounds allow, and says where it stopped: whoever wants more goes on there. What the filter leaves out is not read.

use std::collections::HashMap;

use signalbox_core::said::Needle;
use signalbox_core::schema::{Request, Response};
use tokio::time::{Duration, Instant};

use super::{Filter, Kept, ResponseSummary, excerpts, piece, total, whole};
use crate::bodies::{EXCERPT, length_of};
use crate::responses::{self, BY_IDS, Kept as KeptResponse};
use crate::rows::Rows;
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{After, Error, Page, Store};

/// How many requests one statement reads, without their bodies.
const STEP: usize = 16;

/// Maximum bytes of bodies in memory at once, unless one is longer.
const GROUP: usize = 4 << 20;

/// How far one search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// It stops when it has found so many.
    pub found: usize,
    /// It stops when it has read so many requests, or a few more.
    pub read: usize,
    /// It stops when it has read so many bytes of bodies, or one body more.
    pub bytes: usize,
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

/// A row whose bodies have not been read yet.
struct Candidate {
    row: Kept,
    summary: Option<ResponseSummary>,
    /// Bytes of its bodies.
    length: usize,
}

/// Reads requests and their answers, the newest first and without the first `skipped`, and answers those in which the text
/// was said; their bodies are as in [`list`](super::list). However narrow the bounds are, it comes further.
///
/// # Errors
/// See [`Error`].
pub async fn search(store: &Store, filter: &Filter, text: &str, skipped: i64, bounds: Bounds) -> Result<Found, Error> {
    let needle = Needle::new(text);
    let began = Instant::now();
    let mut filter = filter.clone();
    let mut page = Page { limit: i64::try_from(STEP).unwrap_or(i64::MAX), offset: skipped }.check()?;
    let mut found = Found { items: Vec::new(), total: 0, read: 0, next: None };
    let mut bytes = 0_usize;
    loop {
        // A transaction for each step: who cleans up after writers need not wait for the whole search.
        let mut tx = store.read().await?;
        if found.read == 0 {
            found.total = total(&mut tx, &filter).await?;
        }
        let mut candidates = candidates(&mut tx, &filter, page).await?.into_iter().peekable();
        let is_last = candidates.len() < STEP;
        while candidates.peek().is_some() {
            let mut held = 0_usize;
            let group: Vec<Candidate> = std::iter::from_fn(|| {
                let next = candidates.next_if(|next| held == 0 || held.saturating_add(next.length) <= GROUP)?;
                held = held.saturating_add(next.length.max(1));
                Some(next)
            })
            .collect();
            bytes = bytes.saturating_add(held);
            let texts = read(&mut tx, &group).await?;
            let mut hits = Vec::new();
            for (Candidate { row, summary, .. }, (request, answer)) in group.into_iter().zip(texts) {
                found.read += 1;
                found.next = Some(After { at: row.request.timestamp, id: row.request.id });
                if needle.is_said_in(&request) || answer.is_some_and(|answer| needle.is_said_in(&answer)) {
                    hits.push((row, summary));
                    if found.items.len() + hits.len() >= bounds.found {
                        break;
                    }
                }
            }
            let (rows, summaries): (Vec<_>, Vec<_>) = hits.into_iter().unzip();
            found.items.extend(excerpts(&mut tx, rows).await?.into_iter().zip(summaries));
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
    let rows: Vec<(Kept, Option<ResponseSummary>)> = tx.all(piece(filter, page)).await?;
    let answered = rows.iter().filter(|(_, summary)| summary.is_some()).map(|(row, _)| row.request.id);
    let answers = responses::lengths(tx, answered).await?;
    let candidate = |(row, summary): (Kept, _)| {
        let answer = answers.get(&row.request.id).copied().unwrap_or_default();
        let length = match &row.pieces {
            Some(pieces) => length_of(pieces).unwrap_or_default(),
            // It is in its row, and nobody knows how much of it.
            None if is_cut(&row) => GROUP,
            None => row.request.openai_request.len(),
        };
        Candidate { length: length.saturating_add(answer), row, summary }
    };
    Ok(rows.into_iter().map(candidate).collect())
}

/// Reads the bodies of a few requests, and of their answers.
async fn read(tx: &mut Transaction, group: &[Candidate]) -> Result<Vec<(String, Option<String>)>, Error> {
    let mut answered = Rows::new(BY_IDS.0, BY_IDS.1, BY_IDS.2);
    let mut rows = Vec::with_capacity(group.len());
    for Candidate { row, summary, .. } in group {
        if summary.is_some() {
            answered.push([row.request.id.into()]);
        }
        let mut request = row.request.clone();
        if row.pieces.is_none() && is_cut(row) {
            let by_id = Statement::new("SELECT * FROM requests WHERE id = $1").bind(request.id);
            request = tx.one(by_id, super::WHAT).await?;
        }
        // What the provider was sent says the same, so it is not read.
        rows.push(Kept { request, pieces: row.pieces.clone(), upstream_pieces: None });
    }
    let answers: Vec<KeptResponse> = answered.all(tx).await?;
    let answers = responses::whole(tx, answers).await?;
    let mut answers: HashMap<i64, Response> = answers.into_iter().map(|answer| (answer.id, answer)).collect();
    let text = |request: Request| {
        let answer = answers.remove(&request.id).and_then(|answer| answer.openai_response);
        (request.openai_request, answer)
    };
    Ok(whole(tx, rows).await?.into_iter().map(text).collect())
}

/// Whether the column of a body goes on behind what a list reads of it.
fn is_cut(row: &Kept) -> bool {
    row.request.openai_request.len() > EXCERPT
}
