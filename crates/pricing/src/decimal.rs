//! Reads decimal numbers as scaled integers, without floats.

use crate::MoneyError;

/// Maximum size of an exponent. Larger ones are refused, because they would take long to apply.
const MAX_EXPONENT: u64 = 400;

/// A decimal number, multiplied by a power of ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scaled {
    /// The number, rounded half up.
    pub(crate) value: u128,
    /// Whether nothing was rounded.
    pub(crate) is_exact: bool,
}

/// Reads a number in the form of JSON, without a sign, as a multiple of 10⁻ᵖ for `p` places.
///
/// # Errors
/// Returns an error if the text is not such a number, or if the result does not fit.
pub(crate) fn parse(text: &str, places: u32) -> Result<Scaled, MoneyError> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(MoneyError::NotADecimal),
        None => (mantissa, ""),
    };
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Err(MoneyError::NotADecimal);
    }
    let digits = || whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0');
    // Number of digits before the decimal point of the result; missing ones are zeros.
    let kept = i64::try_from(whole.len()).map_err(|_| MoneyError::TooLarge)? + exponent + i64::from(places);
    let (mut value, mut rounds_up, mut is_exact) = (0_u128, false, true);
    let mut position = 0_i64;
    for digit in digits() {
        if position < kept {
            value = append(value, digit)?;
        } else {
            rounds_up |= position == kept && digit >= 5;
            is_exact &= digit == 0;
        }
        position += 1;
    }
    while value > 0 && position < kept {
        value = append(value, 0)?;
        position += 1;
    }
    let value = value.checked_add(u128::from(rounds_up)).ok_or(MoneyError::TooLarge)?;
    Ok(Scaled { value, is_exact })
}

fn append(value: u128, digit: u8) -> Result<u128, MoneyError> {
    value.checked_mul(10).and_then(|value| value.checked_add(digit.into())).ok_or(MoneyError::TooLarge)
}

fn exponent_of(text: &str) -> Result<i64, MoneyError> {
    let exponent: i64 = text.parse().map_err(|_| MoneyError::NotADecimal)?;
    if exponent.unsigned_abs() > MAX_EXPONENT { Err(MoneyError::TooLarge) } else { Ok(exponent) }
}
