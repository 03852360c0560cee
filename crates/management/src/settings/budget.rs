//! Rules for the settings of budgets.

use serde_json::Value;

/// Words for the period of a budget.
pub(super) const PERIODS: [&str; 4] = ["day", "week", "month", "total"];
/// Words for requests with an unknown price.
pub(super) const UNPRICED: [&str; 2] = ["allow", "refuse"];
/// Maximum amount of a budget in dollars.
pub(super) const MAX_AMOUNT: i64 = 1_000_000_000;
const MAX_DOLLARS: f64 = 1e9;
/// Maximum number of owners with a budget.
const MAX_OWNERS: usize = 1_000;

/// Reads an amount of dollars, which may be given as text; 0 stands for no budget.
pub(super) fn amount(value: &Value) -> Result<String, String> {
    let amount = match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    match amount {
        Some(amount) if (0.0..=MAX_DOLLARS).contains(&amount) => Ok(amount.to_string()),
        _ => Err(format!("budget.amount_usd must be a number of dollars from 0 (no budget) to {MAX_AMOUNT}")),
    }
}

pub(super) fn period(value: &Value) -> Result<String, String> {
    word("budget.period", value, &PERIODS)
}

/// Reads whether requests with an unknown price are allowed.
pub(super) fn unpriced(value: &Value) -> Result<String, String> {
    word("budget.unpriced", value, &UNPRICED)
}

fn word(key: &str, value: &Value, words: &[&str]) -> Result<String, String> {
    let word = value.as_str().filter(|word| words.contains(word));
    word.map(str::to_owned).ok_or_else(|| format!("{key} must be one of: {}", words.join(", ")))
}

/// Reads the budgets of owners: an object, or its JSON as text. Reports every mistake.
pub(super) fn owners(value: &Value) -> Result<String, String> {
    let parsed = value.as_str().and_then(|text| serde_json::from_str(text).ok());
    let Some(owners) = parsed.as_ref().unwrap_or(value).as_object() else {
        return Err(
            "budget.owners must be an object: {\"<owner>\": {\"amount_usd\": 10, \"period\": \"month\"}}".to_owned()
        );
    };
    let mut mistakes = Vec::new();
    if owners.len() > MAX_OWNERS {
        mistakes.push(format!("budget.owners must have at most {MAX_OWNERS} owners"));
    }
    for (owner, budget) in owners {
        let mut mistake = |what: String| mistakes.push(format!("budget.owners[{owner:?}] {what}"));
        let Some(budget) = budget.as_object() else {
            mistake("must be an object with amount_usd and period".to_owned());
            continue;
        };
        if !budget.get("amount_usd").and_then(Value::as_f64).is_some_and(|amount| amount > 0.0 && amount <= MAX_DOLLARS)
        {
            mistake(format!("needs amount_usd, more than 0 and at most {MAX_AMOUNT}"));
        }
        if !budget.get("period").and_then(Value::as_str).is_some_and(|period| PERIODS.contains(&period)) {
            mistake(format!("needs period, one of: {}", PERIODS.join(", ")));
        }
        for unknown in budget.keys().filter(|key| !["amount_usd", "period"].contains(&key.as_str())) {
            mistake(format!("has the unknown field {unknown:?}"));
        }
    }
    if mistakes.is_empty() { Ok(Value::from(owners.clone()).to_string()) } else { Err(mistakes.join("; ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_dollars() {
        for (value, text) in [(json!(12.5), "12.5"), (json!("3"), "3"), (json!(0), "0")] {
            assert_eq!(amount(&value).unwrap(), text);
        }
        for value in [json!(-1), json!("much"), json!(null), json!(1e10), json!("NaN"), json!([1])] {
            assert!(amount(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn words_are_checked() {
        assert_eq!(period(&json!("week")).unwrap(), "week");
        assert_eq!(period(&json!("year")).unwrap_err(), "budget.period must be one of: day, week, month, total");
        assert_eq!(unpriced(&json!(true)).unwrap_err(), "budget.unpriced must be one of: allow, refuse");
    }

    #[test]
    fn every_mistake_in_the_budgets_of_owners_is_reported() {
        let text = r#"{"ann":{"amount_usd":3,"period":"day"}}"#;
        assert_eq!(owners(&json!(text)).unwrap(), text);
        assert_eq!(owners(&serde_json::from_str(text).unwrap()).unwrap(), text);
        let wrong = owners(&json!({"ann": {"amount_usd": 0, "period": "year", "x": 1}, "bob": 3})).unwrap_err();
        for part in
            ["\"ann\"] needs amount_usd", "\"ann\"] needs period", "unknown field \"x\"", "\"bob\"] must be an object"]
        {
            assert!(wrong.contains(part), "{part} in {wrong}");
        }
        assert!(owners(&json!([])).is_err() && owners(&json!("nonsense")).is_err());
    }
}
