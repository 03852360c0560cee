//! `key usage`: who has used what.

use serde_json::{Value, json};
use signalbox_store::usage::{self, By, UsageOf};

use super::super::{
    context::CliContext,
    log::{amount, dollars},
    output::{CommandOutcome, CommandResult, Output},
    table::table,
};
use crate::clock::unix_ms;

const DAY_MS: i64 = 86_400_000;

/// Reads what the sums are grouped by.
pub(super) fn by(word: &str) -> Result<By, String> {
    By::parse(word).ok_or_else(|| {
        let words: Vec<&str> = By::ALL.iter().map(|(_, word)| *word).collect();
        format!("must be one of: {}", words.join(", "))
    })
}

pub(super) async fn show(by: By, days: Option<u16>, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let from = days.map(|days| unix_ms() - i64::from(days) * DAY_MS);
    let groups = usage::by(&context.store, by, from, None).await?;
    let cells = |UsageOf { name, sums, .. }: &UsageOf| {
        [
            name.clone().unwrap_or_else(|| "(none)".to_owned()),
            sums.requests.to_string(),
            sums.errors.to_string(),
            sums.prompt_tokens.to_string(),
            sums.completion_tokens.to_string(),
            dollars(sums.cost_nanos),
            sums.unpriced.to_string(),
        ]
    };
    let rows: Vec<[String; 7]> = groups.iter().map(cells).collect();
    if rows.is_empty() {
        out.line("No requests found");
    } else {
        out.line(table([by.as_str(), "Requests", "Errors", "Input", "Output", "Cost ($)", "Unpriced"], &rows));
    }
    let facts = |UsageOf { name, key_id, sums }: &UsageOf| {
        json!({
            "name": name, "key_id": key_id, "requests": sums.requests, "errors": sums.errors,
            "prompt_tokens": sums.prompt_tokens, "completion_tokens": sums.completion_tokens,
            "cost_usd": amount(sums.cost_nanos), "unpriced": sums.unpriced,
        })
    };
    let usage: Vec<Value> = groups.iter().map(facts).collect();
    Ok(CommandResult::done(json!({ "by": by.as_str(), "usage": usage })))
}
