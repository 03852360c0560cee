//! Exact amounts as text and as JSON.

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use signalbox_pricing::{Money, MoneyError, as_number};

#[test]
fn amounts_are_written_exactly_and_without_trailing_zeros() {
    for (picos, text) in [
        (0, "0"),
        (1, "0.000000000001"),
        (123_000_000, "0.000123"),
        (1_000_000_000_000, "1"),
        (1_500_000_000_000, "1.5"),
        (120_000_000_000_000, "120"),
        (u128::MAX, "340282366920938463463374607.431768211455"),
    ] {
        assert_eq!(Money::from_picos(picos).to_string(), text);
        assert_eq!(text.parse(), Ok(Money::from_picos(picos)), "{text}");
    }
}

#[test]
fn amounts_are_read_exactly_or_not_at_all() {
    let picos = |text: &str| text.parse().map(Money::picos);
    for (text, expected) in [
        ("1e-12", 1),
        ("1.5E-7", 150_000),
        ("12e3", 12_000_000_000_000_000),
        ("1e+2", 100_000_000_000_000),
        ("0.1000000000000000", 100_000_000_000),
        ("0e400", 0),
        ("007", 7_000_000_000_000),
    ] {
        assert_eq!(picos(text), Ok(expected), "{text}");
    }
    for text in ["", ".", "1.", ".5", "-1", "+1", "1,5", "1 ", "$1", "1e", "e1", "1e1.5", "NaN", "inf", "0x1", "١"] {
        assert_eq!(picos(text), Err(MoneyError::NotADecimal), "{text}");
    }
    for text in ["1e-13", "0.0000000000001", "1.0000000000005"] {
        assert_eq!(picos(text), Err(MoneyError::TooFine), "{text}");
    }
    let huge = ["340282366920938463463374607.431768211456", "1e27", "1e401", "1e-9223372036854775808"];
    for text in huge.into_iter().chain(["1".repeat(400).as_str()]) {
        assert_eq!(picos(text), Err(MoneyError::TooLarge), "{text}");
    }
}

#[test]
fn reported_costs_are_rounded_half_up_to_pico_dollars() {
    for (text, picos) in [
        ("0.0000000000004", Some(0)),
        ("0.0000000000005", Some(1)),
        ("5e-13", Some(1)),
        ("4.99999e-13", Some(0)),
        ("5e-14", Some(0)),
        ("9.9999999999999999", Some(10_000_000_000_000)),
        (" 0.25 ", Some(250_000_000_000)),
        ("-0.25", None),
        ("null", None),
    ] {
        assert_eq!(Money::from_reported(text).map(Money::picos), picos, "{text}");
    }
}

#[test]
fn nano_dollars_are_rounded_half_up() {
    for (picos, nanos) in [(499, Some(0)), (500, Some(1)), (1_499, Some(1)), (1_500, Some(2))] {
        assert_eq!(Money::from_picos(picos).nanos(), nanos, "{picos}");
    }
    let max = Money::from_nanos(i64::MAX.unsigned_abs());
    assert_eq!(max.nanos(), Some(i64::MAX));
    assert_eq!(Money::from_nanos(u64::MAX).nanos(), None);
    assert_eq!(Money::from_picos(u128::MAX).nanos(), None);
}

#[test]
fn sums_and_differences_are_checked() {
    let (one, max) = (Money::from_picos(1), Money::from_picos(u128::MAX));
    assert_eq!(max.checked_add(one), None);
    assert_eq!(Money::ZERO.checked_sub(one), None);
    assert_eq!(one.checked_add(one).and_then(|two| two.checked_sub(one)), Some(one));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Amounts {
    text: Money,
    #[serde(with = "as_number")]
    number: Money,
}

#[test]
fn json_has_a_text_with_all_digits_or_a_number() {
    let amount = Money::from_picos(123_000_000);
    let json = serde_json::to_string(&Amounts { text: amount, number: amount }).unwrap();
    assert_eq!(json, r#"{"text":"0.000123","number":0.000123}"#);
    for json in [r#"{"text":0.000123,"number":"0.000123"}"#, r#"{"text":1.23e-4,"number":"123e-6"}"#, &json] {
        let read: Amounts = serde_json::from_str(json).unwrap();
        assert_eq!(read, Amounts { text: amount, number: amount }, "{json}");
    }
    assert_eq!(serde_json::from_str::<Money>("12").unwrap().to_string(), "12");
    assert_eq!(serde_json::from_str::<Money>("18446744073709551615").unwrap().to_string(), "18446744073709551615");
    for json in ["-1", "-0.5", "null", "true", "\"\"", "\"1 $\"", "1e-13", "1e300", "[]"] {
        assert!(serde_json::from_str::<Money>(json).is_err(), "{json}");
    }
}

proptest! {
    #[test]
    fn every_amount_survives_its_text(picos: u128) {
        let amount = Money::from_picos(picos);
        prop_assert_eq!(amount.to_string().parse(), Ok(amount));
        prop_assert_eq!(Money::from_reported(&amount.to_string()), Some(amount));
        let json = serde_json::to_string(&amount).unwrap();
        prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), amount);
    }

    #[test]
    fn a_number_is_exact_below_a_thousand_dollars(picos in 0_u128..1_000_000_000_000_000) {
        let amounts = Amounts { text: Money::ZERO, number: Money::from_picos(picos) };
        let json = serde_json::to_string(&amounts).unwrap();
        prop_assert_eq!(serde_json::from_str::<Amounts>(&json).unwrap(), amounts);
    }

    #[test]
    fn reading_never_panics(text in "[-+0-9.eE]{0,40}") {
        let exact = text.parse::<Money>();
        if let Ok(amount) = exact {
            prop_assert_eq!(Money::from_reported(&text), Some(amount));
        }
    }
}
