//! Properties of the arithmetic.

use proptest::array::uniform10;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use signalbox_pricing::{Applies, Class, Cost, Expected, Missing, Price, Priced, Tier, Tokens, Units, Usage};

use super::golden::items;
use super::{NOW, price, shipped};

fn tokens(counts: [u64; Class::COUNT]) -> Tokens {
    let mut tokens = Tokens::default();
    for (class, count) in Class::ALL.into_iter().zip(counts) {
        tokens.set(class, count);
    }
    tokens
}

fn rates(picos: [u64; Class::COUNT]) -> Map<String, Value> {
    Class::ALL.into_iter().zip(picos).map(|(class, picos)| (class.key().to_owned(), picos.into())).collect()
}

/// A price whose thresholds only raise it.
fn any_price() -> impl Strategy<Value = Price> {
    let picos = || uniform10(1_000_u64..1_000_000_000);
    (picos(), 0_u64..2_000, 1_u64..2_000, 1_u64..5, any::<bool>()).prop_map(|(base, first, step, factor, is_excess)| {
        let over = |n: u64, factor: u64| {
            let ratio = json!([factor, 1]);
            json!({"input_gt": n, "x": ratio})
        };
        price(&json!({
            "id": "t/m",
            "base": rates(base),
            "over_applies": if is_excess { "excess" } else { "request" },
            "over": [over(first, factor), over(first + step, factor + 1)],
            "tier": {"priority": {"x": [2, 1]}, "batch": {"x": [1, 1]}},
        }))
    })
}

/// Computes a cost token by token, as the documentation says.
fn naive(price: &Price, tokens: &Tokens) -> u128 {
    let schedule = price.schedule(Tier::Standard).unwrap();
    let is_excess = schedule.applies() == Applies::Excess;
    let rates_at = |length: u128| {
        let over = schedule.thresholds().iter().rev().find(|threshold| length > u128::from(threshold.input_above));
        over.map_or_else(|| schedule.base(), |threshold| &threshold.rates)
    };
    let order = [
        Class::CacheRead,
        Class::CacheWriteLong,
        Class::CacheWriteShort,
        Class::Input,
        Class::InputImage,
        Class::InputAudio,
        Class::Output,
        Class::Reasoning,
        Class::OutputAudio,
        Class::OutputImage,
    ];
    let (mut position, mut total) = (0, 0);
    for class in order {
        for _ in 0..tokens.get(class) {
            position += u128::from(class.is_input());
            let rates = match (is_excess, class.is_input()) {
                (false, _) => rates_at(tokens.prompt()),
                (true, true) => rates_at(position),
                (true, false) => schedule.base(),
            };
            total += u128::from(rates.get(class).unwrap());
        }
    }
    total
}

proptest! {
    #[test]
    fn classes_sum_to_the_total(price in any_price(), counts: [u64; 10]) {
        let cost = price.cost(&tokens(counts).into()).unwrap();
        prop_assert_eq!(items(&cost), cost.total().picos());
        prop_assert!(tokens(counts).total() == counts.iter().map(|count| u128::from(*count)).sum::<u128>());
    }

    #[test]
    fn a_cost_is_the_sum_of_its_tokens(price in any_price(), counts in uniform10(0_u64..1_000)) {
        let tokens = tokens(counts);
        prop_assert_eq!(price.cost(&tokens.into()).unwrap().total().picos(), naive(&price, &tokens));
    }

    #[test]
    fn more_tokens_never_cost_less(
        price in any_price(),
        counts in uniform10(0_u64..2_000),
        class in 0..Class::COUNT,
        more in 1_u64..3_000,
    ) {
        let mut larger = counts;
        larger[class] += more;
        let total = |counts| price.cost(&tokens(counts).into()).unwrap().total();
        prop_assert!(total(counts) < total(larger));
    }

    #[test]
    fn a_tier_multiplies_every_item(price in any_price(), counts: [u64; 10]) {
        let cost = |tier| price.cost(&Usage { tier, ..tokens(counts).into() }).unwrap();
        let standard = cost(Tier::Standard);
        prop_assert_eq!(standard.checked_add(&standard).unwrap(), cost(Tier::Priority));
        prop_assert_eq!(standard, cost(Tier::Batch));
        prop_assert_eq!(standard, standard.checked_add(&Cost::default()).unwrap());
    }

    #[test]
    fn shipped_prices_never_overflow_and_never_fall(counts: [u32; 10], class in 0..Class::COUNT) {
        let table = shipped();
        for price in table.layers().flat_map(|layer| layer.prices()) {
            let mut counts = counts.map(u64::from);
            let before = price.cost(&tokens(counts).into());
            counts[class] += 1;
            let after = price.cost(&tokens(counts).into());
            if let (Ok(before), Ok(after)) = (before, after) {
                prop_assert!(before.total() <= after.total(), "{}", price.id());
            } else {
                prop_assert!(matches!(after, Err(Missing::Parts(_))), "{}", price.id());
            }
        }
    }
}

#[test]
fn thresholds_begin_above_their_number() {
    let row = |applies: &str| {
        price(&json!({
            "id": "t/m",
            "base": {"in": 1_000, "out": 10_000},
            "over_applies": applies,
            "over": if applies == "request" {
                json!([{"input_gt": 100, "in": 2_000, "out": 20_000}, {"input_gt": 200, "in": 3_000, "out": 30_000}])
            } else {
                json!([{"input_gt": 100, "in": 2_000}, {"input_gt": 200, "in": 3_000}])
            },
        }))
    };
    let (request, excess) = (row("request"), row("excess"));
    for (input, of_request, of_excess) in [
        (0, 10_000, 10_000),
        (99, 109_000, 109_000),
        (100, 110_000, 110_000),
        (101, 222_000, 112_000),
        (199, 418_000, 308_000),
        (200, 420_000, 310_000),
        (201, 633_000, 313_000),
    ] {
        let usage = Usage::from(Tokens { input, output: 1, ..Tokens::default() });
        assert_eq!(request.cost(&usage).unwrap().total().picos(), of_request, "{input}");
        assert_eq!(excess.cost(&usage).unwrap().total().picos(), of_excess, "{input}");
    }
}

#[test]
fn the_prefix_of_a_prompt_is_below_the_threshold() {
    let price = price(&json!({
        "id": "t/m",
        "base": {"in": 10_000, "cr": 1_000, "out": 1_000},
        "over_applies": "excess",
        "over": [{"input_gt": 100, "x": [2, 1]}],
    }));
    let cost = |cache_read, input| {
        let cost = price.cost(&Tokens { cache_read, input, ..Tokens::default() }.into()).unwrap();
        (cost.of(Class::CacheRead).picos(), cost.of(Class::Input).picos())
    };
    assert_eq!(cost(100, 5), (100_000, 100_000));
    assert_eq!(cost(90, 20), (90_000, 300_000));
    assert_eq!(cost(110, 1), (120_000, 20_000));
    assert_eq!(cost(0, u64::MAX), (0, (u128::from(u64::MAX) * 2 - 100) * 10_000));
}

#[test]
fn no_number_of_tokens_wraps() {
    let dearest = price(&json!({"id": "t/m", "base": rates([1_000_000_000_000; 10])}));
    let most = tokens([u64::MAX; 10]);
    assert_eq!(most.total(), u128::from(u64::MAX) * 10);
    let cost = dearest.cost(&most.into()).unwrap();
    assert_eq!(cost.total().picos(), u128::from(u64::MAX) * 10_000_000_000_000);
    assert_eq!(cost.total().nanos(), None, "an amount that a column cannot hold is an error, not another amount");
    // Ratios can make a price larger than any that may be written.
    let ratio = price(&json!({
        "id": "t/m", "base": rates([1_000_000_000_000; 10]), "tier": {"priority": {"x": [10_000, 1]}},
    }));
    let usage = Usage { tier: Tier::Priority, ..most.into() };
    let cost = ratio.cost(&usage).unwrap();
    assert_eq!(cost.total().picos(), u128::from(u64::MAX) * 100_000_000_000_000_000);
    let mut sum = cost;
    let overflow = (0..200).any(|_| match sum.checked_add(&sum) {
        Some(twice) => {
            assert!(twice.total() > sum.total());
            sum = twice;
            false
        }
        None => true,
    });
    assert!(overflow, "a sum that cannot be represented is none");
}

#[test]
fn an_amount_that_cannot_be_represented_is_an_error() {
    // No vendor has such prices, but two ratios on top of the highest price are accepted.
    let price = price(&json!({
        "id": "t/m",
        "base": rates([1_000_000_000_000; 10]),
        "over": [{"input_gt": 100, "x": [10_000, 1]}],
        "tier": {"priority": {"x": [1_000, 1]}},
        "units": {"image": "10000", "audio_second": "10000", "request": "10000"},
    }));
    let most = |count| Usage {
        tokens: tokens([count; 10]),
        units: Units { images: count, audio_ms: count, ..Units::default() },
        tier: Tier::Priority,
    };
    assert_eq!(price.cost(&most(u64::MAX)), Err(Missing::Amount));
    let cost = price.cost(&most(u64::MAX / 10)).unwrap();
    assert_eq!(items(&cost), cost.total().picos());
    let usage = most(u64::MAX);
    assert_eq!(Priced::new(None, Some(&usage), Some(&price)), Priced::Unknown { missing: Missing::Amount });
    let expected = Expected { input: u64::MAX, max_output: u64::MAX, has_media: true, tier: Tier::Priority };
    assert_eq!(price.estimate(&expected), Err(Missing::Amount));
}

#[test]
fn reasoning_without_a_price_costs_as_output_and_nothing_else_is_derived() {
    let table = shipped();
    let price = table.find("openai", "", "gpt-4.1", NOW).unwrap();
    let rates = price.schedule(Tier::Standard).unwrap().base();
    assert_eq!(rates.get(Class::Reasoning), rates.get(Class::Output));
    for class in
        [Class::CacheWriteShort, Class::CacheWriteLong, Class::InputAudio, Class::InputImage, Class::OutputAudio]
    {
        assert_eq!(rates.get(class), None, "{}", class.label());
    }
}
