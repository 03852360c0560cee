//! The price of one model.

use serde_json::Value;

use crate::hours::Hours;
use crate::{Class, Condition, Cost, Missing, Multiplier, Parts, Schedule, Tier, Unit, UnitPrices, Usage};

/// The price of a model: a row of the price table.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    pub(crate) id: Box<str>,
    pub(crate) digest: Box<str>,
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) hours: Option<Hours>,
    pub(crate) standard: Schedule,
    pub(crate) tiers: Vec<(Tier, Schedule)>,
    pub(crate) multipliers: Vec<Multiplier>,
    pub(crate) units: UnitPrices,
    pub(crate) cache_minutes: [Option<u32>; 2],
    pub(crate) context_tokens: Option<u64>,
    pub(crate) max_output_tokens: Option<u64>,
    pub(crate) is_free: bool,
    pub(crate) is_verified: bool,
    pub(crate) row: Value,
}

/// The limits of a request that are known before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Maximum tokens of the prompt.
    pub input: u64,
    /// Maximum tokens of the answer, including reasoning.
    pub max_output: u64,
    /// Whether the prompt or the answer may contain audio or images, whose tokens may cost more.
    pub has_media: bool,
    /// The service tier that the request asks for.
    pub tier: Tier,
}

/// The classes that a prompt and an answer may have; plain text comes first and media last.
const INPUT: [Class; 6] = [
    Class::Input,
    Class::CacheRead,
    Class::CacheWriteShort,
    Class::CacheWriteLong,
    Class::InputAudio,
    Class::InputImage,
];
const OUTPUT: [Class; 4] = [Class::Output, Class::Reasoning, Class::OutputAudio, Class::OutputImage];
const TEXT_INPUTS: usize = 4;
const TEXT_OUTPUTS: usize = 2;

// === impl Price ===

impl Price {
    /// Creates a placeholder for a row with mistakes, which is valid at no time.
    pub(crate) fn unusable() -> Self {
        Self {
            id: Box::default(),
            digest: Box::default(),
            from: 0,
            until: 0,
            hours: None,
            standard: Schedule::default(),
            tiers: Vec::new(),
            multipliers: Vec::new(),
            units: UnitPrices::default(),
            cache_minutes: [None; 2],
            context_tokens: None,
            max_output_tokens: None,
            is_free: false,
            is_verified: false,
            row: Value::Null,
        }
    }

    /// Returns the id of the row: `anthropic/claude-haiku-4-5`. Rows with other dates may have the same id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns a digest of the row, 12 hexadecimal digits. It changes with every field, so that two costs with the same
    /// digest were computed from the same price.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns the row as it is in its document, for display and export.
    #[must_use]
    pub const fn row(&self) -> &Value {
        &self.row
    }

    /// Returns the prices of a service tier before [`Self::multipliers`], or `None` if they are unknown.
    #[must_use]
    pub fn schedule(&self, tier: Tier) -> Option<&Schedule> {
        if tier == Tier::Standard || self.is_free {
            return Some(&self.standard);
        }
        let own = self.tiers.iter().find(|(known, _)| *known == tier).map(|(_, schedule)| schedule);
        let is_multiplied = || self.multipliers.iter().any(|multiplier| multiplier.when == Condition::Tier(tier));
        own.or_else(|| is_multiplied().then_some(&self.standard))
    }

    /// Returns the factors of the prices of tokens. All that apply are multiplied.
    #[must_use]
    pub fn multipliers(&self) -> &[Multiplier] {
        &self.multipliers
    }

    /// Returns the prices of units, which are the same in every service tier.
    #[must_use]
    pub const fn units(&self) -> &UnitPrices {
        &self.units
    }

    /// Returns the lifetime of a written cache entry in minutes, for the two classes of cache writes.
    #[must_use]
    pub const fn cache_minutes(&self, class: Class) -> Option<u32> {
        match class {
            Class::CacheWriteShort => self.cache_minutes[0],
            Class::CacheWriteLong => self.cache_minutes[1],
            _ => None,
        }
    }

    /// Returns the maximum tokens of prompt and answer together, if known.
    #[must_use]
    pub const fn context_tokens(&self) -> Option<u64> {
        self.context_tokens
    }

    /// Returns the maximum tokens of an answer, if known.
    #[must_use]
    pub const fn max_output_tokens(&self) -> Option<u64> {
        self.max_output_tokens
    }

    /// Returns whether the model costs nothing, whatever it is used for.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.is_free
    }

    /// Returns whether the row is not marked as `unverified`, that is, not yet compared with the vendor's own price page.
    #[must_use]
    pub const fn is_verified(&self) -> bool {
        self.is_verified
    }

    /// Returns whether the price is valid at a Unix time in milliseconds.
    #[must_use]
    pub fn is_valid_at(&self, at: i64) -> bool {
        self.from <= at && at < self.until && self.hours.is_none_or(|hours| hours.contain(at))
    }

    /// Returns whether this price and another one with the same names exclude each other: both are valid at some time,
    /// and neither is more precise. A price for hours of the day wins over one for the whole day.
    pub(crate) fn collides_with(&self, other: &Self) -> bool {
        let same_hours = match (self.hours, other.hours) {
            (None, None) => true,
            (Some(mine), Some(theirs)) => mine.overlap(&theirs),
            _ => false,
        };
        same_hours && self.from < other.until && other.from < self.until
    }

    /// Computes the cost of a request that is served in no region in particular.
    ///
    /// # Errors
    /// Returns everything that was used and has no price, or that the amount cannot be represented.
    pub fn cost(&self, usage: &Usage) -> Result<Cost, Missing> {
        self.cost_in(None, usage)
    }

    /// Computes the cost of a request that is served in a region, if one is known.
    ///
    /// # Errors
    /// Returns everything that was used and has no price, or that the amount cannot be represented.
    pub fn cost_in(&self, region: Option<&str>, usage: &Usage) -> Result<Cost, Missing> {
        let schedule = self.schedule(usage.tier).ok_or(Missing::Tier(usage.tier))?;
        let mut missing = Parts::default();
        let mut tokens = schedule.charge(&usage.tokens, &mut missing)?;
        for multiplier in self.multipliers.iter().filter(|multiplier| multiplier.applies(usage.tier, region)) {
            multiplier.scale(&mut tokens)?;
        }
        let units = Unit::ALL.map(|unit| {
            self.units.charge(unit, usage.units.get(unit)).unwrap_or_else(|| {
                missing.insert_unit(unit);
                0
            })
        });
        if missing.is_empty() { Cost::new(tokens, units).ok_or(Missing::Amount) } else { Err(Missing::Parts(missing)) }
    }

    /// Computes an upper bound of the cost of a request, to reserve it in a budget before the request is sent.
    ///
    /// The bound holds for every split of at most [`Expected::input`] and [`Expected::max_output`] tokens into classes
    /// whose price is known, at every threshold that the prompt can reach, in every region. Of the units it includes only the request
    /// itself: web searches and the like are not known in advance.
    ///
    /// # Errors
    /// Returns what has no price, or that the amount cannot be represented.
    pub fn estimate(&self, expected: &Expected) -> Result<Cost, Missing> {
        let schedule = self.schedule(expected.tier).ok_or(Missing::Tier(expected.tier))?;
        let (inputs, outputs) = if expected.has_media {
            (&INPUT[..], &OUTPUT[..])
        } else {
            (&INPUT[..TEXT_INPUTS], &OUTPUT[..TEXT_OUTPUTS])
        };
        let mut tokens = schedule.bound([(expected.input, inputs), (expected.max_output, outputs)], expected.input)?;
        for multiplier in &self.multipliers {
            // Those of regions exclude each other, but a bound may be higher than necessary.
            let may_apply = match multiplier.when {
                Condition::Region(_) => multiplier.raises(),
                Condition::Tier(tier) => tier == expected.tier,
            };
            if may_apply {
                multiplier.scale(&mut tokens)?;
            }
        }
        let mut units = [0; Unit::COUNT];
        units[Unit::Request as usize] = self.units.charge(Unit::Request, 1).unwrap_or_default();
        Cost::new(tokens, units).ok_or(Missing::Amount)
    }
}
