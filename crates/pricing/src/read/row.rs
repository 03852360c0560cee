//! Reads one row of a document.

use serde_json::{Map, Value};

use super::check::{Check, quoted};
use super::{digest, rates};
use crate::hours::{Hours, minute_of_day};
use crate::{Condition, MAX_NAME_BYTES, Multiplier, Price, Schedule, Tier, UnitPrices, date};

/// Fields of a row.
const FIELDS: [&str; 22] = [
    "id",
    "provider",
    "provider_id",
    "match",
    "from",
    "until",
    "hours_utc",
    "weekdays",
    "ctx",
    "max",
    "base",
    "over",
    "over_applies",
    "tier",
    "mult",
    "units",
    "ttl",
    "free",
    "cache_min",
    "unverified",
    "source",
    "note",
];

/// Fields that a free model does not have.
const NOT_FREE: [&str; 6] = ["base", "over", "over_applies", "tier", "mult", "units"];

/// A row without mistakes.
pub(super) struct Row {
    pub(super) price: Price,
    /// The providers to which it applies.
    pub(super) providers: Providers,
    /// Names and patterns of the model, in lower case, without repetitions.
    pub(super) names: Vec<Box<str>>,
}

/// The providers to which a row applies.
pub(super) enum Providers {
    /// All.
    Any,
    /// Those of some types.
    Types(Vec<Box<str>>),
    /// Single ones, by id.
    Ids(Vec<Box<str>>),
}

/// Reads a row; returns `None` if it has a mistake.
pub(super) fn read(value: &Value, check: &mut Check) -> Option<Row> {
    let before = check.count();
    let row = check.object(value)?;
    check.known_fields(row, &FIELDS);
    let id = match row.get("id") {
        Some(id) => check.at("id", |check| check.text(id)).unwrap_or_default(),
        None => {
            check.mistake_at("id", "is missing: name the row, such as openai/gpt-4.1");
            ""
        }
    };
    let providers = providers(row, id, check);
    let names = names(row, id, check);
    let (from, until) = validity(row, check);
    let hours = hours(row, check);
    let is_free = check.field(row, "free", Check::flag).unwrap_or_default();
    let (standard, tiers, multipliers, units) = if is_free {
        for key in NOT_FREE.into_iter().filter(|key| row.contains_key(*key)) {
            check.mistake_at(key, "must not be given for a free model: remove it, or remove `free`");
        }
        (Schedule::free(), Vec::new(), Vec::new(), UnitPrices::FREE)
    } else {
        let standard = rates::standard(row, check);
        let tiers = rates::tiers(row, &standard, check);
        let multipliers =
            check.field(row, "mult", |check, value| multipliers(check, value, &tiers)).unwrap_or_default();
        (standard, tiers, multipliers, check.field(row, "units", rates::units).unwrap_or_default())
    };
    let price = Price {
        id: id.into(),
        digest: digest(&[Some(value)]).into(),
        from,
        until,
        hours,
        standard,
        tiers,
        multipliers,
        units,
        cache_minutes: check.field(row, "ttl", rates::lifetimes).unwrap_or_default(),
        context_tokens: check.field(row, "ctx", Check::tokens),
        max_output_tokens: check.field(row, "max", Check::tokens),
        is_free,
        is_verified: !check.field(row, "unverified", Check::flag).unwrap_or_default(),
        row: value.clone(),
    };
    check.field(row, "cache_min", Check::tokens);
    for key in ["source", "note"] {
        check.field(row, key, Check::text);
    }
    (check.count() == before).then_some(Row { price, providers: providers?, names })
}

/// Reads the list `mult`: factors under conditions, each condition once.
fn multipliers(check: &mut Check, value: &Value, tiers: &[(Tier, Schedule)]) -> Option<Vec<Multiplier>> {
    let Some(items) = value.as_array() else { return check.mistake("must be a list of conditions and ratios") };
    let mut read: Vec<Multiplier> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let multiplier = check.at(index, |check| {
            let fields = check.object(item)?;
            check.known_fields(fields, &["when", "x"]);
            for key in ["when", "x"].into_iter().filter(|key| !fields.contains_key(*key)) {
                check
                    .mistake_at(key, "is missing: give `when`, such as region=eu, and the ratio `x`, such as [11, 10]");
            }
            let when = check.field(fields, "when", condition);
            let ratio = check.field(fields, "x", rates::ratio);
            let when = when?;
            if read.iter().any(|known| known.when == when) {
                check.mistake_at("when", "is the same condition as before: give each once");
            }
            if matches!(when, Condition::Tier(tier) if tiers.iter().any(|(known, _)| *known == tier)) {
                check.mistake_at("when", "is a service tier that `tier` has prices for: remove one of them");
            }
            Some(Multiplier { when, ratio: ratio? })
        });
        read.extend(multiplier);
    }
    Some(read)
}

/// Reads the condition of a factor.
fn condition(check: &mut Check, value: &Value) -> Option<Condition> {
    let text = check.text(value)?;
    let condition = match text.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
        Some(("region", name)) if !name.is_empty() => Some(Condition::Region(name.to_ascii_lowercase().into())),
        Some(("tier", name)) => Tier::PRICED.into_iter().find(|tier| tier.key() == name).map(Condition::Tier),
        _ => None,
    };
    let names = || Tier::PRICED.map(Tier::key).join(", ");
    condition.or_else(|| check.mistake(format!("must be region=NAME, or tier= with one of {}", names())))
}

/// Reads the providers to which a row applies; by default, those of the type before the first `/` of its id.
fn providers(row: &Map<String, Value>, id: &str, check: &mut Check) -> Option<Providers> {
    let boxed = |texts: Vec<&str>| {
        let mut texts: Vec<Box<str>> = texts.into_iter().map(|text| text.trim().into()).collect();
        texts.sort_unstable();
        texts.dedup();
        texts
    };
    if row.contains_key("provider_id") {
        if row.contains_key("provider") {
            check.mistake_at("provider", "must not be given beside `provider_id`: remove one of them");
        }
        return check.field(row, "provider_id", Check::texts).map(|ids| Providers::Ids(boxed(ids)));
    }
    if !row.contains_key("provider") {
        return match id.split_once('/') {
            Some((kind, _)) if !kind.is_empty() => Some(Providers::Types(boxed(vec![kind]))),
            _ if id.is_empty() => None,
            _ => {
                check.mistake_at(
                    "provider",
                    "is missing: give the provider type, or * for all providers, or begin `id` with the type and a slash",
                );
                None
            }
        };
    }
    let types = check.field(row, "provider", Check::texts)?;
    match &types[..] {
        ["*"] => Some(Providers::Any),
        types if types.iter().any(|kind| kind.contains(['*', '?'])) => {
            check.mistake_at("provider", "must be provider types without wildcards, or only * for all providers");
            None
        }
        _ => Some(Providers::Types(boxed(types))),
    }
}

/// Reads the names of the model; by default, the part of the id behind its first `/`.
fn names(row: &Map<String, Value>, id: &str, check: &mut Check) -> Vec<Box<str>> {
    let mut names: Vec<Box<str>> = Vec::new();
    let given = if row.contains_key("match") {
        check.field(row, "match", Check::texts).unwrap_or_default()
    } else {
        vec![id.split_once('/').map_or(id, |(_, model)| model)]
    };
    for name in given {
        let lower: Box<str> = name.to_ascii_lowercase().into();
        if name.len() > MAX_NAME_BYTES || name.contains(char::is_whitespace) {
            check.mistake_at("match", format!("must have names of 1 to {MAX_NAME_BYTES} bytes, without blanks"));
        } else if names.contains(&lower) {
            check.mistake_at("match", format!("contains `{}` twice; upper and lower case are the same", quoted(name)));
        } else {
            names.push(lower);
        }
    }
    names
}

/// Reads the time in which a row is valid: from the beginning of one day to that of another, in UTC.
fn validity(row: &Map<String, Value>, check: &mut Check) -> (i64, i64) {
    let day = |check: &mut Check, value: &Value| {
        let day = value.as_str().and_then(date::parse);
        day.or_else(|| check.mistake("must be a date such as 2026-11-29"))
    };
    let from = check.field(row, "from", day).unwrap_or(i64::MIN);
    let until = check.field(row, "until", day).unwrap_or(i64::MAX);
    if from >= until {
        check.mistake_at("until", "must be after `from`: it is the first day on which the price is not valid any more");
    }
    (from, until)
}

/// Reads the hours and days to which a row is limited, if it is.
fn hours(row: &Map<String, Value>, check: &mut Check) -> Option<Hours> {
    if !row.contains_key("hours_utc") && !row.contains_key("weekdays") {
        return None;
    }
    let range = check.field(row, "hours_utc", |check, value| {
        let minute = |value: &Value| value.as_str().and_then(minute_of_day);
        let range = match value.as_array().map(Vec::as_slice) {
            Some([from, until]) => minute(from).zip(minute(until)).filter(|(from, until)| from != until),
            _ => None,
        };
        range.or_else(|| check.mistake("must be two different times in UTC, such as [\"16:30\", \"00:30\"]"))
    });
    let days = check.field(row, "weekdays", |check, value| {
        let mut days = [false; 7];
        for day in check.texts(value)? {
            match Hours::DAYS.iter().position(|known| *known == day) {
                Some(index) => days[index] = true,
                None => check.mistake(format!("must be days, of {}", Hours::DAYS.join(", ")))?,
            }
        }
        Some(days)
    });
    let (from, until) = range.unwrap_or((0, 24 * 60));
    Some(Hours { days: days.unwrap_or([true; 7]), from, until })
}
