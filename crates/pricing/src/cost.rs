//! The costs of requests.

use std::fmt;

use crate::{Class, Money, Price, Tier, Unit, Usage};

/// The amounts of one request, by class and by unit. The items sum to the total exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    tokens: [Money; Class::COUNT],
    units: [Money; Unit::COUNT],
    total: Money,
}

/// The cost of a request, with its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one per request, and boxing it would cost an allocation")]
pub enum Priced {
    /// The provider reported the cost, which wins over any computed one.
    Reported(Money),
    /// The cost was computed from the usage and the price table.
    Computed(Cost),
    /// The cost is unknown. It must not be shown or summed as zero.
    Unknown {
        /// The reason.
        missing: Missing,
    },
}

/// The reason why a cost is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The provider did not report the usage.
    #[error("the provider reported no usage")]
    Usage,
    /// The table has no price for the model at that time.
    #[error("the price table has no price for this model")]
    Price,
    /// The price does not include the service tier.
    #[error("the price of the service tier `{0}` is unknown")]
    Tier(Tier),
    /// The price does not include some classes or units that the request used.
    #[error("the price of {0} is unknown")]
    Parts(Parts),
    /// The amount cannot be represented.
    #[error("the amount is too large")]
    Amount,
}

/// A set of classes and units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    classes: [bool; Class::COUNT],
    units: [bool; Unit::COUNT],
}

// === impl Cost ===

impl Cost {
    /// Sums the items, in pico-dollars. Returns `None` if the total cannot be represented.
    pub(crate) fn new(tokens: [u128; Class::COUNT], units: [u128; Unit::COUNT]) -> Option<Self> {
        let total = tokens.iter().chain(&units).try_fold(0_u128, |total, item| total.checked_add(*item))?;
        Some(Self {
            tokens: tokens.map(Money::from_picos),
            units: units.map(Money::from_picos),
            total: Money::from_picos(total),
        })
    }

    /// Returns the sum of all items.
    #[must_use]
    pub const fn total(&self) -> Money {
        self.total
    }

    /// Returns the amount of a class of tokens.
    #[must_use]
    pub const fn of(&self, class: Class) -> Money {
        self.tokens[class as usize]
    }

    /// Returns the amount of a unit.
    #[must_use]
    pub const fn of_unit(&self, unit: Unit) -> Money {
        self.units[unit as usize]
    }

    /// Returns the items that are not zero, each with the key of its class or unit in price documents.
    pub fn items(&self) -> impl Iterator<Item = (&'static str, Money)> {
        let tokens = Class::ALL.into_iter().map(Class::key).zip(self.tokens);
        let units = Unit::ALL.into_iter().map(Unit::key).zip(self.units);
        tokens.chain(units).filter(|(_, amount)| *amount != Money::ZERO)
    }

    /// Adds another cost item by item, such as that of another attempt. Returns `None` if the total cannot be
    /// represented.
    #[must_use]
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        let mut sum = Self { total: self.total.checked_add(other.total)?, ..*self };
        for (item, other) in sum.tokens.iter_mut().zip(other.tokens).chain(sum.units.iter_mut().zip(other.units)) {
            *item = item.checked_add(other)?;
        }
        Some(sum)
    }
}

// === impl Priced ===

impl Priced {
    /// Returns the cost of a request: as `reported` by the provider, else computed from its usage and price. A free
    /// model or a subscription has a price of zero, not none.
    #[must_use]
    pub fn new(reported: Option<Money>, usage: Option<&Usage>, price: Option<&Price>) -> Self {
        Self::new_in(None, reported, usage, price)
    }

    /// Returns the cost of a request as [`Self::new`] does, in a region if one is known.
    #[must_use]
    pub fn new_in(region: Option<&str>, reported: Option<Money>, usage: Option<&Usage>, price: Option<&Price>) -> Self {
        if let Some(reported) = reported {
            return Self::Reported(reported);
        }
        let missing = match (price, usage) {
            (Some(price), Some(usage)) => match price.cost_in(region, usage) {
                Ok(cost) => return Self::Computed(cost),
                Err(missing) => missing,
            },
            // A free model is free, whatever the usage was.
            (Some(price), None) if price.is_free() => return Self::Computed(Cost::default()),
            (Some(_), None) => Missing::Usage,
            (None, _) => Missing::Price,
        };
        Self::Unknown { missing }
    }

    /// Returns where the cost comes from, as a word for rows and answers: `reported`, `computed` or `unknown`.
    #[must_use]
    pub const fn origin(&self) -> &'static str {
        match self {
            Self::Reported(_) => "reported",
            Self::Computed(_) => "computed",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// Returns the amount, or `None` if it is unknown.
    #[must_use]
    pub const fn amount(&self) -> Option<Money> {
        match self {
            Self::Reported(amount) => Some(*amount),
            Self::Computed(cost) => Some(cost.total()),
            Self::Unknown { .. } => None,
        }
    }
}

// === impl Missing ===

impl Missing {
    /// Returns the reason as a word for rows and metrics: `usage`, `price`, `tier`, `parts` or `amount`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Price => "price",
            Self::Tier(_) => "tier",
            Self::Parts(_) => "parts",
            Self::Amount => "amount",
        }
    }
}

// === impl Parts ===

impl Parts {
    /// Returns whether the set contains a class.
    #[must_use]
    pub const fn has(&self, class: Class) -> bool {
        self.classes[class as usize]
    }

    /// Returns whether the set contains a unit.
    #[must_use]
    pub const fn has_unit(&self, unit: Unit) -> bool {
        self.units[unit as usize]
    }

    /// Returns whether the set contains nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) const fn insert(&mut self, class: Class) {
        self.classes[class as usize] = true;
    }

    pub(crate) const fn insert_unit(&mut self, unit: Unit) {
        self.units[unit as usize] = true;
    }
}

impl fmt::Display for Parts {
    /// Writes the names, separated by commas: `audio input tokens, images`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes = Class::ALL.into_iter().filter(|class| self.has(*class)).map(Class::label);
        let units = Unit::ALL.into_iter().filter(|unit| self.has_unit(*unit)).map(Unit::label);
        for (index, label) in classes.chain(units).enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            f.write_str(label)?;
        }
        Ok(())
    }
}
