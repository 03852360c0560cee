//! A number and its unit, as people write them.

/// A unit and how many of the smallest one it holds.
pub(super) type Unit = (&'static str, u64);

/// Reads `12`, optional spaces, a unit out of `units`; the result counts the smallest unit. `None` when it is anything else, or too large.
pub(super) fn parse(text: &str, units: &[Unit]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start_matches(' ');
    let factor = units.iter().find_map(|(name, factor)| (*name == unit).then_some(*factor))?;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Writes `amount` in the largest unit that holds it without a rest. `units` begins with the smallest.
pub(super) fn write(amount: u64, units: &[Unit], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    let best =
        units.iter().filter(|(_, factor)| amount != 0 && amount.is_multiple_of(*factor)).max_by_key(|unit| unit.1);
    match best.or_else(|| units.first()) {
        Some((name, factor)) => write!(f, "{}{name}", amount / factor),
        None => write!(f, "{amount}"),
    }
}
