//! Numbers as providers write them.

/// Parses a whole number, which may be written as an integer, a float or a string.
pub(super) fn whole_number(raw: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(raw).ok()?;
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).trim();
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
        format!("{number:.0}").parse().ok()
    })
}

/// Parses an amount of dollars, which may be written as a number or a string, and rounds it to pico-dollars. Returns
/// `None` if it is negative or too large.
pub(super) fn picos(raw: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(raw).ok()?;
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).trim();
    // Providers compute amounts with floats. A float has all digits down to a pico-dollar up to 9,000 dollars.
    let dollars: f64 = text.parse().ok().filter(|dollars: &f64| dollars.is_finite() && *dollars >= 0.0)?;
    format!("{:.0}", dollars.abs() * 1e12).parse().ok()
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
