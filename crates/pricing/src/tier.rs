//! Service tiers.

use std::fmt;

/// The service tier of a request, which multiplies or replaces prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tier {
    /// The provider's normal service.
    #[default]
    Standard,
    /// Answered within a day, at a lower price.
    Batch,
    /// Answered when there is capacity, at a lower price.
    Flex,
    /// Answered before other requests, at a higher price.
    Priority,
    /// Answered with more tokens per second, at a higher price.
    Ultrafast,
    /// A tier that the price table does not know, so that the price is unknown.
    Other,
}

// === impl Tier ===

impl Tier {
    /// The tiers that a price can have besides the standard one.
    pub const PRICED: [Self; 4] = [Self::Batch, Self::Flex, Self::Priority, Self::Ultrafast];

    /// Reads the name that a provider gives to a tier, in `service_tier` or `trafficType`. Upper and lower case are the
    /// same. An empty name, `auto`, `default`, `standard`, `standard_only` and `on_demand` are [`Tier::Standard`]; an
    /// unknown name is [`Tier::Other`].
    #[must_use]
    pub fn read(name: &str) -> Self {
        const STANDARD: [&str; 6] = ["", "auto", "default", "standard", "standard_only", "on_demand"];
        if STANDARD.iter().any(|standard| name.eq_ignore_ascii_case(standard)) {
            return Self::Standard;
        }
        Self::PRICED.into_iter().find(|tier| name.eq_ignore_ascii_case(tier.key())).unwrap_or(Self::Other)
    }

    /// Returns the key of the tier in price documents.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Ultrafast => "ultrafast",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}
