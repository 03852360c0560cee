//! Reads the prices of a row.

use serde_json::{Map, Value};

use super::check::Check;
use crate::{Applies, Class, MoneyError, Rates, Schedule, Threshold, Tier, Unit, UnitPrices, decimal};

/// The least price that may be given as a number, except for 0. A smaller number is more likely meant in dollars.
const MIN_NUMBER: u64 = 1_000;

/// Maximum pico-dollars per token (one dollar), and per unit (ten thousand dollars).
const MAX_TOKEN_PICOS: u64 = 1_000_000_000_000;
const MAX_UNIT_PICOS: u64 = 10_000_000_000_000_000;

/// Maximum terms of a ratio.
const MAX_RATIO_TERM: u64 = 10_000;

/// How an amount is written in a document.
#[derive(Clone, Copy)]
struct Form {
    /// Decimal places of a text.
    places: u32,
    /// Unit of a number, and the pico-dollars that it has.
    number: (&'static str, u64),
    max: u64,
    what: &'static str,
}

const PER_TOKEN: Form = Form {
    places: 6,
    number: ("pico-dollars", 1),
    max: MAX_TOKEN_PICOS,
    what: "must be dollars per million tokens as text, such as \"2.5\", or pico-dollars per token as a whole number, such \
           as 2500000",
};
const PER_UNIT: Form = Form {
    places: 12,
    number: ("nano-dollars", 1_000),
    max: MAX_UNIT_PICOS,
    what: "must be dollars per unit as text, such as \"0.01\", or nano-dollars as a whole number, such as 10000000",
};

/// Reads an amount in pico-dollars.
fn amount(check: &mut Check, value: &Value, form: Form) -> Option<u64> {
    let picos = match value {
        Value::String(text) => match decimal::parse(text.trim(), form.places) {
            Ok(scaled) if scaled.is_exact => u64::try_from(scaled.value).unwrap_or(u64::MAX),
            Ok(_) => return check.mistake(format!("must not have more than {} decimal places", form.places)),
            Err(MoneyError::TooLarge) => u64::MAX,
            Err(_) => return check.mistake(form.what),
        },
        Value::Number(number) => match number.as_u64() {
            Some(number) if (1..MIN_NUMBER).contains(&number) => {
                return check.mistake(format!("is only {number} {}: it {}", form.number.0, form.what));
            }
            Some(number) => number.saturating_mul(form.number.1),
            None => return check.mistake(form.what),
        },
        _ => return check.mistake(form.what),
    };
    if picos > form.max {
        return check.mistake(format!("must be at most {} pico-dollars: it {}", form.max, form.what));
    }
    Some(picos)
}

/// Reads the prices of classes among the fields of an object.
fn given(fields: &Map<String, Value>, check: &mut Check) -> Rates {
    let mut rates = Rates::default();
    for class in Class::ALL {
        rates.set(class, check.field(fields, class.key(), |check, value| amount(check, value, PER_TOKEN)));
    }
    rates
}

/// Reads the ratio `x`, as a numerator and a denominator.
pub(super) fn ratio(check: &mut Check, value: &Value) -> Option<(u64, u64)> {
    let term = |term: &Value| term.as_u64().filter(|term| (1..=MAX_RATIO_TERM).contains(term));
    let ratio = match value.as_array().map(Vec::as_slice) {
        Some([numerator, denominator]) => term(numerator).zip(term(denominator)),
        _ => None,
    };
    ratio.or_else(|| check.mistake("must be a ratio of two whole numbers, such as [1, 2] for half the price"))
}

/// Combines the ratio and the prices of an object: prices that are given win over those that the ratio derives from
/// `base`.
fn derived(fields: &Map<String, Value>, base: &Rates, check: &mut Check) -> Rates {
    let own = given(fields, check);
    let is_empty = own == Rates::default();
    let mut rates = match check.field(fields, "x", ratio) {
        Some((numerator, denominator)) => base.scaled(numerator, denominator).unwrap_or_else(|| {
            check.mistake_at("x", "does not give whole pico-dollars: give the prices instead");
            Rates::default()
        }),
        None if fields.contains_key("x") || is_empty => return own,
        None => {
            let missing = |class: &Class| base.own(*class).is_some() && !fields.contains_key(class.key());
            for class in Class::ALL.into_iter().filter(missing) {
                check.mistake_at(class.key(), "is missing: without `x`, give each price that `base` has");
            }
            own
        }
    };
    for class in Class::ALL {
        if let Some(price) = own.own(class) {
            rates.set(class, Some(price));
        }
    }
    rates
}

/// Returns the known fields of an object of prices.
fn fields_with(others: &[&'static str]) -> Vec<&'static str> {
    Class::ALL.into_iter().map(Class::key).chain(others.iter().copied()).collect()
}

/// Reads `base`, `over` and `over_applies` of a row.
pub(super) fn standard(row: &Map<String, Value>, check: &mut Check) -> Schedule {
    let base = match row.get("base") {
        Some(base) => check.at("base", |check| {
            let base = check.object(base)?;
            check.known_fields(base, &fields_with(&[]));
            Some(given(base, check))
        }),
        None => {
            check.mistake_at("base", "is missing: give the prices, or `free = true` for a model that costs nothing");
            None
        }
    };
    let applies = check.field(row, "over_applies", |check, value| match value.as_str() {
        Some("request") => Some(Applies::Request),
        Some("excess") => Some(Applies::Excess),
        _ => {
            check.mistake("must be request, for all tokens of a long request, or excess, for those above the threshold")
        }
    });
    let (base, applies) = (base.unwrap_or_default(), applies.unwrap_or_default());
    let over = check.field(row, "over", |check, value| thresholds(check, value, &base, applies)).unwrap_or_default();
    Schedule { base, over, applies }
}

/// Reads the list `over`.
fn thresholds(check: &mut Check, value: &Value, base: &Rates, applies: Applies) -> Option<Vec<Threshold>> {
    let Some(items) = value.as_array() else { return check.mistake("must be a list of thresholds") };
    let mut over: Vec<Threshold> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let threshold = check.at(index, |check| {
            let fields = check.object(item)?;
            check.known_fields(fields, &fields_with(&["input_gt", "x"]));
            let rates = match applies {
                Applies::Request => derived(fields, base, check),
                Applies::Excess => excess(fields, base, check),
            };
            let input_above = match fields.get("input_gt") {
                Some(value) => check.at("input_gt", |check| check.tokens(value))?,
                None => {
                    check.mistake_at("input_gt", "is missing: the longest prompt below the threshold, in tokens");
                    return None;
                }
            };
            if over.last().is_some_and(|last| last.input_above >= input_above) {
                check.mistake_at("input_gt", "must be larger than that of the threshold before it");
            }
            Some(Threshold { input_above, rates })
        });
        over.extend(threshold);
    }
    Some(over)
}

/// Reads the prices above a threshold that applies to the excess: those of the answer are the same as below.
fn excess(fields: &Map<String, Value>, base: &Rates, check: &mut Check) -> Rates {
    let mut input = *base;
    let outputs = || Class::ALL.into_iter().filter(|class| !class.is_input());
    for class in outputs() {
        input.set(class, None);
        if fields.contains_key(class.key()) {
            check.mistake_at(class.key(), "must not be given: with `over_applies` excess, only the prompt counts");
        }
    }
    let mut rates = derived(fields, &input, check);
    outputs().for_each(|class| rates.set(class, base.own(class)));
    rates
}

/// Reads `tier` of a row.
pub(super) fn tiers(row: &Map<String, Value>, standard: &Schedule, check: &mut Check) -> Vec<(Tier, Schedule)> {
    let mut tiers = Vec::new();
    check.field(row, "tier", |check, value| {
        for (key, value) in check.object(value)? {
            let schedule = check.at(key, |check| {
                let known = Tier::PRICED.into_iter().find(|tier| tier.key() == key);
                if known.is_none() {
                    let names = Tier::PRICED.map(Tier::key).join(", ");
                    check.mistake::<()>(format!("is not a known service tier; they are {names}"));
                }
                Some((known?, tier(check, value, standard)?))
            });
            tiers.extend(schedule);
        }
        Some(())
    });
    tiers
}

/// Reads one service tier.
fn tier(check: &mut Check, value: &Value, standard: &Schedule) -> Option<Schedule> {
    let fields = check.object(value)?;
    check.known_fields(fields, &fields_with(&["x", "over"]));
    let has_prices = Class::ALL.iter().any(|class| fields.contains_key(class.key()));
    if !has_prices && !fields.contains_key("x") {
        return check.mistake("must have a ratio `x` or prices");
    }
    let base = derived(fields, &standard.base, check);
    let applies = standard.applies;
    if fields.contains_key("over") {
        let over = check.field(fields, "over", |check, value| thresholds(check, value, &base, applies))?;
        return Some(Schedule { base, over, applies });
    }
    if has_prices && !standard.over.is_empty() {
        return check.mistake("must have its own `over`, because it has prices and the row has thresholds");
    }
    let (numerator, denominator) =
        check.field(fields, "x", |_, value| ratio(&mut Check::default(), value)).unwrap_or((1, 1));
    let mut over = Vec::new();
    for threshold in &standard.over {
        match threshold.rates.scaled(numerator, denominator) {
            Some(rates) => over.push(Threshold { rates, ..*threshold }),
            None => return check.mistake("does not give whole pico-dollars above a threshold: give `over` instead"),
        }
    }
    Some(Schedule { base, over, applies })
}

/// Reads `units` of a row.
pub(super) fn units(check: &mut Check, value: &Value) -> Option<UnitPrices> {
    let mut units = UnitPrices::default();
    let fields = check.object(value)?;
    for (key, value) in fields {
        check.at(key, |check| {
            if key == "audio_second" {
                if fields.contains_key("audio_minute") {
                    check.mistake::<()>("must not be given beside `audio_minute`: remove one of them");
                }
                // The maximum is far below `u64::MAX / 60`.
                let picos = amount(check, value, PER_UNIT)?.checked_mul(60)?;
                units.set(Unit::AudioMinute, picos);
            } else if let Some(unit) = Unit::from_key(key) {
                units.set(unit, amount(check, value, PER_UNIT)?);
            } else {
                let names = Unit::ALL.map(Unit::key).join(", ");
                check.mistake::<()>(format!("is not a known unit; they are {names}, audio_second"));
            }
            Some(())
        });
    }
    Some(units)
}

/// Reads `ttl` of a row: the lifetimes of cache entries in minutes.
pub(super) fn lifetimes(check: &mut Check, value: &Value) -> Option<[Option<u32>; 2]> {
    let keys = [Class::CacheWriteShort.key(), Class::CacheWriteLong.key()];
    let fields = check.object(value)?;
    check.known_fields(fields, &keys);
    Some(keys.map(|key| check.field(fields, key, lifetime)))
}

/// Reads a lifetime such as `5m` or `1h` in minutes.
fn lifetime(check: &mut Check, value: &Value) -> Option<u32> {
    let minutes = value.as_str().and_then(|text| {
        let (number, minutes) = match text.strip_suffix('m') {
            Some(number) => (number, 1),
            None => (text.strip_suffix('h')?, 60),
        };
        let is_number = (1..=4).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        number.parse::<u32>().ok().filter(|number| is_number && *number > 0)?.checked_mul(minutes)
    });
    minutes.or_else(|| check.mistake("must be minutes or hours, such as 5m or 1h"))
}
