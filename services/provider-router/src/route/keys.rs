//! Targets whose provider has several keys: each key is a candidate of its own, and requests are spread over them.
//!
//! The policy of a route orders targets, not keys. The keys of a target follow each other: first the one with the fewest
//! requests in flight, or for sticky requests the one that the hash chooses, because providers keep their prompt caches
//! apart for each account.

use std::sync::Arc;

use signalbox_core::schema::{RoutePolicy, Sticky};

use super::{
    Candidate, Plan, RequestFacts,
    policy::{self, Contender},
};
use crate::{
    provider::Provider,
    random::{Rng, mixed},
};

// === impl Plan ===

impl Plan {
    /// Replaces each candidate whose provider has several keys, of which the target names none, by one for each of them.
    /// Returns whether there is such a candidate.
    pub(super) fn expand_keys(&mut self) -> bool {
        let names =
            |plan: &Self, candidate: &Candidate| plan.target(candidate).is_some_and(|target| target.key.is_some());
        let is_spread =
            |plan: &Self, candidate: &Candidate| candidate.provider.keys().nth(1).is_some() && !names(plan, candidate);
        if !self.candidates.iter().any(|candidate| is_spread(self, candidate)) {
            return false;
        }
        let mut expanded = Vec::with_capacity(self.candidates.len() * 2);
        for candidate in std::mem::take(&mut self.candidates) {
            if is_spread(self, &candidate) {
                expanded.extend(candidate.provider.keys().map(|provider| candidate.at(provider)));
            } else {
                expanded.push(candidate);
            }
        }
        self.candidates = expanded;
        true
    }

    /// Returns the places of the first candidates of the targets: the keys of a target follow each other.
    pub(super) fn first_of_targets(&self) -> Vec<usize> {
        let is_first = |n: &usize| *n == 0 || !self.candidates[*n].is_same_target(&self.candidates[*n - 1]);
        (0..self.candidates.len()).filter(is_first).collect()
    }

    /// Puts the keys of each target into order.
    pub(super) fn spread_keys(&mut self, key: Option<u64>, stream: bool, now: u64, rng: &mut Rng) {
        let contender = |candidate: &Candidate| Contender {
            weight: candidate.health.share(now),
            in_flight: candidate.health.in_flight(),
            latency: candidate.health.latency(now, stream),
            price: None,
            hash: candidate.hash(candidate.provider.key.as_deref()),
        };
        let mut spread = Vec::with_capacity(self.candidates.len());
        for keys in self.candidates.chunk_by(Candidate::is_same_target) {
            let contenders: Vec<Contender> = keys.iter().map(contender).collect();
            let order = match key {
                Some(key) => policy::sticky(&contenders, key),
                None => policy::order(RoutePolicy::LeastBusy, &contenders, 0, rng),
            };
            spread.extend(order.into_iter().filter_map(|n| keys.get(n).cloned()));
        }
        self.candidates = spread;
    }

    /// Returns what keeps the request at the same target, unless it asks for another policy.
    pub(super) fn sticky_key(&self, facts: &RequestFacts<'_>) -> Option<(Sticky, u64)> {
        if facts.overrides.is_some_and(|overrides| overrides.policy.is_some()) {
            return None;
        }
        let sticky = self.route.as_ref()?.plan.sticky?;
        Some((sticky, facts.key(sticky)?))
    }
}

// === impl Candidate ===

impl Candidate {
    /// Returns the same candidate with another key of its provider.
    fn at(&self, provider: &Arc<Provider>) -> Self {
        let fresh = Self::new(provider, self.model.clone(), self.reason);
        Self { provider: fresh.provider, health: fresh.health, ..self.clone() }
    }

    fn is_same_target(&self, other: &Self) -> bool {
        self.target == other.target && self.provider.id == other.provider.id && self.model == other.model
    }

    /// Returns the hash of a target. `key` is the name of the provider's key, if the target is only that one.
    pub(super) fn hash(&self, key: Option<&str>) -> u64 {
        let text = self.provider.id.bytes().chain([0]).chain(self.model.as_deref().unwrap_or_default().bytes());
        let key = key.into_iter().flat_map(|key| std::iter::once(0).chain(key.bytes()));
        text.chain(key).fold(0, |hash, byte| mixed(hash ^ u64::from(byte).wrapping_add(1)))
    }
}
