//! Parsing and formatting of a number with a unit.
//!
//! `humantime` reads `M` as months and writes `1day`, and `jiff` refuses days, so that neither writes a value as it is
//! read: one number with one unit.

/// A unit: its name and its size in multiples of the smallest unit.
pub(super) type Unit = (&'static str, u64);

/// Parses a number, optional spaces and one of `units` into a multiple of the smallest unit. Returns `None` for any
/// other text or on overflow.
pub(super) fn parse(text: &str, units: &[Unit]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start_matches(' ');
    let factor = units.iter().find_map(|(name, factor)| (*name == unit).then_some(*factor))?;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Writes `amount` in the largest unit that divides it evenly. `units` begins with the smallest one.
pub(super) fn write(amount: u64, units: &[Unit], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    let best =
        units.iter().filter(|(_, factor)| amount != 0 && amount.is_multiple_of(*factor)).max_by_key(|unit| unit.1);
    match best.or_else(|| units.first()) {
        Some((name, factor)) => write!(f, "{}{name}", amount / factor),
        None => write!(f, "{amount}"),
    }
}
