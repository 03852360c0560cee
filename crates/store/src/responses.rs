//! Table `responses`: the logged answers.

use std::collections::BTreeMap;

use signalbox_core::schema::Response;

use crate::bodies::{BodyStart, Reader};
use crate::erasure;
use crate::row::{Columns, FromRow};
use crate::row_keys::RequestKey;
pub use crate::row_keys::ResponseKey;
use crate::rows::Rows;
use crate::statement::{Filtered, Statement};
use crate::tables::responses::{BY_ID, BY_UUID, StoredResponse, fill_bodies};
use crate::tables::usage_hours;
use crate::transaction::Transaction;
use crate::{Error, ListPage, Page, RowPosition, Store};

/// The name of a row of this table in errors.
const ENTITY: &str = "response";

/// Like [`BY_ID`], for lists: reads one more character of each body than they show, to tell whether the body is longer.
const LISTED: &str = "SELECT responses.id, responses.id AS request_id, responses.timestamp, responses.parent_id,
         responses.completion_tokens, responses.prompt_tokens, responses.total_tokens, responses.finish_reason, responses.error,
         responses.duration_ms, responses.first_byte_ms, responses.status_code, responses.provider_id, responses.attempts,
         responses.truncated, responses.translation, responses.created_at, responses.in_bodies,
         responses.cache_read_tokens, responses.cache_write_short_tokens, responses.cache_write_long_tokens,
         responses.input_audio_tokens, responses.input_image_tokens, responses.reasoning_tokens,
         responses.output_audio_tokens, responses.output_image_tokens, responses.tokens_adjusted,
         responses.cost_nanos, responses.cost_origin, responses.price_version,
         substr(responses.upstream_response, 1, 8193) AS upstream_response,
         substr(responses.response_body, 1, 8193) AS response_body,
         requests.session_id, requests.request_id AS response_id
     FROM responses JOIN requests ON requests.id = responses.id WHERE responses.id IN ";

/// Number of rows whose excerpts are built at once; each needs some 128 KiB of memory.
const EXCERPTS_AT_ONCE: usize = 16;

/// The statement of [`lengths`].
const SIZES: (&str, usize, &str) = (
    "SELECT id, timestamp, in_bodies, CAST(COALESCE(length(response_body), 0) AS BIGINT) AS length
     FROM responses WHERE id IN (VALUES ",
    1,
    ")",
);

const OF_SESSION: &str = "responses.id IN (SELECT id FROM requests WHERE session_id = ?)";

/// Selects responses. `None` matches all; filters combine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Responses of this session.
    pub session_id: Option<String>,
    /// The response to the request with this UUID (`requests.request_id`).
    pub request_id: Option<String>,
    /// Responses with this finish reason.
    pub finish_reason: Option<String>,
    /// Responses with an error, or without.
    pub has_error: Option<bool>,
    /// Responses that ended at this time or later.
    pub start: Option<i64>,
    /// Responses that ended at this time or earlier.
    pub end: Option<i64>,
    /// Returns only responses after this one; the total still counts all.
    pub after: Option<RowPosition<i64>>,
}

/// Sums over responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Number of responses.
    pub total_responses: i64,
    /// Number of responses without an error.
    pub succeeded: i64,
    /// All tokens, as reported by the providers.
    pub total_tokens: i64,
    /// Tokens of the answers, as reported by the providers.
    pub total_completion_tokens: i64,
    /// Tokens of the prompts, as reported by the providers.
    pub total_prompt_tokens: i64,
    /// Mean duration, rounded; 0 if there are no responses.
    pub avg_duration_ms: i64,
    /// The sum of the known costs, in nano-dollars.
    pub cost_nanos: i64,
    /// Number of responses whose cost is unknown.
    pub unpriced: i64,
}

/// The plan of a request.
struct Plan(Option<String>);

/// The length of a body that is stored in its row.
struct Size {
    id: i64,
    timestamp: i64,
    in_bodies: bool,
    length: usize,
}

/// Returns the responses, the newest first. A body of more than 8 KiB is returned as an
/// [excerpt](signalbox_core::excerpt); [`get`] returns the whole body.
///
/// # Errors
/// See [`Error`].
pub async fn list(store: &Store, filter: &Filter, page: Page) -> Result<ListPage<Response>, Error> {
    let page = page.check()?;
    let mut tx = store.read().await?;
    let total = total(&mut tx, filter).await?;
    let rows = tx.all(page_statement(filter, page)).await?;
    let items = fill_excerpts(&mut tx, rows).await?;
    Ok(ListPage { items, total })
}

/// Returns one response.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn get(store: &Store, key: &ResponseKey) -> Result<Response, Error> {
    let by = match key {
        ResponseKey::Id(id) => Statement::new(BY_ID).bind(*id),
        ResponseKey::Uuid(uuid) => Statement::new(BY_UUID).bind(uuid),
    };
    let mut tx = store.read().await?;
    let row: StoredResponse = tx.one(by, ENTITY).await?;
    fill_bodies(&mut tx, vec![row]).await?.pop().ok_or(Error::NotFound { entity: ENTITY })
}

/// Returns plan and attempts of the request that a response answers, a JSON object, if they were kept.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn plan(store: &Store, id: i64) -> Result<Option<String>, Error> {
    let Plan(plan) = store.one(Statement::new("SELECT plan FROM responses WHERE id = $1").bind(id), ENTITY).await?;
    Ok(plan)
}

/// Returns the response to a request.
///
/// # Errors
/// [`Error::NotFound`]: `request` or `response`; see [`Error`].
pub async fn for_request(store: &Store, key: &RequestKey) -> Result<Response, Error> {
    let (_, response) = crate::requests::get(store, key).await?;
    response.ok_or(Error::NotFound { entity: ENTITY })
}

/// Returns the sums over all responses, or over those of a session.
///
/// # Errors
/// See [`Error`].
pub async fn stats(store: &Store, session_id: Option<&str>) -> Result<Stats, Error> {
    let Some(session_id) = session_id else {
        return store.one(Statement::new(usage_hours::ANSWERS), ENTITY).await;
    };
    let mut filtered = Filtered::default();
    filtered.and(OF_SESSION, session_id);
    // The casts are for PostgreSQL, where sums and averages of integers have another type.
    let select = "SELECT COUNT(*) AS total_responses,
             CAST(COALESCE(SUM(CASE WHEN error IS NULL THEN 1 ELSE 0 END), 0) AS BIGINT) AS succeeded,
             CAST(COALESCE(SUM(total_tokens), 0) AS BIGINT) AS total_tokens,
             CAST(COALESCE(SUM(completion_tokens), 0) AS BIGINT) AS total_completion_tokens,
             CAST(COALESCE(SUM(prompt_tokens), 0) AS BIGINT) AS total_prompt_tokens,
             CAST(ROUND(COALESCE(AVG(duration_ms), 0)) AS BIGINT) AS avg_duration_ms,
             CAST(COALESCE(SUM(cost_nanos), 0) AS BIGINT) AS cost_nanos,
             CAST(COALESCE(SUM(CASE WHEN cost_nanos IS NULL AND cost_origin IS NOT NULL THEN 1 ELSE 0 END), 0) AS BIGINT)
                 AS unpriced
         FROM responses";
    store.one(filtered.all(select), ENTITY).await
}

/// Deletes a response with its texts; its request is kept.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn delete(store: &Store, key: &ResponseKey) -> Result<(), Error> {
    erasure::response(store, key, ENTITY).await
}

/// Fills in the beginnings of the bodies, in groups of rows to limit the memory in use.
async fn fill_excerpts(tx: &mut Transaction, rows: Vec<StoredResponse>) -> Result<Vec<Response>, Error> {
    let mut responses = Vec::with_capacity(rows.len());
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let group: Vec<StoredResponse> = rows.by_ref().take(EXCERPTS_AT_ONCE).collect();
        let mut reader = Reader::default();
        for StoredResponse { response, .. } in group.iter().filter(|row| row.in_bodies) {
            reader.want_answer(response.request_id, response.timestamp);
        }
        reader.fetch_starts(tx).await?;
        responses.extend(group.into_iter().map(|StoredResponse { mut response, in_bodies }| {
            let column = |text: Option<String>| text.map(|text| BodyStart::of_column(text).excerpt());
            response.upstream_response = column(response.upstream_response);
            response.response_body = if in_bodies {
                reader.answer_start(response.request_id, response.timestamp).map(BodyStart::excerpt)
            } else {
                column(response.response_body)
            };
            response
        }));
    }
    Ok(responses)
}

/// Returns the response to the request with this number, if any, without bodies.
pub(crate) async fn without_bodies(tx: &mut Transaction, id: i64) -> Result<Option<Response>, Error> {
    let row: Option<StoredResponse> = tx.first(Statement::of_rows(LISTED, 1, "", vec![id.into()])).await?;
    Ok(row.map(|row| Response { upstream_response: None, response_body: None, ..row.response }))
}

/// Returns the lengths of the answers to these requests, by request, without reading the answers. Unknown answers are
/// left out.
pub(crate) async fn lengths(
    tx: &mut Transaction,
    requests: impl Iterator<Item = i64>,
) -> Result<BTreeMap<i64, usize>, Error> {
    let mut rows = Rows::new(SIZES.0, SIZES.1, SIZES.2);
    requests.for_each(|id| rows.push([id.into()]));
    let sizes: Vec<Size> = rows.all(tx).await?;
    let mut reader = Reader::default();
    for size in sizes.iter().filter(|size| size.in_bodies) {
        reader.want_answer(size.id, size.timestamp);
    }
    let mut lengths = reader.lengths(tx).await?;
    lengths.extend(sizes.iter().filter(|size| !size.in_bodies).map(|size| (size.id, size.length)));
    Ok(lengths)
}

/// Returns the number of responses on all pages.
async fn total(tx: &mut Transaction, filter: &Filter) -> Result<i64, Error> {
    let unfiltered = Filter { has_error: filter.has_error, after: filter.after.clone(), ..Filter::default() };
    if *filter != unfiltered {
        return tx.total(filtered(filter).all("SELECT COUNT(*) AS total FROM responses")).await;
    }
    let Stats { total_responses, succeeded, .. } = tx.one(Statement::new(usage_hours::ANSWERS), ENTITY).await?;
    Ok(match filter.has_error {
        None => total_responses,
        Some(true) => total_responses - succeeded,
        Some(false) => succeeded,
    })
}

/// Returns the statement for one page.
pub(crate) fn page_statement(filter: &Filter, page: Page) -> Statement<'_> {
    let mut filtered = filtered(filter);
    if let Some(RowPosition { at, id }) = &filter.after {
        filtered.and_pair("(responses.timestamp, responses.id) < (?, ?)", (*at, *id));
    }
    let ids = ("SELECT responses.id FROM responses", "ORDER BY responses.timestamp DESC, responses.id DESC");
    let tail = " ORDER BY responses.timestamp DESC, responses.id DESC";
    filtered.page_of(LISTED, ids, tail, page)
}

fn filtered(filter: &Filter) -> Filtered<'_> {
    let mut filtered = Filtered::default();
    filtered.and_if(OF_SESSION, filter.session_id.as_deref());
    filtered.and_if("responses.id = (SELECT id FROM requests WHERE request_id = ?)", filter.request_id.as_deref());
    filtered.and_if("responses.finish_reason = ?", filter.finish_reason.as_deref());
    filtered.and_if("responses.timestamp >= ?", filter.start);
    filtered.and_if("responses.timestamp <= ?", filter.end);
    match filter.has_error {
        Some(true) => filtered.and_fixed("responses.error IS NOT NULL"),
        Some(false) => filtered.and_fixed("responses.error IS NULL"),
        None => {}
    }
    filtered
}

// === impl Stats ===

impl Stats {
    /// Returns the share of responses without an error, in percent with two decimals; 0 if there are none.
    #[must_use]
    pub fn success_rate(&self) -> f64 {
        if self.total_responses == 0 {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let share = self.succeeded as f64 / self.total_responses as f64;
        (share * 10_000.0).round() / 100.0
    }
}

// === impl FromRow ===

impl FromRow for Plan {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.optional_text("plan").map(Self)
    }
}

impl FromRow for Stats {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            total_responses: row.int("total_responses")?,
            succeeded: row.int("succeeded")?,
            total_tokens: row.int("total_tokens")?,
            total_completion_tokens: row.int("total_completion_tokens")?,
            total_prompt_tokens: row.int("total_prompt_tokens")?,
            avg_duration_ms: row.int("avg_duration_ms")?,
            cost_nanos: row.int("cost_nanos")?,
            unpriced: row.int("unpriced")?,
        })
    }
}

impl FromRow for Size {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            id: row.int("id")?,
            timestamp: row.int("timestamp")?,
            in_bodies: row.flag("in_bodies")?,
            length: usize::try_from(row.int("length")?).unwrap_or_default(),
        })
    }
}
