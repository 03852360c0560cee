//! The order in which the targets of a route are tried.

use signalbox_core::schema::RoutePolicy;

use crate::random::{Rng, mixed, unit_of};

/// Milliseconds to the first token that are assumed where no target has been measured.
const UNKNOWN_LATENCY: f64 = 1_000.0;
/// Share of the requests in flight that a target may have beyond its fair one before sticky requests pass it by.
const MAX_LOAD: f64 = 1.25;

/// A target, as far as the order depends on it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Contender {
    /// Weight; less than the configured one for a while after a recovery. Never 0.
    pub(super) weight: f64,
    /// Requests in flight.
    pub(super) in_flight: u32,
    /// Expected milliseconds to the first token of a stream, or to the end of a whole answer, if known.
    pub(super) latency: Option<f64>,
    /// Price of the request in pico-dollars, if known.
    pub(super) price: Option<u128>,
    /// Hash of its identity.
    pub(super) hash: u64,
}

/// Returns the indices of the contenders in the order in which they are tried. `turn` is the number of the request.
#[must_use]
pub(super) fn order(policy: RoutePolicy, contenders: &[Contender], turn: usize, rng: &mut Rng) -> Vec<usize> {
    let len = contenders.len();
    match policy {
        RoutePolicy::Priority => (0..len).collect(),
        RoutePolicy::RoundRobin => (0..len).map(|n| (n + turn % len.max(1)) % len.max(1)).collect(),
        RoutePolicy::Weighted => {
            // A race of exponential clocks: each target wins in proportion to its weight, also among the rest.
            sorted(len, |n| -(1.0 - rng.unit()).ln() / contenders[n].weight)
        }
        RoutePolicy::LeastBusy => {
            let mut order = rng.shuffled(len);
            let load = |n: &usize| (f64::from(contenders[*n].in_flight) + 1.0) / contenders[*n].weight;
            order.sort_by(|a, b| load(a).total_cmp(&load(b)));
            order
        }
        RoutePolicy::Latency => by_latency(contenders, rng),
        RoutePolicy::Cheapest => {
            let mut order: Vec<usize> = (0..len).collect();
            order.sort_by_key(|n| contenders[*n].price.unwrap_or(u128::MAX));
            order
        }
    }
}

/// Takes the better of two targets drawn at random, so that not all requests go to the same one; then the others, the
/// best first.
fn by_latency(contenders: &[Contender], rng: &mut Rng) -> Vec<usize> {
    let mut known: Vec<f64> = contenders.iter().filter_map(|contender| contender.latency).collect();
    known.sort_by(f64::total_cmp);
    let assumed = known.get(known.len() / 2).copied().unwrap_or(UNKNOWN_LATENCY);
    let cost = |n: usize| {
        let Contender { latency, in_flight, weight, .. } = &contenders[n];
        latency.unwrap_or(assumed) * (f64::from(*in_flight) + 1.0) / weight
    };
    let drawn = rng.shuffled(contenders.len());
    let mut order = drawn.clone();
    order.sort_by(|a, b| cost(*a).total_cmp(&cost(*b)));
    if let [one, other, ..] = drawn[..] {
        let better = if cost(other) < cost(one) { other } else { one };
        order.retain(|n| *n != better);
        order.insert(0, better);
    }
    order
}

/// Returns the order for requests with this key: rendezvous hashing with bounded load. A change of the targets moves
/// only the keys of the targets that changed. Targets with more than their share of the load come last.
#[must_use]
pub(super) fn sticky(contenders: &[Contender], key: u64) -> Vec<usize> {
    let weights: f64 = contenders.iter().map(|contender| contender.weight).sum();
    let load: f64 = contenders.iter().map(|contender| f64::from(contender.in_flight)).sum();
    let is_full = |n: usize| {
        let Contender { weight, in_flight, .. } = &contenders[n];
        f64::from(*in_flight) + 1.0 > ((load + 1.0) * weight / weights * MAX_LOAD).ceil()
    };
    let score = |n: usize| {
        let unit = unit_of(mixed(key ^ mixed(contenders[n].hash)));
        -(1.0 - unit).ln() / contenders[n].weight
    };
    let order = sorted(contenders.len(), score);
    let (full, free): (Vec<usize>, Vec<usize>) = order.into_iter().partition(|n| is_full(*n));
    [free, full].concat()
}

/// Returns the indices below `len`, the lowest score first.
fn sorted(len: usize, score: impl FnMut(usize) -> f64) -> Vec<usize> {
    let scores: Vec<f64> = (0..len).map(score).collect();
    let mut order: Vec<usize> = (0..len).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::Rng;

    const PICKS: u32 = 100_000;
    const POLICIES: [RoutePolicy; 6] = [
        RoutePolicy::Priority,
        RoutePolicy::Weighted,
        RoutePolicy::RoundRobin,
        RoutePolicy::LeastBusy,
        RoutePolicy::Latency,
        RoutePolicy::Cheapest,
    ];

    fn contender(weight: f64, hash: u64) -> Contender {
        Contender { weight, in_flight: 0, latency: None, price: None, hash }
    }

    fn firsts(policy: RoutePolicy, contenders: &[Contender]) -> Vec<f64> {
        let (mut rng, mut counts) = (Rng::new(11), vec![0_u32; contenders.len()]);
        for turn in 0..PICKS {
            counts[order(policy, contenders, turn as usize, &mut rng)[0]] += 1;
        }
        counts.into_iter().map(|count| f64::from(count) / f64::from(PICKS)).collect()
    }

    #[test]
    fn weights_hold_within_statistical_bounds() {
        let contenders = [contender(1.0, 1), contender(3.0, 2), contender(6.0, 3)];
        for (share, expected) in firsts(RoutePolicy::Weighted, &contenders).into_iter().zip([0.1_f64, 0.3, 0.6]) {
            // Four standard deviations.
            let bound = 4.0 * (expected * (1.0 - expected) / f64::from(PICKS)).sqrt();
            assert!((share - expected).abs() < bound, "{share} {expected}");
        }
    }

    #[test]
    fn fallbacks_are_weighted_as_well() {
        let contenders = [contender(1_000.0, 1), contender(1.0, 2), contender(3.0, 3)];
        let (mut rng, mut second) = (Rng::new(5), 0_u32);
        for _ in 0..10_000 {
            let order = order(RoutePolicy::Weighted, &contenders, 0, &mut rng);
            second += u32::from(order.iter().position(|n| *n == 2) < order.iter().position(|n| *n == 1));
        }
        assert!((7_300..7_700).contains(&second), "{second}");
    }

    #[test]
    fn no_target_starves_where_load_is_spread() {
        let contenders: Vec<Contender> =
            (0..5_u32).map(|n| Contender { latency: Some(100.0 + f64::from(n)), ..contender(1.0, n.into()) }).collect();
        for policy in [RoutePolicy::Weighted, RoutePolicy::RoundRobin, RoutePolicy::LeastBusy] {
            assert!(firsts(policy, &contenders).iter().all(|share| (0.19..0.21).contains(share)), "{policy:?}");
        }
        // Of two that are drawn the slowest never wins, so that its idle time makes it attractive instead.
        let shares = firsts(RoutePolicy::Latency, &contenders);
        assert!(shares[0] > shares[1] && shares[3] > 0.05 && shares[4] < f64::EPSILON, "{shares:?}");
        let idle = Contender { latency: Some(1.0), ..contenders[4].clone() };
        assert!(firsts(RoutePolicy::Latency, &[contenders[0].clone(), idle])[1] > 0.99);
    }

    #[test]
    fn the_busy_the_slow_and_the_expensive_come_last() {
        let busy = |in_flight, weight| Contender { in_flight, ..contender(weight, 0) };
        let mut rng = Rng::new(1);
        let mut of = |policy, contenders: &[Contender]| order(policy, contenders, 0, &mut rng);
        assert_eq!(of(RoutePolicy::LeastBusy, &[busy(4, 1.0), busy(2, 1.0), busy(8, 9.0)]), [2, 1, 0]);
        let slow = |latency, in_flight| Contender { latency, in_flight, ..contender(1.0, 0) };
        assert_eq!(of(RoutePolicy::Latency, &[slow(Some(900.0), 0), slow(Some(100.0), 0)]), [1, 0]);
        assert_eq!(of(RoutePolicy::Latency, &[slow(Some(900.0), 0), slow(Some(100.0), 20)]), [0, 1]);
        let priced = |price| Contender { price, ..contender(1.0, 0) };
        assert_eq!(
            of(RoutePolicy::Cheapest, &[priced(None), priced(Some(9)), priced(Some(3)), priced(None)]),
            [2, 1, 0, 3]
        );
    }

    #[test]
    fn a_key_stays_and_moves_only_with_its_target() {
        let contenders: Vec<Contender> = (0..4).map(|n| contender(1.0, n + 1)).collect();
        let (mut moved, mut counts) = (0, [0_u32; 4]);
        for key in 0..10_000 {
            let first = sticky(&contenders, mixed(key))[0];
            counts[first] += 1;
            let without = sticky(&contenders[..3], mixed(key))[0];
            moved += u32::from(first != 3 && first != without);
        }
        assert_eq!(moved, 0);
        assert!(counts.iter().all(|count| (2_300..2_700).contains(count)), "{counts:?}");
    }

    #[test]
    fn sticky_load_is_bounded() {
        // All requests have the same few keys, and none ends.
        let mut contenders: Vec<Contender> = (0..4).map(|n| contender(1.0, n + 1)).collect();
        for n in 0..1_000_u32 {
            let first = sticky(&contenders, mixed(u64::from(n % 2)))[0];
            contenders[first].in_flight += 1;
            let bound = (f64::from(n + 1) / 4.0 * MAX_LOAD).ceil();
            assert!(f64::from(contenders[first].in_flight) <= bound, "{n}: {contenders:?}");
        }
    }

    fn weighted(weights: &[u16]) -> Vec<Contender> {
        weights.iter().zip(1..).map(|(weight, hash)| contender(f64::from(*weight), hash)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

        #[test]
        fn any_weights_hold_within_statistical_bounds(weights in proptest::collection::vec(1_u16..=1_000, 2..8)) {
            let sum: f64 = weights.iter().copied().map(f64::from).sum();
            for (share, weight) in firsts(RoutePolicy::Weighted, &weighted(&weights)).into_iter().zip(&weights) {
                let expected = f64::from(*weight) / sum;
                // Six standard deviations, and one pick.
                let bound = 6.0 * (expected * (1.0 - expected) / f64::from(PICKS)).sqrt() + 1.0 / f64::from(PICKS);
                prop_assert!((share - expected).abs() < bound, "{} instead of {}", share, expected);
            }
        }
    }

    proptest! {
        #[test]
        fn load_is_bounded_by_the_weights(
            weights in proptest::collection::vec(1_u16..=1_000, 2..8),
            keys in proptest::collection::vec(0_u64..3, 1..400),
        ) {
            let mut contenders = weighted(&weights);
            let sum: f64 = weights.iter().copied().map(f64::from).sum();
            for (key, total) in keys.into_iter().zip(1_u32..) {
                let first = sticky(&contenders, key)[0];
                contenders[first].in_flight += 1;
                let fair = f64::from(total) * contenders[first].weight / sum;
                prop_assert!(f64::from(contenders[first].in_flight) <= (fair * MAX_LOAD).ceil());
            }
        }
    }

    proptest! {
        #[test]
        fn every_order_is_a_permutation(
            given in proptest::collection::vec((1_u16..1000, 0_u32..50, proptest::option::of(1.0_f64..9e4), proptest::option::of(0_u64..1000)), 0..12),
            turn in any::<usize>(),
            seed in any::<u64>(),
        ) {
            let contenders: Vec<Contender> = given.iter().zip(0_u64..).map(|((weight, in_flight, latency, price), hash)| Contender {
                weight: f64::from(*weight),
                in_flight: *in_flight,
                latency: *latency,
                price: price.map(u128::from),
                hash,
            }).collect();
            let mut orders: Vec<Vec<usize>> = POLICIES.into_iter().map(|policy| order(policy, &contenders, turn, &mut Rng::new(seed))).collect();
            orders.push(sticky(&contenders, seed));
            for mut order in orders {
                order.sort_unstable();
                prop_assert_eq!(order, (0..contenders.len()).collect::<Vec<_>>());
            }
        }
    }
}
