//! `?explain=dry-run`: the plan of a request, without sending it.

use http::{HeaderValue, Response, header};
use serde_json::{Value, json};
use signalbox_pricing::{Money, Table};

use super::error::ApiError;
use crate::{
    body::ResponseBody,
    envelope::Envelope,
    health,
    route::{Plan, RequestFacts},
};

/// Returns whether a query asks for the plan.
///
/// # Errors
/// [`ApiError::Explain`] if it asks for something else.
pub(super) fn is_asked(query: Option<&str>) -> Result<bool, ApiError> {
    let Some(query) = query else { return Ok(false) };
    for (name, value) in query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
        match (name, value) {
            ("explain", "dry-run") => return Ok(true),
            ("explain", other) => return Err(ApiError::Explain(other.to_owned())),
            _ => {}
        }
    }
    Ok(false)
}

/// Shows the plan of a request: where it would go, in which order, in which API, and at what price.
pub(super) fn dry_run(
    plan: &Plan,
    envelope: &Envelope,
    facts: &RequestFacts<'_>,
    prices: Option<&Table>,
) -> Response<ResponseBody> {
    let record = plan.record(health::now());
    let (prompt, output) = facts.expected_tokens();
    let target = |(planned, candidate): (&signalbox_core::schema::PlannedTarget, &crate::route::Candidate)| {
        let picos = prices.and_then(|prices| candidate.price(prices, (prompt, output), facts.unix_ms));
        let price_usd: Option<f64> = picos.and_then(|picos| Money::from_picos(picos).to_string().parse().ok());
        json!({
            "provider": planned.provider,
            "model": planned.model,
            "key": planned.key,
            "why": planned.why,
            "api": candidate.api_for(envelope).as_str(),
            "translated": candidate.is_translated(envelope),
            "price_usd": price_usd,
        })
    };
    let targets: Vec<Value> = record.targets.iter().zip(&plan.candidates).map(target).collect();
    let route = plan.route.as_ref().map(|route| &route.plan);
    let shown = json!({
        "dry_run": true,
        "model": envelope.model,
        "route": record.route,
        "policy": record.policy,
        "overrides": record.overrides,
        "targets": targets,
        "skipped": record.skipped,
        "retries": route.and_then(|route| route.retries),
        "deadlines": route.map(|route| route.deadlines),
        "estimated_tokens": {"prompt": prompt, "output": output},
    });
    let mut response = Response::new(ResponseBody::whole(shown.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_dry_run_can_be_asked_for() {
        for (query, asked) in [
            (None, false),
            (Some("beta=true"), false),
            (Some("explain=dry-run"), true),
            (Some("a&explain=dry-run"), true),
        ] {
            assert_eq!(is_asked(query).ok(), Some(asked), "{query:?}");
        }
        for query in ["explain", "explain=", "explain=plan"] {
            let refused = is_asked(Some(query)).unwrap_err();
            assert_eq!((refused.status().as_u16(), refused.body().error.param.as_deref()), (400, Some("explain")));
        }
    }
}
