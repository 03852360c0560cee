//! Route of `/api/requests/export`: the filtered request log as a stream.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::{self, HeaderValue};
use http::{HeaderName, Method};
use serde_json::Value;
use signalbox_store::requests::{self, Filter, RequestSummary, SearchLimits};
use signalbox_store::{Page, RowPosition, Store};
use utoipa::IntoParams as _;

use super::short::ShortRequest;
use super::{SEARCH_LIMITS, listing};
use crate::filters::{RequestFilter, RequestOrder};
use crate::query::Query;
use crate::{App, Error};

/// Number of requests that one statement reads.
const ROWS: i64 = 500;

/// The columns of a CSV document: the fields of a short request.
const COLUMNS: [&str; 25] = [
    "id",
    "request_id",
    "session_id",
    "timestamp",
    "method",
    "path",
    "model",
    "stream",
    "status",
    "provider_id",
    "key_id",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cost_nanos",
    "first_byte_ms",
    "duration_ms",
    "attempts",
    "truncated",
    "status_code",
    "finish_reason",
    "error",
    "request_bytes",
    "response_bytes",
    "replay_of",
];

/// Header with the number of rows.
const ROW_COUNT: HeaderName = HeaderName::from_static("x-total-count");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    JsonLines,
    Csv,
}

/// The rest of an export.
struct Export {
    store: Store,
    filter: Filter,
    /// The text that is searched in bodies.
    text: Option<String>,
    format: Format,
    /// Whether nothing has been sent yet.
    is_first: bool,
    is_done: bool,
}

/// Returns the requests that match the filters, one per line, as JSON or CSV; the fields are those of `view=short`.
///
/// The rows are read while they are sent, so an export may be of any length. `HEAD` returns the number of rows in
/// `x-total-count` only, and without `q` only, because a search has to read all bodies. In CSV, a text that a spreadsheet would take for a formula begins with a quote.
#[utoipa::path(
    get, path = "/api/requests/export", tag = "requests",
    params(
        RequestFilter, RequestOrder,
        ("format" = Option<String>, Query, pattern = "^(ndjson|csv)?$", description = "`ndjson` by default"),
        ("q" = Option<String>, Query, max_length = 500,
         description = "Only requests with this text in a message or in the answer, ignoring case"),
    ),
    responses((status = 200, description = "The rows", content(
        (String = "application/x-ndjson"), (String = "text/csv; charset=utf-8"),
    ))),
)]
pub(in super::super) async fn export(
    State(app): State<App>,
    method: Method,
    mut query: Query,
) -> Result<Response, Error> {
    let format = match query.word("format", &["ndjson", "csv"]) {
        Some("csv") => Format::Csv,
        _ => Format::JsonLines,
    };
    let filter = listing::filter(&mut query);
    let text = listing::search_text(&mut query);
    // An export with more rows than were meant would be worse than none.
    query.refuse_unknown(&parameters());
    query.finish()?;
    let (kind, name) = match format {
        Format::JsonLines => ("application/x-ndjson", "attachment; filename=\"requests.ndjson\""),
        Format::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"requests.csv\""),
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static(name)),
    ];
    if method == Method::HEAD && text.is_some() {
        return Ok(headers.into_response());
    }
    if method == Method::HEAD {
        let count = requests::count(&app.store, &filter).await?;
        return Ok((headers, [(ROW_COUNT, HeaderValue::from(count))]).into_response());
    }
    // The first rows are read here, so that an unavailable database is an error and not an empty file.
    let mut export = Export { store: app.store, filter, text, format, is_first: true, is_done: false };
    let first = export.next().await?.unwrap_or_default();
    let rest = stream::try_unfold(export, async |mut export| {
        Ok::<_, Error>(export.next().await?.map(|chunk| (chunk, export)))
    });
    let chunks = futures_util::StreamExt::chain(stream::iter([Ok(first)]), rest);
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// Returns the names of all parameters.
fn parameters() -> Vec<String> {
    let filters = RequestFilter::into_params(|| None).into_iter().chain(RequestOrder::into_params(|| None));
    filters.map(|parameter| parameter.name).chain(["format", "q"].map(str::to_owned)).collect()
}

/// Returns a line of a CSV document.
fn line(row: &Value) -> String {
    let cells = COLUMNS.map(|name| match &row[name] {
        Value::Null => String::new(),
        Value::String(text) => cell(text),
        other => other.to_string(),
    });
    cells.join(",") + "\r\n"
}

/// Returns a text as a cell. A text that a spreadsheet would take for a formula gets a quote before it.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !is_formula && !text.contains([',', '"', '\r', '\n']) {
        return text.to_owned();
    }
    let quote = if is_formula { "'" } else { "" };
    format!("\"{quote}{}\"", text.replace('"', "\"\""))
}

// === impl Export ===

impl Export {
    /// Returns the next lines; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if self.is_done {
            return Ok(None);
        }
        let rows = self.rows().await?;
        let mut text = String::new();
        if std::mem::take(&mut self.is_first) && self.format == Format::Csv {
            text.push_str(&COLUMNS.join(","));
            text.push_str("\r\n");
        }
        for row in rows {
            let row = serde_json::to_value(ShortRequest::from(row)).unwrap_or_default();
            match self.format {
                Format::JsonLines => {
                    text.push_str(&row.to_string());
                    text.push('\n');
                }
                Format::Csv => text.push_str(&line(&row)),
            }
        }
        Ok(Some(text.into()))
    }

    /// Returns the next rows. A step of a search may find none although there are more.
    async fn rows(&mut self) -> Result<Vec<RequestSummary>, Error> {
        let Some(text) = &self.text else {
            let rows = requests::summaries(&self.store, &self.filter, Page { limit: ROWS, offset: 0 }).await?;
            self.is_done = i64::try_from(rows.len()).is_ok_and(|count| count < ROWS);
            if let Some(last) = rows.last() {
                self.filter.after = Some(RowPosition { at: last.timestamp, id: last.id });
            }
            return Ok(rows);
        };
        let limits = SearchLimits { found: usize::try_from(ROWS).unwrap_or(SEARCH_LIMITS.found), ..SEARCH_LIMITS };
        let found = requests::search(&self.store, &self.filter, text, 0, limits).await?;
        self.is_done = found.next.is_none();
        self.filter.after = found.next;
        let ids: Vec<i64> = found.items.iter().map(|(request, _)| request.id).collect();
        Ok(requests::summaries_of(&self.store, &ids).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_is_no_formula() {
        for (text, expected) in [
            ("gpt", "gpt"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("", ""),
        ] {
            assert_eq!(cell(text), expected);
        }
    }

    #[test]
    fn a_line_has_every_column() {
        let line = line(&json!({"id": 7, "model": "a,b", "stream": true, "error": null}));
        assert!(line.starts_with("7,,,,,,\"a,b\",true,") && line.ends_with(",\r\n"), "{line}");
        assert_eq!(line.matches(',').count(), COLUMNS.len());
    }
}
