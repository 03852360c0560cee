//! Conditions on the targets of a request: those of its route, and those that it sets itself.

use std::str::FromStr as _;

use signalbox_core::schema::RouteTarget;
use signalbox_pricing::{Money, Table};

use super::{Plan, RequestFacts, SkipReason};

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
