//! `/api/logs`: the services' logs, in pages or whole.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use http::header::{self, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ResourceKind;
use super::extract::Path;
use super::query::Query;
use super::{App, Error};
use crate::logs::{self, Before, Download, FoundLines, Level, LogQuery, MAX_LINES, Position};

/// Default number of lines.
const DEFAULT_LINES: usize = 50;

/// Maximum characters of a text that is searched.
const MAX_TEXT_CHARS: usize = 500;

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Lines of a log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogPage {
    service: String,
    /// Lines, the oldest first.
    lines: LogLines,
    count: usize,
    /// Number of lines that were read for this page. Only with `before`, `q`, `level` or `format`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scanned: Option<usize>,
    /// The value of `before` for the page of older lines; null at the beginning of the log. Only with `before`, `q`,
    /// `level` or `format`.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Option<String>>,
}

/// Lines as they are in the file or, with `format=json`, taken apart.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum LogLines {
    Raw(Vec<String>),
    Parsed(Vec<ParsedLine>),
}

/// A line, taken apart.
#[derive(Debug, Serialize, ToSchema)]
struct ParsedLine {
    /// When it was written, in milliseconds since 1970; null in a line that continues the one before it, and in lines
    /// of other programs.
    time: Option<i64>,
    /// The importance; null likewise.
    #[schema(pattern = "^(error|warn|info|debug|trace)$")]
    level: Option<&'static str>,
    /// The module that wrote it; null likewise.
    target: Option<String>,
    /// The text with its fields; the whole line if it has no time.
    message: String,
    /// The service, in the merged log.
    service: Option<String>,
}

/// Returns lines of a log, the oldest first; the last ones by default. `combined` merges all services.
///
/// Rotated files count as part of the log. One request reads at most 8 MiB of it, so that a page may have fewer lines
/// than there are; `before` of the page continues.
#[utoipa::path(
    get, path = "/api/logs/{service}", tag = "logs",
    params(
    ("service" = String, Path, description = "`api-server`, `provider-router` (further workers: `provider-router-2` \
        and so on), `qwen-proxy` or `combined`"),
    ("lines" = Option<u16>, Query, description = "Maximum number of lines, 50 by default", minimum = 1, maximum = 5000),
    ("before" = Option<String>, Query, pattern = "^([0-9]{1,18}|[0-9a-f]+-[0-9a-f]+-[0-9a-f]*)?$",
     description = "Lines before this place: `before` of another page, or a time in milliseconds since 1970"),
    ("q" = Option<String>, Query, max_length = 500, description = "Lines with this text, ignoring case"),
    ("level" = Option<String>, Query, pattern = "^(error|warn|info|debug|trace)?$",
     description = "Lines of at least this importance. A line without one belongs to the line before it"),
    ("format" = Option<String>, Query, pattern = "^(json)?$",
     description = "`json` takes the lines apart into time, level, target and message"),
    ),
    responses((status = 200, description = "The lines", body = LogPage)),
)]
pub(super) async fn last(
    State(app): State<App>,
    Path(service): Path<String>,
    mut query: Query,
) -> Result<Json<LogPage>, Error> {
    let count = query.count("lines", DEFAULT_LINES, MAX_LINES);
    let is_json = query.word("format", &["json"]).is_some();
    let level = query.word("level", &LEVELS).and_then(Level::parse);
    let text = query.text("q");
    let before = before(&mut query);
    if text.as_ref().is_some_and(|text| text.chars().count() > MAX_TEXT_CHARS) {
        query.mistake(format!("q must have at most {MAX_TEXT_CHARS} characters"));
    }
    query.refuse_others();
    query.finish()?;
    let is_page = is_json || level.is_some() || text.is_some() || before.is_some();
    let file = file(&app, &service)?;
    let wanted = LogQuery { lines: count, before, text, level };
    let read = tokio::task::spawn_blocking(move || logs::search(&file, &wanted)).await;
    let FoundLines { lines, scanned, next } = read.map_err(|_| Error::Panic)?.map_err(|error| unreadable(&error))?;
    let count = lines.len();
    let lines = if is_json {
        LogLines::Parsed(lines.iter().map(|line| ParsedLine::of(line)).collect())
    } else {
        LogLines::Raw(lines)
    };
    let next = next.map(|next| next.text());
    Ok(Json(LogPage { service, lines, count, scanned: is_page.then_some(scanned), before: is_page.then_some(next) }))
}

/// Returns a whole log with its rotated files, the oldest line first, as a file.
#[utoipa::path(
    get, path = "/api/logs/{service}/download", tag = "logs",
    params(("service" = String, Path, description = "As in `/api/logs/{service}`")),
    responses((status = 200, description = "The log", content_type = "text/plain; charset=utf-8", body = String)),
)]
pub(super) async fn download(
    State(app): State<App>,
    Path(service): Path<String>,
    mut query: Query,
) -> Result<Response, Error> {
    query.refuse_others();
    query.finish()?;
    let file = file(&app, &service)?;
    let opened = tokio::task::spawn_blocking(move || Download::open(&file)).await;
    let log = opened.map_err(|_| Error::Panic)?.map_err(|error| unreadable(&error))?;
    let chunks = stream::try_unfold(log, async |mut log| {
        tokio::task::spawn_blocking(move || Ok(log.read_chunk()?.map(|chunk| (chunk, log))))
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
    });
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{service}.log\""));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::CONTENT_DISPOSITION, name.unwrap_or(HeaderValue::from_static("attachment"))),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// Returns the file of a log.
fn file(app: &App, service: &str) -> Result<std::path::PathBuf, Error> {
    let missing = || Error::Missing { what: ResourceKind::Log, id: service.to_owned() };
    app.logs.file(service).ok_or_else(missing)
}

/// Reads the place where a page ends.
fn before(query: &mut Query) -> Option<Before> {
    let text = query.text("before")?;
    let time = || text.parse().ok().filter(|_| text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit()));
    let before = Position::parse(&text).map(Before::Position).or_else(|| time().map(Before::Time));
    if before.is_none() {
        query.mistake("before must be the before of another page of the log, or a time in milliseconds");
    }
    before
}

fn unreadable(error: &std::io::Error) -> Error {
    Error::Unreadable(error.to_string())
}

// === impl ParsedLine ===

impl ParsedLine {
    fn of(line: &str) -> Self {
        let logs::LogLine { service, time, level, target, message } = logs::LogLine::parse(line);
        Self { time, level: level.map(Level::as_str), target, message, service }
    }
}
