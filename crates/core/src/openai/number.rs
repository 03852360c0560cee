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
