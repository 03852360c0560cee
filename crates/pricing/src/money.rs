//! Exact amounts of dollars.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::decimal;

/// Decimal places of a dollar that are kept.
const PLACES: u32 = 12;

/// Pico-dollars of a dollar and of a nano-dollar.
const DOLLAR: u128 = 10_u128.pow(PLACES);
const NANO: u128 = 1_000;

/// An exact, non-negative amount of dollars, in whole pico-dollars.
///
/// Written and read as a decimal number of dollars without trailing zeros: `0.000123`, `12`. Serialised as such a text,
/// which keeps all digits; [`as_number`] serialises a JSON number. Deserialised from either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(u128);

/// Why a text is not an amount of dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The text is not a decimal number, or it is negative.
    #[error("must be a decimal number that is not negative, such as 0.000123")]
    NotADecimal,
    /// The number has digits below one pico-dollar.
    #[error("must not have more than 12 decimal places")]
    TooFine,
    /// The number cannot be represented.
    #[error("is too large")]
    TooLarge,
}

// === impl Money ===

impl Money {
    /// No dollars.
    pub const ZERO: Self = Self(0);

    /// Creates an amount of pico-dollars.
    #[must_use]
    pub const fn from_picos(picos: u128) -> Self {
        Self(picos)
    }

    /// Returns the pico-dollars.
    #[must_use]
    pub const fn picos(self) -> u128 {
        self.0
    }

    /// Returns the nano-dollars, rounded half up: the form of a database column. Returns `None` above about 9.2 billion
    /// dollars. Round each request once, and sum the rounded amounts.
    #[must_use]
    pub fn nanos(self) -> Option<i64> {
        i64::try_from(self.0.checked_add(NANO / 2)? / NANO).ok()
    }

    /// Creates an amount of nano-dollars.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos as u128 * NANO)
    }

    /// Adds two amounts; returns `None` if the sum cannot be represented.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Subtracts an amount; returns `None` if it is larger than this one.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Reads the cost that a provider reports, such as `usage.cost` of OpenRouter: the text of a JSON number. Providers
    /// compute with floats, so digits below one pico-dollar are rounded half up. Returns `None` if the text is negative
    /// or not a number.
    #[must_use]
    pub fn from_reported(number: &str) -> Option<Self> {
        decimal::parse(number.trim(), PLACES).ok().map(|scaled| Self(scaled.value))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, picos) = (self.0 / DOLLAR, self.0 % DOLLAR);
        if picos == 0 {
            return write!(f, "{dollars}");
        }
        let (mut fraction, mut width) = (picos, 12);
        while fraction % 10 == 0 {
            fraction /= 10;
            width -= 1;
        }
        write!(f, "{dollars}.{fraction:0width$}")
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    /// Reads a decimal number of dollars exactly; an exponent is allowed.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let scaled = decimal::parse(text, PLACES)?;
        if scaled.is_exact { Ok(Self(scaled.value)) } else { Err(MoneyError::TooFine) }
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Decimal;

        impl Visitor<'_> for Decimal {
            type Value = Money;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of dollars")
            }

            fn visit_u64<E: de::Error>(self, dollars: u64) -> Result<Money, E> {
                Ok(Money(u128::from(dollars) * DOLLAR))
            }

            fn visit_i64<E: de::Error>(self, dollars: i64) -> Result<Money, E> {
                u64::try_from(dollars).map_err(|_| E::custom(MoneyError::NotADecimal)).and_then(|it| self.visit_u64(it))
            }

            // The shortest text that denotes the float is the number as the client wrote it, up to 15 digits.
            fn visit_f64<E: de::Error>(self, dollars: f64) -> Result<Money, E> {
                self.visit_str(&dollars.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Money, E> {
                text.trim().parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Decimal)
    }
}

/// Serialises [`Money`] as a JSON number of dollars, for `#[serde(with = "signalbox_pricing::as_number")]`.
///
/// The number is the nearest double, written with the fewest digits that denote it: exact for amounts of up to 15
/// significant digits, that is below 1,000 dollars to the pico-dollar and below 1 million dollars to the nano-dollar.
/// Clients that need every digit of larger amounts take the text.
pub mod as_number {
    use super::{Deserialize, Deserializer, Money, Serializer};

    /// Writes the amount as a number.
    ///
    /// # Errors
    /// Returns the error of the serialiser.
    pub fn serialize<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
        // Every decimal text denotes a double.
        serializer.serialize_f64(money.to_string().parse().unwrap_or(f64::MAX))
    }

    /// Reads a number or a text.
    ///
    /// # Errors
    /// Returns an error if the value is not an amount.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
        Money::deserialize(deserializer)
    }
}
