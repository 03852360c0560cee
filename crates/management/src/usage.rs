//! Route of `/api/usage`: sums of requests, tokens and costs by key, owner, tag, model or provider.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use signalbox_store::usage::{self, By, UsageOf};
use utoipa::{IntoParams, ToSchema};

use super::parameter::Parameter;
use super::query::Query;
use super::views::dollars;
use super::{App, Error};

/// Selects what is summed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct UsageFilter {
    /// Grouping of the sums; by key if it is absent.
    #[param(value_type = Option<String>, pattern = "^(key|owner|tag|model|provider)?$")]
    by: Parameter<String>,
    /// Requests since the hour of this time, in milliseconds since 1970.
    #[param(value_type = Option<i64>)]
    from: Parameter<i64>,
    /// Requests until the end of the hour of this time, in milliseconds since 1970.
    #[param(value_type = Option<i64>)]
    to: Parameter<i64>,
    /// `json`, or `csv` with one line per group.
    #[param(value_type = Option<String>, pattern = "^(json|csv)?$")]
    format: Parameter<String>,
}

/// The sums of all groups.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UsageSums {
    /// Grouping of the sums.
    by: &'static str,
    /// The groups, the most expensive first. A request of a key with several tags counts in each of them.
    usage: Vec<UsageOfGroup>,
}

/// The sums of one group.
#[derive(Debug, Serialize, ToSchema)]
struct UsageOfGroup {
    /// The name of the key, owner, tag, model or provider; null for requests without one.
    name: Option<String>,
    /// The id of the key, if the sums are grouped by keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    requests: i64,
    /// Requests with an error.
    errors: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    /// The sum of the known costs, in dollars.
    cost_usd: f64,
    /// Requests whose cost is unknown.
    unpriced: i64,
}

/// Sums requests, tokens and costs. Sums by key, owner and tag include requests that were deleted from the log; those by
/// model and provider do not.
#[utoipa::path(
    get, path = "/api/usage", tag = "activity", params(UsageFilter),
    responses((status = 200, description = "The sums, the most expensive group first", content(
        (UsageSums = "application/json"), (String = "text/csv; charset=utf-8"),
    ))),
)]
pub(super) async fn sums(State(app): State<App>, mut query: Query) -> Result<Response, Error> {
    let given: UsageFilter = query.read();
    let by = match given.by.text() {
        None => Some(By::Key),
        Some(word) => By::parse(&word),
    };
    if by.is_none() {
        query.mistake("by must be one of: key, owner, tag, model, provider");
    }
    let (from, to) = (query.time("from", given.from), query.time("to", given.to));
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        query.mistake("from must not be after to");
    }
    let format = given.format.text();
    if format.as_deref().is_some_and(|format| !["json", "csv"].contains(&format)) {
        query.mistake("format must be one of: json, csv");
    }
    query.finish()?;
    let by = by.unwrap_or(By::Key);
    let usage = usage::by(&app.store, by, from, to).await?.into_iter().map(UsageOfGroup::from).collect();
    let sums = UsageSums { by: by.as_str(), usage };
    if format.as_deref() != Some("csv") {
        return Ok(Json(sums).into_response());
    }
    let mut response = sums.csv().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    Ok(response)
}

// === impl UsageOfGroup ===

impl From<UsageOf> for UsageOfGroup {
    fn from(UsageOf { name, key_id, sums }: UsageOf) -> Self {
        Self {
            name,
            key_id,
            requests: sums.requests,
            errors: sums.errors,
            prompt_tokens: sums.prompt_tokens,
            completion_tokens: sums.completion_tokens,
            cost_usd: dollars(sums.cost_nanos),
            unpriced: sums.unpriced,
        }
    }
}

// === impl UsageSums ===

impl UsageSums {
    /// Returns the sums as lines of comma-separated values, after a line with the names of the columns.
    fn csv(&self) -> String {
        let mut text = format!("{},requests,errors,prompt_tokens,completion_tokens,cost_usd,unpriced\r\n", self.by);
        for UsageOfGroup { name, requests, errors, prompt_tokens, completion_tokens, cost_usd, unpriced, .. } in
            &self.usage
        {
            let name = quoted(name.as_deref().unwrap_or_default());
            text.push_str(&format!(
                "{name},{requests},{errors},{prompt_tokens},{completion_tokens},{cost_usd},{unpriced}\r\n"
            ));
        }
        text
    }
}

/// Quotes a text for comma-separated values. Programs for tables would run a text that begins like a formula, so it gets
/// an apostrophe in front, as they expect.
fn quoted(text: &str) -> String {
    let safe = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if safe.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_for_tables() {
        for (text, expected) in
            [("plain", "plain"), ("a,b", "\"a,b\""), ("say \"hi\"", "\"say \"\"hi\"\"\""), ("=1+1", "'=1+1"), ("", "")]
        {
            assert_eq!(quoted(text), expected);
        }
    }
}
