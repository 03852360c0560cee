//! Computes the costs of requests.

use serde::Deserialize;
use signalbox_core::{
    openai::{FoldedAnswer, Usage},
    schema::{RequestCost, RequestStatus},
};
use signalbox_pricing::{Missing, Money, Price, Priced, Table, Tier, Tokens, Units, Usage as Consumption};

use super::record::{CostEstimate, End};
use crate::{stream_length::tokens_of_texts, token_estimate};

/// Maximum cost of one request, in nano-dollars: 100,000 dollars. A provider that reports more is mistaken, and the sums
/// of many such amounts could not be represented.
const MAX_NANOS: i64 = 100_000_000_000_000;

/// Origin of a cost that is computed from estimated tokens.
const ESTIMATED: &str = "estimated";

/// Bytes of text beyond which an answer has more than one token, in any language.
const MAX_BYTES_PER_TOKEN: usize = 8;

/// A request that has ended, as far as its cost depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended<'a> {
    pub(crate) end: &'a End,
    /// Status of the row, which may differ from that of `end`.
    pub(crate) status: RequestStatus,
    pub(crate) answer: &'a FoldedAnswer,
    /// Model that the provider was asked for.
    pub(crate) model: &'a str,
    /// Body as it was sent to the provider.
    pub(crate) request: &'a str,
}

/// The places of the service tier: top level in Chat Completions and Responses, usage in Messages. A region is in the
/// same places.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tiers {
    service_tier: Option<String>,
    inference_geo: Option<String>,
    usage: Option<UsageTier>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UsageTier {
    service_tier: Option<String>,
    inference_geo: Option<String>,
}

/// Returns the cost of a request; `None` if no provider answered.
pub(crate) fn cost(prices: &Table, ended: Ended<'_>) -> Option<RequestCost> {
    let Ended { end, model, .. } = ended;
    let provider_id = end.provider_id.as_deref()?;
    let usage = ended.answer.usage.filter(|usage| !ended.has_first_counts_only(usage));
    if usage.is_none() && !ended.has_answer() {
        return None;
    }
    let sent_as = end.sent_as.as_deref().map(|sent| sent.kind.as_str());
    let provider_type = end.provider_type.as_deref().or(sent_as).unwrap_or_default();
    let price = prices.find(provider_type, provider_id, model, end.began_at());
    if let Some(nanos) = ended.estimated(usage.as_ref(), price) {
        let price_version = Some(prices.version().to_owned());
        return Some(RequestCost { nanos: Some(nanos), origin: ESTIMATED.to_owned(), price_version });
    }
    let reported = usage.and_then(|usage| usage.cost_picos).map(|picos| Money::from_picos(picos.into()));
    let consumption = usage.map(|usage| Consumption { tier: ended.tier(), ..consumption(&usage) });
    let priced = Priced::new_in(ended.region().as_deref(), reported, consumption.as_ref(), price);
    let nanos = priced.amount().and_then(Money::nanos).filter(|nanos| *nanos <= MAX_NANOS);
    // A request whose own price is unknown has no cost, whatever a cancelled attempt cost.
    let nanos = nanos.map(|nanos| nanos.saturating_add(end.cancelled_nanos.clamp(0, MAX_NANOS)));
    let origin = match (priced, nanos) {
        (Priced::Unknown { missing }, _) => unknown(missing),
        (_, None) => unknown(Missing::Amount),
        (priced, Some(_)) => priced.origin().to_owned(),
    };
    let is_reported = reported.is_some();
    Some(RequestCost { nanos, origin, price_version: (!is_reported).then(|| prices.version().to_owned()) })
}

/// Returns the cost of a whole answer in nano-dollars, if it is known. Answers of models without a price are not read.
pub(crate) fn cost_of_whole(
    prices: &Table,
    (kind, provider, model): (&str, &str, &str),
    region: Option<&str>,
    now: i64,
    body: &[u8],
    usage: impl FnOnce() -> Option<Usage>,
) -> Option<i64> {
    let price = prices.find(kind, provider, model, now)?;
    let usage = usage()?;
    let reported = usage.cost_picos.map(|picos| Money::from_picos(picos.into()));
    let body = std::str::from_utf8(body).unwrap_or_default();
    let tier = service_tier(body).as_deref().map(Tier::read).unwrap_or_default();
    let named = service_region(body);
    let region = named.as_deref().or(region);
    let priced = Priced::new_in(region, reported, Some(&Consumption { tier, ..consumption(&usage) }), Some(price));
    priced.amount().and_then(Money::nanos).filter(|nanos| *nanos <= MAX_NANOS)
}

/// Writes nano-dollars as dollars, such as `0.00048`.
pub(crate) fn in_dollars(nanos: i64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn unknown(missing: Missing) -> String {
    format!("unknown: {}", missing.code())
}

fn consumption(usage: &Usage) -> Consumption {
    let web_searches = u64::try_from(usage.web_searches).unwrap_or_default();
    Consumption { units: Units { web_searches, ..Units::default() }, ..tokens(usage).into() }
}

/// Converts the counts of the log to disjoint classes.
fn tokens(usage: &Usage) -> Tokens {
    let count = |tokens: i64| u64::try_from(tokens).unwrap_or_default();
    let classes = usage.classes;
    Tokens {
        input: count(classes.uncached_input(usage.prompt_tokens)),
        cache_read: count(classes.cache_read),
        cache_write_short: count(classes.cache_write_short),
        cache_write_long: count(classes.cache_write_long),
        input_audio: count(classes.input_audio),
        input_image: count(classes.input_image),
        output: count(classes.other_output(usage.completion_tokens)),
        reasoning: count(classes.reasoning),
        output_audio: count(classes.output_audio),
        output_image: count(classes.output_image),
    }
}

/// Returns the service tier that an answer or a request names.
pub(super) fn service_tier(json: &str) -> Option<String> {
    memchr::memmem::find(json.as_bytes(), b"\"service_tier\"")?;
    let tiers: Tiers = serde_json::from_str(json).ok()?;
    tiers.service_tier.or_else(|| tiers.usage?.service_tier)
}

/// Returns the region that an answer or a request of Messages names (`inference_geo`).
fn service_region(json: &str) -> Option<String> {
    memchr::memmem::find(json.as_bytes(), b"\"inference_geo\"")?;
    let tiers: Tiers = serde_json::from_str(json).ok()?;
    tiers.inference_geo.or_else(|| tiers.usage?.inference_geo)
}

// === impl Ended ===

impl Ended<'_> {
    /// Returns whether the client received an answer or the beginning of one.
    fn has_answer(&self) -> bool {
        let is_success = self.end.status_code.is_some_and(|status| (200..300).contains(&status));
        let is_error = !self.end.streamed && (self.answer.error.is_some() || self.status == RequestStatus::Failed);
        is_success && !is_error
    }

    /// Returns whether the counts are those that Messages sends at the beginning of a stream, and the stream broke off
    /// before its last ones.
    fn has_first_counts_only(&self, usage: &Usage) -> bool {
        let Ended { end, answer, .. } = self;
        let least = answer.text.len() / MAX_BYTES_PER_TOKEN;
        end.streamed
            && answer.finish_reason.is_none()
            && usize::try_from(usage.completion_tokens).is_ok_and(|counted| counted < least)
    }

    /// Returns the estimated cost of an answer that broke off, in nano-dollars. `None` if its cost is known by its token
    /// counts, or if it cannot be estimated. Counts that were reported at the beginning of the stream are too low.
    fn estimated(&self, usage: Option<&Usage>, price: Option<&Price>) -> Option<i64> {
        let (price, estimate) = (price.filter(|price| !price.is_free())?, self.end.estimate?);
        if usage.is_some_and(|usage| usage.cost_picos.is_some()) {
            return None;
        }
        let cancelled = self.end.cancelled_nanos.clamp(0, MAX_NANOS);
        let of = |consumed: Consumption| {
            let cost = price.cost_in(self.region().as_deref(), &Consumption { tier: self.tier(), ..consumed }).ok()?;
            Some(cost.total().nanos()?.saturating_add(cancelled))
        };
        let counted = usage.and_then(|usage| of(consumption(usage)));
        let nanos = match estimate {
            CostEstimate::Nanos(nanos) => Some(nanos).filter(|nanos| counted.is_none_or(|counted| counted < *nanos)),
            CostEstimate::Bodies if usage.is_some() => None,
            CostEstimate::Bodies => {
                let input = token_estimate::rough(self.request.as_bytes());
                let output = self.answer.json.as_deref().map_or(0, tokens_of_texts);
                of(Tokens { input, output, ..Tokens::default() }.into())
            }
        };
        nanos.filter(|nanos| (0..=MAX_NANOS).contains(nanos))
    }

    /// Returns the region: of the answer, else of the request, else of the target that was asked last.
    fn region(&self) -> Option<String> {
        let named = self.answer.json.as_deref().and_then(service_region).or_else(|| service_region(self.request));
        named.or_else(|| {
            let plan = self.end.plan.as_ref()?;
            plan.targets.get(plan.attempts.last()?.target)?.region.clone()
        })
    }

    /// Returns the service tier: of the answer, else of the request.
    fn tier(&self) -> Tier {
        let named = self.answer.json.as_deref().and_then(service_tier).or_else(|| service_tier(self.request));
        named.as_deref().map(Tier::read).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
