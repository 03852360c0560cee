//! Targets of a route that a request is not sent to: they do not fit it, or should not be tried now.

use std::str::FromStr as _;

use signalbox_core::schema::RouteTarget;
use signalbox_pricing::{Money, Table};

use super::{Candidate, Plan, RequestFacts, SkipReason};
use crate::{
    catalog::Route,
    health::{Blocked, millis},
};

// === impl Plan ===

impl Plan {
    /// Removes the targets that do not fit the request, and takes over what else the request asks for. Without
    /// conditions nothing of the request is read.
    pub(super) fn skip_unfit(&mut self, facts: &RequestFacts<'_>, prices: Option<&Table>) {
        let Some(route) = self.route.clone() else {
            if facts.overrides.is_some() {
                self.skip_where(|_| None, facts, prices);
            }
            return;
        };
        let has_condition = |target: &RouteTarget| target.can.is_some() || target.max_price_usd.is_some();
        if facts.overrides.is_some() || route.plan.targets.iter().any(has_condition) {
            self.skip_where(|target| route.plan.targets.get(target), facts, prices);
        }
    }

    /// Removes the targets whose context is too small, unless none would be left: the size is an estimate.
    pub(super) fn skip_small(&mut self, route: &Route, facts: &RequestFacts<'_>) {
        let holds = |candidate: &Candidate| route.plan.targets.get(candidate.target)?.context_tokens;
        if !self.candidates.iter().any(|candidate| holds(candidate).is_some()) {
            return;
        }
        let Some(needs) = facts.prompt_tokens() else { return };
        let is_small = |candidate: &Candidate| holds(candidate).is_some_and(|holds| holds < needs);
        if self.candidates.iter().all(is_small) {
            let largest = self.candidates.iter().filter_map(holds).max();
            self.skip(|candidate| {
                let holds = holds(candidate).filter(|holds| Some(*holds) != largest)?;
                Some(SkipReason::ContextTooSmall { holds, needs })
            });
        } else {
            self.skip(|candidate| {
                let holds = holds(candidate).filter(|holds| *holds < needs)?;
                Some(SkipReason::ContextTooSmall { holds, needs })
            });
        }
    }

    /// Removes the targets whose providers are at a limit of theirs.
    pub(super) fn skip_limited(&mut self, facts: &RequestFacts<'_>, now: u64) {
        if self.candidates.iter().all(|candidate| candidate.provider.quota.is_none()) {
            return;
        }
        let (prompt, output) = facts.expected_tokens();
        let tokens = prompt.saturating_add(output);
        self.tokens = tokens;
        self.skip(|candidate| {
            let denial = candidate.provider.quota.as_ref()?.denial(now, tokens)?;
            Some(SkipReason::AtLimit(denial.retry_after().map(millis)))
        });
    }

    /// Removes the targets that should not be tried now, unless none would be left: then the one stays that may be
    /// tried first.
    pub(super) fn skip_blocked(&mut self, now: u64) {
        let blocked: Vec<Option<Blocked>> =
            self.candidates.iter().map(|candidate| candidate.health.blocked(now)).collect();
        let mut first = None;
        if blocked.iter().all(Option::is_some) {
            first = (0..blocked.len()).min_by_key(|n| blocked[*n].map(Blocked::until));
        }
        let mut n = 0;
        self.skip(|_| {
            n += 1;
            blocked[n - 1].filter(|_| first != Some(n - 1)).map(SkipReason::Blocked)
        });
        if let (Some(first), [candidate]) = (first, &mut self.candidates[..]) {
            candidate.last_resort = blocked[first];
        }
    }

    fn skip_where<'a>(
        &mut self,
        target: impl Fn(usize) -> Option<&'a RouteTarget>,
        facts: &RequestFacts<'_>,
        prices: Option<&Table>,
    ) {
        let asked = facts.overrides;
        let (mut needs, mut tokens) = (None, None);
        self.skip(|candidate| {
            let target = target(candidate.target);
            if asked.and_then(|asked| asked.provider.as_deref()).is_some_and(|id| id != candidate.provider.id) {
                return Some(SkipReason::OtherProvider);
            }
            let region = target.and_then(|target| target.region.as_deref());
            if asked.and_then(|asked| asked.region.as_deref()).is_some_and(|asked| Some(asked) != region) {
                return Some(SkipReason::OtherRegion);
            }
            if let Some(can) = target.and_then(|target| target.can.as_deref()) {
                let needs = needs.get_or_insert_with(|| facts.needs());
                if let Some(ability) = needs.iter().find(|ability| !can.contains(ability)) {
                    return Some(SkipReason::Lacks(*ability));
                }
            }
            let of_target = target.and_then(|target| target.max_price_usd);
            let limits = [of_target, asked.and_then(|asked| asked.max_price_usd)];
            let limit = limits.into_iter().flatten().map(picos).min()?;
            let tokens = *tokens.get_or_insert_with(|| facts.expected_tokens());
            match prices.and_then(|prices| candidate.price(prices, tokens, facts.unix_ms)) {
                None => Some(SkipReason::PriceUnknown { limit }),
                Some(price) if price > limit => Some(SkipReason::TooExpensive { price, limit }),
                Some(_) => None,
            }
        });
        if let Some(asked) = asked {
            self.overrides = asked.document();
            self.candidates.iter_mut().for_each(|candidate| candidate.deadlines = asked.deadlines);
        }
    }
}

/// Returns an amount of dollars in pico-dollars. Its shortest decimal form is exact for what a user writes.
fn picos(usd: f64) -> u128 {
    let exact = Money::from_str(&usd.to_string()).ok();
    exact.or_else(|| Money::from_reported(&usd.to_string())).map_or(0, Money::picos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_exactly() {
        for (usd, expected) in [(0.1, 100_000_000_000), (1e6, 10_u128.pow(18)), (1e-9, 1_000), (1e-15, 0)] {
            assert_eq!(picos(usd), expected, "{usd}");
        }
    }
}
