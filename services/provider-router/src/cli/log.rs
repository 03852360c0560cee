//! Commands for the request log: `history` and `stats`.

use serde_json::json;
use signalbox_core::schema::Request;
use signalbox_pricing::Money;
use signalbox_store::{Page, activity, requests};
use tokio::time::Duration;

use super::{
    context::CliContext,
    format::format_time,
    output::{CommandOutcome, CommandResult, Output},
    table::table,
};

#[derive(Debug, clap::Args)]
pub(super) struct History {
    /// Number of requests, at most 1000
    #[arg(long, short, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
    /// Only requests that this provider answered, or was the last to try
    #[arg(long, short, value_name = "ID")]
    provider: Option<String>,
    /// Only requests with this text in a message or in the answer, regardless of case
    #[arg(long, short, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    search: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

/// A request and the summary of its answer.
type Row = (Request, Option<requests::ResponseSummary>);

/// Number of requests read per step of a search. The search can be interrupted between steps.
const ROWS_PER_STEP: usize = 2000;

pub(super) async fn history(command: &History, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let filter =
        requests::Filter { provider_ids: command.provider.iter().cloned().collect(), ..requests::Filter::default() };
    let page = Page { limit: command.limit, offset: 0 };
    let (items, total) = match &command.search {
        Some(text) => search(context, filter, text, page).await?,
        None => {
            let listed = requests::list(&context.store, &filter, page).await?;
            (listed.items, listed.total)
        }
    };
    if items.is_empty() {
        out.line(match &command.search {
            Some(_) if total > 0 => format!("None of {total} requests contains the text."),
            _ => "No request history found. Requests appear here once the router has answered some.".to_owned(),
        });
        return Ok(CommandResult::done(json!({ "requests": [], "total": total })));
    }
    let none = || "-".to_owned();
    let rows: Vec<[String; 8]> = items
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
                summary.as_ref().and_then(|summary| summary.cost_nanos).map_or_else(none, dollars),
                format_time(request.timestamp),
            ]
        })
        .collect();
    out.line(table(["Request ID", "Provider", "Endpoint", "Method", "Status", "Duration", "Cost", "Timestamp"], &rows));
    out.line(format!("{} of {total} requests", rows.len()));
    let facts: Vec<_> = items
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
                "cost_usd": summary.and_then(|summary| summary.cost_nanos).map(amount),
                "error": summary.and_then(|summary| summary.error.as_deref()),
                "timestamp": request.timestamp,
            })
        })
        .collect();
    Ok(CommandResult::done(json!({ "requests": facts, "total": total })))
}

/// Formats nano-dollars: `$0.0123`.
pub(super) fn dollars(nanos: i64) -> String {
    format!("${}", money(nanos))
}

/// Converts nano-dollars to dollars.
pub(super) fn amount(nanos: i64) -> f64 {
    money(nanos).to_string().parse().unwrap_or_default()
}

fn money(nanos: i64) -> Money {
    Money::from_nanos(u64::try_from(nanos).unwrap_or_default())
}

/// Returns the newest requests that contain the text, and the number of all requests that match `filter`.
async fn search(
    context: &CliContext,
    mut filter: requests::Filter,
    text: &str,
    page: Page,
) -> anyhow::Result<(Vec<Row>, i64)> {
    let wanted = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let mut items = Vec::new();
    loop {
        let bounds = requests::SearchLimits {
            found: wanted - items.len(),
            read: ROWS_PER_STEP,
            bytes: usize::MAX,
            time: Duration::MAX,
        };
        let found = requests::search(&context.store, &filter, text, 0, bounds).await?;
        items.extend(found.items);
        if items.len() >= wanted || found.next.is_none() {
            return Ok((items, found.total));
        }
        filter.after = found.next;
    }
}

pub(super) async fn stats(context: &CliContext, out: &mut Output) -> CommandOutcome {
    let providers = activity::by_provider(&context.store).await?;
    let total: i64 = providers.iter().map(|provider| provider.requests).sum();
    if total == 0 {
        out.line("No statistics available yet. They appear here once the router has answered requests.");
        return Ok(CommandResult::done(json!({ "total_requests": 0, "providers": [] })));
    }
    out.line("Usage Statistics");
    out.line(format!("Total Requests: {total}"));
    let mut facts = Vec::new();
    let mut rows = Vec::new();
    for provider in &providers {
        // Tenths of a percent, rounded, in integer arithmetic.
        let tenths = (provider.requests * 1000 + total / 2) / total;
        rows.push([
            provider.provider_id.clone().unwrap_or_else(|| "none".to_owned()),
            provider.requests.to_string(),
            format!("{}.{}%", tenths / 10, tenths % 10),
            provider.avg_duration_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms}ms")),
            provider.errors.to_string(),
            dollars(provider.cost_nanos),
            provider.unpriced.to_string(),
        ]);
        facts.push(json!({
            "provider": provider.provider_id,
            "requests": provider.requests,
            "errors": provider.errors,
            "avg_duration_ms": provider.avg_duration_ms,
            "cost_usd": amount(provider.cost_nanos),
            "unpriced": provider.unpriced,
        }));
    }
    out.line(table(["Provider", "Requests", "Share", "Average", "Errors", "Cost", "Unpriced"], &rows));
    Ok(CommandResult::done(json!({ "total_requests": total, "providers": facts })))
}
