//! Everything that is charged besides tokens.

use crate::{Tier, Tokens};

/// Milliseconds of a minute.
const MINUTE_MS: u128 = 60_000;

/// Something that is charged besides tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// The request itself, charged once.
    Request,
    /// An image that was generated.
    Image,
    /// A minute of audio, charged by the millisecond.
    AudioMinute,
    /// A web search of the provider.
    WebSearch,
    /// A page of a document that was read.
    Page,
    /// A character of speech that was generated.
    Character,
}

/// Numbers of units. The request itself is not counted: it is always one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Images that were generated.
    pub images: u64,
    /// Milliseconds of audio.
    pub audio_ms: u64,
    /// Web searches of the provider.
    pub web_searches: u64,
    /// Pages of documents that were read.
    pub pages: u64,
    /// Characters of speech that were generated.
    pub characters: u64,
}

/// The consumption of a request, as far as the provider reports it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The tokens.
    pub tokens: Tokens,
    /// Everything else.
    pub units: Units,
    /// The service tier: of the answer if it names one, else of the request.
    pub tier: Tier,
}

/// Prices of units, in pico-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitPrices([Option<u64>; Unit::COUNT]);

// === impl Unit ===

impl Unit {
    /// Number of units.
    pub const COUNT: usize = 6;

    /// All units.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Request, Self::Image, Self::AudioMinute, Self::WebSearch, Self::Page, Self::Character];

    /// Returns the key of the unit in price documents. [`Unit::AudioMinute`] may also be given as `audio_second`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Image => "image",
            Self::AudioMinute => "audio_minute",
            Self::WebSearch => "web_search",
            Self::Page => "page",
            Self::Character => "character",
        }
    }

    /// Returns the unit of a key of price documents.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.key() == key)
    }

    /// Returns the name of the unit for people, in the plural: `web searches`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Request => "requests",
            Self::Image => "images",
            Self::AudioMinute => "minutes of audio",
            Self::WebSearch => "web searches",
            Self::Page => "pages",
            Self::Character => "characters",
        }
    }
}

// === impl Units ===

impl Units {
    /// Returns the number of units: milliseconds for [`Unit::AudioMinute`], and 1 for [`Unit::Request`].
    #[must_use]
    pub const fn get(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Request => 1,
            Unit::Image => self.images,
            Unit::AudioMinute => self.audio_ms,
            Unit::WebSearch => self.web_searches,
            Unit::Page => self.pages,
            Unit::Character => self.characters,
        }
    }
}

// === impl Usage ===

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        Self { tokens, ..Self::default() }
    }
}

// === impl UnitPrices ===

impl UnitPrices {
    /// Prices of a free model.
    pub(crate) const FREE: Self = Self([Some(0); Unit::COUNT]);

    /// Returns the pico-dollars per unit. A request without a price of its own costs nothing; any other unit without a
    /// price has an unknown price.
    #[must_use]
    pub const fn get(&self, unit: Unit) -> Option<u64> {
        match (self.0[unit as usize], unit) {
            (None, Unit::Request) => Some(0),
            (price, _) => price,
        }
    }

    pub(crate) const fn set(&mut self, unit: Unit, picos: u64) {
        self.0[unit as usize] = Some(picos);
    }

    /// Returns the pico-dollars of a number of units, or `None` if their price is unknown. Parts of a minute of audio
    /// are rounded half up to whole pico-dollars.
    pub(crate) fn charge(&self, unit: Unit, count: u64) -> Option<u128> {
        if count == 0 {
            return Some(0);
        }
        // The product of two `u64` is at most 2¹²⁸ − 2⁶⁵ + 1, so that half a minute can be added.
        let picos = u128::from(count) * u128::from(self.get(unit)?);
        Some(if unit == Unit::AudioMinute { (picos + MINUTE_MS / 2) / MINUTE_MS } else { picos })
    }
}
