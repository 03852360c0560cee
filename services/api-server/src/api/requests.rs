//! `/api/requests`: what was asked.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use signalbox_core::schema::{Request, RequestStatus};
use signalbox_store::requests::{self, Filter, RequestKey, ResponseSummary};

use super::error::{Meaning as _, Thing};
use super::extract::Path;
use super::query::{Position, Query};
use super::responses::LoggedResponse;
use super::{App, Error};

/// A request as it was logged. Bodies are JSON, not text.
#[derive(Debug, Serialize)]
pub(super) struct LoggedRequest {
    id: i64,
    request_id: String,
    session_id: String,
    timestamp: i64,
    method: String,
    path: String,
    model: String,
    stream: bool,
    status: &'static str,
    provider_id: Option<String>,
    openai_request: Box<RawValue>,
    qwen_request: Box<RawValue>,
    created_at: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct RequestList {
    requests: Vec<SummarisedRequest>,
    #[serde(flatten)]
    position: Position,
}

#[derive(Debug, Serialize)]
struct SummarisedRequest {
    #[serde(flatten)]
    request: LoggedRequest,
    response_summary: Option<Summary>,
}

#[derive(Debug, Serialize)]
struct Summary {
    response_id: String,
    finish_reason: Option<String>,
    total_tokens: Option<i64>,
    duration_ms: Option<i64>,
    status_code: Option<i64>,
    error: Option<String>,
}

/// A request with its answer, if there is one yet.
#[derive(Debug, Serialize)]
pub(super) struct AnsweredRequest {
    #[serde(flatten)]
    request: LoggedRequest,
    response: Option<LoggedResponse>,
}

/// `GET /api/requests` with `limit`, `offset` and any of `session_id`, `model`, `stream`, `status`, `provider_id`,
/// `start_date`, `end_date`; the newest first.
pub(super) async fn list(State(app): State<App>, mut query: Query) -> Result<Json<RequestList>, Error> {
    let filter = Filter {
        session_id: query.text("session_id"),
        model: query.text("model"),
        stream: query.boolean("stream"),
        start: query.time("start_date"),
        end: query.time("end_date"),
        status: status(&mut query),
        provider_id: query.text("provider_id"),
    };
    let page = query.page(50);
    query.finish()?;
    let list = requests::list(&app.store, &filter, page).await?;
    let position = Position::of(&list, page);
    let requests = list.items.into_iter().map(SummarisedRequest::from).collect();
    Ok(Json(RequestList { requests, position }))
}

/// `GET /api/requests/:id`, a number or a UUID, with `response` (or null).
pub(super) async fn get(State(app): State<App>, Path(id): Path<String>) -> Result<Json<AnsweredRequest>, Error> {
    let (request, response) = requests::get(&app.store, &key(&id)).await.or_missing(Thing::Request, &id)?;
    Ok(Json(AnsweredRequest { request: request.into(), response: response.map(LoggedResponse::from) }))
}

/// `DELETE /api/requests/:id`, with its response.
pub(super) async fn delete(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Error> {
    requests::delete(&app.store, &key(&id)).await.or_missing(Thing::Request, &id)?;
    Ok(Json(json!({ "success": true, "message": "Request deleted" })))
}

/// A number throughout is a number; everything else names by UUID, also when it begins with digits.
pub(super) fn key(id: &str) -> RequestKey {
    id.parse().map_or_else(|_| RequestKey::Uuid(id.to_owned()), RequestKey::Id)
}

/// A column that holds JSON. A body that was none is shown as the text it was.
pub(super) fn as_json(text: &str) -> Box<RawValue> {
    let json: Result<&RawValue, _> = serde_json::from_str(text);
    // Text can always be written as JSON.
    json.map_or_else(|_| serde_json::value::to_raw_value(text).unwrap_or_default(), RawValue::to_owned)
}

fn status(query: &mut Query) -> Option<RequestStatus> {
    let status = query.text("status")?;
    let parsed = RequestStatus::parse(&status);
    if parsed.is_none() {
        let words: Vec<&str> = RequestStatus::ALL.iter().map(|(_, word)| *word).collect();
        query.mistake(format!("status must be one of: {}", words.join(", ")));
    }
    parsed
}

// === impl LoggedRequest ===

impl From<Request> for LoggedRequest {
    fn from(row: Request) -> Self {
        Self {
            id: row.id,
            request_id: row.request_id,
            session_id: row.session_id,
            timestamp: row.timestamp,
            method: row.method,
            path: row.path,
            model: row.model,
            stream: row.stream,
            status: row.status.as_str(),
            provider_id: row.provider_id,
            openai_request: as_json(&row.openai_request),
            qwen_request: as_json(&row.qwen_request),
            created_at: row.created_at,
        }
    }
}

// === impl SummarisedRequest ===

impl From<(Request, Option<ResponseSummary>)> for SummarisedRequest {
    fn from((request, response): (Request, Option<ResponseSummary>)) -> Self {
        let summary = |response: ResponseSummary| Summary {
            response_id: response.response_id,
            finish_reason: response.finish_reason,
            total_tokens: response.total_tokens,
            duration_ms: response.duration_ms,
            status_code: response.status_code,
            error: response.error,
        };
        Self { request: request.into(), response_summary: response.map(summary) }
    }
}
