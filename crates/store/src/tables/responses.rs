//! Rows of the table `responses`.

use signalbox_core::schema::{RequestCost, Response};
use signalbox_core::token_classes::TokenClasses;

use crate::Error;
use crate::bodies::Reader;
use crate::row::{Columns, FromRow};
use crate::transaction::Transaction;

/// Selects rows with the columns that they share with their requests.
macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT responses.*, responses.id AS request_id, requests.session_id, requests.request_id AS response_id
             FROM responses JOIN requests ON requests.id = responses.id",
            $which
        )
    };
}

/// Selects a response by its number.
pub(crate) const BY_ID: &str = select!(" WHERE responses.id = $1");

/// Selects a response by the UUID of its request.
pub(crate) const BY_UUID: &str = select!(" WHERE requests.request_id = $1");

/// Selects the responses to many requests, by their numbers.
pub(crate) const BY_IDS: (&str, usize, &str) = (select!(" WHERE responses.id IN (VALUES "), 1, ")");

/// A row whose body may be stored elsewhere.
pub(crate) struct StoredResponse {
    pub(crate) response: Response,
    pub(crate) in_bodies: bool,
}

/// Fills in the whole bodies.
pub(crate) async fn fill_bodies(tx: &mut Transaction, rows: Vec<StoredResponse>) -> Result<Vec<Response>, Error> {
    let mut reader = Reader::default();
    for StoredResponse { response, .. } in rows.iter().filter(|row| row.in_bodies) {
        reader.want_answer(response.request_id, response.timestamp);
    }
    reader.fetch(tx).await?;
    let whole = |StoredResponse { mut response, in_bodies }| {
        if in_bodies {
            response.response_body = reader.answer(response.request_id, response.timestamp);
        }
        response
    };
    Ok(rows.into_iter().map(whole).collect())
}

// === impl FromRow ===

impl FromRow for StoredResponse {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { response: Response::from_row(row)?, in_bodies: row.flag("in_bodies")? })
    }
}

impl FromRow for Response {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            id: row.int("id")?,
            request_id: row.int("request_id")?,
            session_id: row.text("session_id")?,
            response_id: row.text("response_id")?,
            timestamp: row.int("timestamp")?,
            upstream_response: row.optional_text("upstream_response")?,
            response_body: row.optional_text("response_body")?,
            parent_id: row.optional_text("parent_id")?,
            completion_tokens: row.optional_int("completion_tokens")?,
            prompt_tokens: row.optional_int("prompt_tokens")?,
            total_tokens: row.optional_int("total_tokens")?,
            token_classes: token_classes(row)?,
            cost: cost(row)?,
            finish_reason: row.optional_text("finish_reason")?,
            error: row.optional_text("error")?,
            duration_ms: row.optional_int("duration_ms")?,
            first_byte_ms: row.optional_int("first_byte_ms")?,
            status_code: row.optional_int("status_code")?,
            provider_id: row.optional_text("provider_id")?,
            attempts: row.int("attempts")?,
            truncated: row.flag("truncated")?,
            translation: row.optional_text("translation")?,
            created_at: row.int("created_at")?,
        })
    }
}

fn cost(row: &dyn Columns) -> Result<Option<RequestCost>, Error> {
    let Some(origin) = row.optional_text("cost_origin")? else { return Ok(None) };
    let (nanos, price_version) = (row.optional_int("cost_nanos")?, row.optional_text("price_version")?);
    Ok(Some(RequestCost { nanos, origin, price_version }))
}

fn token_classes(row: &dyn Columns) -> Result<Option<TokenClasses>, Error> {
    let Some(cache_read) = row.optional_int("cache_read_tokens")? else { return Ok(None) };
    let count = |column| Ok::<i64, Error>(row.optional_int(column)?.unwrap_or_default());
    Ok(Some(TokenClasses {
        cache_read,
        cache_write_short: count("cache_write_short_tokens")?,
        cache_write_long: count("cache_write_long_tokens")?,
        input_audio: count("input_audio_tokens")?,
        input_image: count("input_image_tokens")?,
        reasoning: count("reasoning_tokens")?,
        output_audio: count("output_audio_tokens")?,
        output_image: count("output_image_tokens")?,
        is_adjusted: row.flag("tokens_adjusted")?,
    }))
}
