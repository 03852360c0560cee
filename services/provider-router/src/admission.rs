//! Admission of a request: the permissions of its key, and the rest of its limits and budgets.
//!
//! [`check`] and [`reserve`] come after the entry has recognised the key, and before the request is logged or a provider
//! is asked. [`Admitted::settle`] comes when it has ended.

use std::sync::Arc;

use serde_json::{Map, Value};
use signalbox_core::json::Reader;
use signalbox_core::openai::{FoldedAnswer, Usage};
use signalbox_core::schema::RequestStatus;
use signalbox_daemon::Caller;
use signalbox_pricing::{Expected, Missing, Money, Table, Tier};
use tokio::time::Instant;

use crate::{
    direct::DirectApi,
    journal::{End, Ended, cost},
    ledger::{Denial, Estimate, Ledger, Quotas, Reservation},
    prices::Prices,
    token_estimate::{self, Demand},
};

/// Reason why a client may not ask for this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// The model is not among those of the key.
    #[error("this API key may not use the model `{0}`; `GET /v1/models` lists the models that it may use")]
    Model(String),
    /// The API is not among those of the key.
    #[error("this API key may not use this API; ask whoever issued it to allow `{0}`")]
    Surface(&'static str),
    /// The key is limited to some APIs, and the path belongs to none.
    #[error("this API key may only use the APIs {0}; use another key for {1}")]
    Path(String, String),
}

/// A target that may serve a request.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Type of the provider.
    pub provider_type: &'a str,
    /// Id of the provider.
    pub provider_id: &'a str,
    /// Name of the model at the provider.
    pub model: &'a str,
    /// Fields that the target sets in the request.
    pub params: Option<&'a Map<String, Value>>,
}

/// Nano-dollars that are reserved if an amount cannot be represented: more than any budget has.
const MOST_NANOS: i64 = i64::MAX / 4_096;

/// Reservation of an admitted request, and the facts from which its use is computed.
#[derive(Debug)]
pub struct Admitted {
    reservation: Reservation,
    prices: Option<Arc<Table>>,
    demand: Demand,
    estimate: Estimate,
    /// Whether tokens and cost are estimated: any of the limits depends on them.
    needs_estimate: bool,
    /// Model that the client asked for.
    model: String,
    quotas: Quotas,
}

/// Returns whether the caller may ask for an answer of this API and model. Without a name, the default model counts.
///
/// # Errors
/// Returns the permission that is missing.
pub fn check(caller: Option<&Caller>, surface: &'static str, model: Option<&str>) -> Result<(), NotAllowed> {
    let Some(caller) = caller else { return Ok(()) };
    if !caller.allows_surface(surface) {
        return Err(NotAllowed::Surface(surface));
    }
    let model = model.unwrap_or_default();
    if caller.allows_model(model) { Ok(()) } else { Err(NotAllowed::Model(model.to_owned())) }
}

/// Returns whether the caller may ask for the models that the body names beside its `model`: OpenRouter and others try
/// those in a list `models` if the first one fails.
///
/// # Errors
/// Returns the first model that is not among those of the key.
pub fn check_fallbacks(caller: Option<&Caller>, body: &[u8]) -> Result<(), NotAllowed> {
    let Some(caller) = caller.filter(|caller| caller.grant().models.is_some()) else { return Ok(()) };
    let mut refused = None;
    // The body has been read as JSON before.
    let _ = Reader::lenient(body).fields(|name, value| {
        if name != "models" || value.peek()? != b'[' {
            return value.skip();
        }
        value.array(|value| {
            if value.peek()? != b'"' {
                return value.skip();
            }
            let model = value.string()?;
            if refused.is_none() && !caller.allows_model(&model) {
                refused = Some(model.into_owned());
            }
            Some(())
        })
    });
    refused.map_or(Ok(()), |model| Err(NotAllowed::Model(model)))
}

/// Returns whether the caller may send a request for a path that is not one for an answer. A key that is limited to some
/// APIs may list models, and read or count what belongs to its APIs.
///
/// # Errors
/// Returns the permission that is missing.
pub fn check_path(caller: Option<&Caller>, path: &str) -> Result<(), NotAllowed> {
    let Some((caller, surfaces)) = caller.and_then(|caller| Some((caller, caller.grant().surfaces.as_ref()?))) else {
        return Ok(());
    };
    let is_below =
        |parent: &str| path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    // Requests for an answer are checked by `check`, when their body has been read.
    if DirectApi::of_path(path).is_some() {
        return Ok(());
    }
    // A stream is found only with the key of its request.
    if path == "/"
        || path.starts_with("/health")
        || is_below("/v1/streams")
        || is_below("/v1/models") && !is_below("/v1/models/sync")
    {
        return Ok(());
    }
    for (parent, surface) in [("/v1/messages", "messages"), ("/v1/responses", "responses")] {
        if is_below(parent) {
            return if caller.allows_surface(surface) { Ok(()) } else { Err(NotAllowed::Surface(surface)) };
        }
    }
    Err(NotAllowed::Path(format!("`{}`", surfaces.join("`, `")), path.to_owned()))
}

/// The parts of a request on which its estimate depends.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Body.
    pub body: &'a [u8],
    /// Model that the client asks for.
    pub model: Option<&'a str>,
    /// Number of answers.
    pub choices: u32,
    /// Whether the answers have tokens.
    pub is_answered: bool,
    /// Tokens of the earlier turns that the request continues without containing them.
    pub earlier_tokens: u64,
    /// Id of the route.
    pub route: Option<&'a str>,
    /// Time after which the request waits for no limit any more.
    pub latest: Instant,
}

/// Returns whether a request is admitted by an estimate of what it uses.
#[must_use]
pub fn needs_estimate(ledger: &Ledger, caller: Option<&Caller>, route: Option<&str>) -> bool {
    ledger.select(caller, route).is_some_and(|selected| selected.needs_estimate())
}

/// Reserves what a request may use; `None` if nothing limits it. The most expensive target counts.
///
/// # Errors
/// Returns the limit that is reached.
pub async fn reserve(
    ledger: &Arc<Ledger>,
    prices: &Prices,
    caller: Option<&Caller>,
    asked: Asked<'_>,
    targets: &[Target<'_>],
) -> Result<Option<Admitted>, Denial> {
    let Some(selected) = ledger.select(caller, asked.route) else { return Ok(None) };
    let (mut demand, mut estimate, mut table) = (Demand::default(), Estimate::default(), None);
    let needs_estimate = selected.needs_estimate();
    if needs_estimate {
        demand = token_estimate::demand(asked.body, asked.choices, asked.is_answered).after(asked.earlier_tokens);
        table = prices.current();
        (demand, estimate) = estimated(table.as_deref(), demand, targets, ledger.now().unix_ms);
    }
    let priority = caller.and_then(|caller| caller.grant().priority).unwrap_or_default();
    let reservation = ledger.admit(&selected, &estimate, (priority, asked.latest)).await?;
    let quotas = selected.quotas(ledger.now());
    let model = asked.model.unwrap_or_default().to_owned();
    Ok(Some(Admitted { reservation, prices: table, demand, estimate, needs_estimate, model, quotas }))
}

/// Returns the most that any target is expected to use, and its estimate.
fn estimated(table: Option<&Table>, demand: Demand, targets: &[Target<'_>], at: i64) -> (Demand, Estimate) {
    let tokens = |demand: &Demand| {
        let expected = demand.expected(None);
        expected.input.saturating_add(expected.max_output)
    };
    let mut most = demand;
    let mut estimate = Estimate { tokens: tokens(&demand), ..Estimate::default() };
    for Target { provider_type, provider_id, model, params } in targets.iter().copied() {
        let demand = params.filter(|params| !params.is_empty()).map_or(demand, |params| demand.with_params(params));
        most.is_background |= demand.is_background;
        if tokens(&demand) > estimate.tokens {
            estimate.tokens = tokens(&demand);
            most = Demand { is_background: most.is_background, ..demand };
        }
        let price = table.and_then(|table| table.find(provider_type, provider_id, model, at));
        match price.map(|price| price.estimate(&demand.expected(price.max_output_tokens()))) {
            Some(Ok(cost)) => estimate.nanos = estimate.nanos.max(cost.total().nanos().unwrap_or(MOST_NANOS)),
            Some(Err(Missing::Amount)) => estimate.nanos = MOST_NANOS,
            Some(Err(_)) | None => estimate.is_unpriced = true,
        }
    }
    (most, estimate)
}

// === impl Admitted ===

impl Admitted {
    /// Returns what was left of the limits of the rate when the request was admitted.
    #[must_use]
    pub const fn quotas(&self) -> Quotas {
        self.quotas
    }

    /// Replaces the reservation by what the request has used. `answer_tokens` are the tokens that the length of the
    /// answer suggests.
    ///
    /// They count for an answer without token counts, such as one that broke off, together with the prompt: otherwise
    /// it would be free to close the connection before the counts come. Messages sends counts at the beginning, too.
    ///
    /// Returns the cost in nano-dollars if it is estimated because the answer broke off.
    pub fn settle(self, end: &End, usage: Option<Usage>, answer_tokens: u64) -> Option<i64> {
        let is_begun = end.provider_id.is_some() && end.status_code.is_some_and(|status| status < 300);
        let most = self.demand.expected(None);
        let guessed = Expected { max_output: most.max_output.min(answer_tokens), ..most };
        let reported = usage;
        let usage = usage.map(|usage| match end.status {
            RequestStatus::Completed => usage,
            _ => at_least(usage, guessed.max_output),
        });
        // The token counts of an answer in the background are not in its response.
        let is_unseen = is_begun && usage.is_none() && self.demand.is_background;
        let used = match usage {
            Some(usage) => count(usage.total_tokens.max(usage.prompt_tokens.saturating_add(usage.completion_tokens))),
            None if is_unseen => self.estimate.tokens,
            None if is_begun => guessed.input.saturating_add(guessed.max_output).min(self.estimate.tokens),
            None => 0,
        };
        let model = end.upstream_model.as_deref().unwrap_or(&self.model);
        let request = match self.demand.tier {
            Tier::Standard => String::new(),
            tier => format!("{{\"service_tier\":\"{tier}\"}}"),
        };
        let nanos = self.prices.as_deref().map_or(0, |prices| {
            let answer = FoldedAnswer { usage, ..FoldedAnswer::default() };
            let cost = cost(prices, Ended { end, status: end.status, answer: &answer, model, request: &request });
            match (cost.and_then(|cost| cost.nanos), usage) {
                (Some(nanos), _) => nanos,
                (None, None) if is_unseen => self.estimate.nanos,
                (None, None) if is_begun => self.guess(prices, end, model, &guessed).min(self.estimate.nanos),
                (None, None) => 0,
                // Some of the tokens have no price of their own, but the model has one.
                (None, Some(usage)) => {
                    let counted = Expected {
                        input: count(usage.prompt_tokens),
                        max_output: count(usage.completion_tokens),
                        ..most
                    };
                    self.guess(prices, end, model, &counted)
                }
            }
        });
        let is_guessed = is_begun && end.status != RequestStatus::Completed && (usage.is_none() || usage != reported);
        let is_estimated = is_guessed && self.needs_estimate && nanos > 0;
        self.reservation.settle(used, nanos);
        is_estimated.then_some(nanos)
    }

    /// Returns an upper bound of the cost in nano-dollars; 0 if the model has no price, and what was reserved if the
    /// bound is unknown.
    fn guess(&self, prices: &Table, end: &End, model: &str, expected: &Expected) -> i64 {
        let (kind, id) = (end.provider_type.as_deref().unwrap_or_default(), end.provider_id.as_deref());
        let Some(price) = id.and_then(|id| prices.find(kind, id, model, end.ended_at)) else { return 0 };
        let cost = price.estimate(expected).ok().map(|cost| cost.total());
        cost.and_then(Money::nanos).filter(|nanos| *nanos <= MOST_NANOS).unwrap_or(self.estimate.nanos)
    }
}

/// Returns the counts with at least this many tokens of the answer.
fn at_least(usage: Usage, completion: u64) -> Usage {
    let completion = usage.completion_tokens.max(i64::try_from(completion).unwrap_or(i64::MAX));
    let more = completion - usage.completion_tokens;
    Usage { completion_tokens: completion, total_tokens: usage.total_tokens.saturating_add(more), ..usage }
}

fn count(tokens: i64) -> u64 {
    u64::try_from(tokens).unwrap_or_default()
}

#[cfg(test)]
mod tests;
