//! Numbers as providers write them.

/// Parses a whole number, which may be written as an integer, a float or a string.
pub(super) fn whole_number(raw: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(raw).ok()?;
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).trim();
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
        let saturated = if number < 0.0 { i64::MIN } else { i64::MAX };
        Some(format!("{number:.0}").parse().unwrap_or(saturated))
    })
}

/// Decimal digits of a dollar down to a pico-dollar.
const PICO_DIGITS: usize = 12;
const PICOS: u64 = 1_000_000_000_000;

/// Parses an amount of dollars, which may be written as a number or a string, and rounds it to pico-dollars. Returns
/// `None` if it is negative or too large.
pub(super) fn picos(raw: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(raw).ok()?;
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).trim();
    // Providers compute amounts with floats. The shortest decimal of the float is the amount as they print it.
    let dollars: f64 = text.parse().ok().filter(|dollars: &f64| dollars.is_finite() && *dollars >= 0.0)?;
    let decimal = dollars.abs().to_string();
    let (whole, fraction) = decimal.split_once('.').unwrap_or((&decimal, ""));
    let digit = |at: usize| fraction.as_bytes().get(at).map_or(0, |digit| u64::from(digit - b'0'));
    let picos = (0..PICO_DIGITS).fold(0, |picos, at| picos * 10 + digit(at)) + u64::from(digit(PICO_DIGITS) >= 5);
    whole.parse::<u64>().ok()?.checked_mul(PICOS)?.checked_add(picos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_to_pico_dollars() {
        for (raw, expected) in [
            ("0", Some(0)),
            ("-0.0", Some(0)),
            ("0.00123", Some(1_230_000_000)),
            ("1.5e-6", Some(1_500_000)),
            ("\"0.25\"", Some(250_000_000_000)),
            ("0.0000000000006", Some(1)),
            ("0.0000000000004", Some(0)),
            ("0.9999999999999", Some(1_000_000_000_000)),
            ("3", Some(3_000_000_000_000)),
            ("8999.123456789", Some(8_999_123_456_789_000)),
            ("-1", None),
            ("1e9", None),
            ("1e400", None),
            ("NaN", None),
            ("null", None),
            ("{}", None),
            ("true", None),
        ] {
            assert_eq!(picos(raw.as_bytes()), expected, "{raw}");
        }
    }
}
