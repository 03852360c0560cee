//! Budgets in the settings.

use std::collections::BTreeMap;

use signalbox_core::schema::{BudgetPeriod, KeyBudget, Setting};
use signalbox_store::settings::{BUDGET_AMOUNT, BUDGET_OWNERS, BUDGET_PERIOD, BUDGET_UNPRICED};

/// Budgets that are not those of a key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Budgets {
    /// Budget of all requests together.
    pub global: Option<KeyBudget>,
    /// Budgets of all keys of an owner together.
    pub owners: BTreeMap<String, KeyBudget>,
    /// Whether a request whose price is unknown is refused where a budget applies.
    pub refuses_unpriced: bool,
}

// === impl Budgets ===

impl Budgets {
    /// Reads the settings. A value that cannot be read, which only another version of the program can have written, is
    /// ignored with a warning.
    #[must_use]
    pub fn read(rows: &[Setting]) -> Self {
        let value = |key: &str| rows.iter().find(|row| row.key == key).map(|row| &*row.value);
        let amount = value(BUDGET_AMOUNT).and_then(|text| {
            let amount = text.parse::<f64>().ok().filter(|amount| amount.is_finite() && *amount >= 0.0);
            if amount.is_none() {
                tracing::warn!(value = text, "setting {BUDGET_AMOUNT} is not an amount of dollars and is ignored");
            }
            amount.filter(|amount| *amount > 0.0)
        });
        let period = value(BUDGET_PERIOD).and_then(|text| {
            let period = serde_json::from_value(serde_json::Value::from(text)).ok();
            if period.is_none() {
                tracing::warn!(value = text, "setting {BUDGET_PERIOD} is not a period and is ignored");
            }
            period
        });
        let owners = value(BUDGET_OWNERS).map(serde_json::from_str).transpose().unwrap_or_else(|error| {
            tracing::warn!(%error, "setting {BUDGET_OWNERS} cannot be read and is ignored");
            None
        });
        Self {
            global: amount.map(|amount_usd| KeyBudget { amount_usd, period: period.unwrap_or(BudgetPeriod::Month) }),
            owners: owners.unwrap_or_default(),
            refuses_unpriced: value(BUDGET_UNPRICED) == Some("refuse"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rows: &[(&str, &str)]) -> Budgets {
        let row = |(key, value): &(&str, &str)| Setting { key: (*key).into(), value: (*value).into(), updated_at: 0 };
        Budgets::read(&rows.iter().map(row).collect::<Vec<_>>())
    }

    #[test]
    fn budgets_are_read_and_mistakes_ignored() {
        assert_eq!(read(&[]), Budgets::default());
        let day = |amount_usd| KeyBudget { amount_usd, period: BudgetPeriod::Day };
        let some = read(&[
            (BUDGET_AMOUNT, "12.5"),
            (BUDGET_PERIOD, "day"),
            (BUDGET_OWNERS, r#"{"ann":{"amount_usd":3,"period":"day"}}"#),
            (BUDGET_UNPRICED, "refuse"),
        ]);
        assert_eq!((some.global, some.refuses_unpriced), (Some(day(12.5)), true));
        assert_eq!(some.owners, BTreeMap::from([("ann".to_owned(), day(3.0))]));
        assert_eq!(read(&[(BUDGET_AMOUNT, "1")]).global.map(|budget| budget.period), Some(BudgetPeriod::Month));
        for (key, value) in [
            (BUDGET_AMOUNT, "much"),
            (BUDGET_AMOUNT, "-1"),
            (BUDGET_AMOUNT, "NaN"),
            (BUDGET_AMOUNT, "0"),
            (BUDGET_PERIOD, "year"),
            (BUDGET_OWNERS, "[]"),
            (BUDGET_UNPRICED, "perhaps"),
        ] {
            assert_eq!(read(&[(key, value)]), Budgets::default(), "{key} {value}");
        }
    }
}
