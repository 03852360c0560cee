//! The request log.

use serde_json::json;
use signalbox_store::{Page, activity, requests};

use super::{
    active::moment,
    desk::Desk,
    output::{Done, Output, Verdict},
    table::table,
};

#[derive(Debug, clap::Args)]
pub(super) struct History {
    /// How many requests, at most 1000
    #[arg(long, short, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
    /// Only those that this provider answered, or was the last to try
    #[arg(long, short, value_name = "ID")]
    provider: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn history(command: &History, desk: &Desk, out: &mut Output) -> Done {
    let filter = requests::Filter { provider_id: command.provider.clone(), ..requests::Filter::default() };
    let page = Page { limit: command.limit, offset: 0 };
    let listed = requests::list(&desk.store, &filter, page).await?;
    if listed.items.is_empty() {
        out.line("No request history found. Requests appear here when the router has answered some.");
        return Ok(Verdict::done(json!({ "requests": [], "total": 0 })));
    }
    let none = || "-".to_owned();
    let rows: Vec<[String; 7]> = listed
        .items
        .iter()
        .map(|(request, summary)| {
            let code = summary.as_ref().and_then(|summary| summary.status_code);
            let status = request.status.as_str();
            let duration = summary.as_ref().and_then(|summary| summary.duration_ms);
            [
                format!("{}…", request.request_id.chars().take(8).collect::<String>()),
                request.provider_id.clone().unwrap_or_else(none),
                request.path.clone(),
                request.method.clone(),
                code.map_or_else(|| status.to_owned(), |code| format!("{code} {status}")),
                duration.map_or_else(none, |ms| format!("{ms}ms")),
                moment(request.timestamp),
            ]
        })
        .collect();
    out.line(table(["Request ID", "Provider", "Endpoint", "Method", "Status", "Duration", "Timestamp"], &rows));
    out.line(format!("{} of {} requests", rows.len(), listed.total));
    let facts: Vec<_> = listed
        .items
        .iter()
        .map(|(request, summary)| {
            let summary = summary.as_ref();
            json!({
                "request_id": request.request_id,
                "provider": request.provider_id,
                "endpoint": request.path,
                "method": request.method,
                "model": request.model,
                "status": request.status.as_str(),
                "status_code": summary.and_then(|summary| summary.status_code),
                "duration_ms": summary.and_then(|summary| summary.duration_ms),
                "error": summary.and_then(|summary| summary.error.as_deref()),
                "timestamp": request.timestamp,
            })
        })
        .collect();
    Ok(Verdict::done(json!({ "requests": facts, "total": listed.total })))
}

pub(super) async fn stats(desk: &Desk, out: &mut Output) -> Done {
    let providers = activity::by_provider(&desk.store).await?;
    let total: i64 = providers.iter().map(|provider| provider.requests).sum();
    if total == 0 {
        out.line("No statistics available yet. They appear here when the router has answered requests.");
        return Ok(Verdict::done(json!({ "total_requests": 0, "providers": [] })));
    }
    out.line("Usage Statistics");
    out.line(format!("Total Requests: {total}"));
    let mut facts = Vec::new();
    let mut rows = Vec::new();
    for provider in &providers {
        // Tenths of a percent, rounded, without floating point.
        let tenths = (provider.requests * 1000 + total / 2) / total;
        rows.push([
            provider.provider_id.clone().unwrap_or_else(|| "none".to_owned()),
            provider.requests.to_string(),
            format!("{}.{}%", tenths / 10, tenths % 10),
            provider.avg_duration_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms}ms")),
            provider.errors.to_string(),
        ]);
        facts.push(json!({
            "provider": provider.provider_id,
            "requests": provider.requests,
            "errors": provider.errors,
            "avg_duration_ms": provider.avg_duration_ms,
        }));
    }
    out.line(table(["Provider", "Requests", "Share", "Average", "Errors"], &rows));
    Ok(Verdict::done(json!({ "total_requests": total, "providers": facts })))
}
