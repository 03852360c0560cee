//! Factors of the prices of tokens that depend on where or how a request is served.

use crate::rates::Amounts;
use crate::{Missing, Tier};

/// Factor of the prices of tokens under a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multiplier {
    /// Requests to which it applies.
    pub when: Condition,
    /// Numerator and denominator; neither is 0.
    pub ratio: (u64, u64),
}

/// Requests to which a [`Multiplier`] applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Those that are served in a region of this name, in lower case.
    Region(Box<str>),
    /// Those of a service tier.
    Tier(Tier),
}

// === impl Multiplier ===

impl Multiplier {
    /// Returns whether it applies to a request.
    pub(crate) fn applies(&self, tier: Tier, region: Option<&str>) -> bool {
        match &self.when {
            Condition::Region(name) => region.is_some_and(|region| region.eq_ignore_ascii_case(name)),
            Condition::Tier(known) => *known == tier,
        }
    }

    /// Returns whether it raises prices.
    pub(crate) const fn raises(&self) -> bool {
        self.ratio.0 > self.ratio.1
    }

    /// Multiplies amounts, each rounded half up to whole pico-dollars.
    ///
    /// # Errors
    /// Returns an error if an amount cannot be represented.
    pub(crate) fn scale(&self, amounts: &mut Amounts) -> Result<(), Missing> {
        let (numerator, denominator) = (u128::from(self.ratio.0), u128::from(self.ratio.1));
        for amount in amounts {
            let product = amount.checked_mul(numerator).and_then(|product| product.checked_add(denominator / 2));
            *amount = product.and_then(|product| product.checked_div(denominator)).ok_or(Missing::Amount)?;
        }
        Ok(())
    }
}
