//! Dates of price documents.

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Reads `YYYY-MM-DD`, from 1970 to 9999, as the Unix time in milliseconds of its beginning in UTC.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (year, month, day) = (number(text.get(0..4)?)?, number(text.get(5..7)?)?, number(text.get(8..10)?)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if is_leap { 29 } else { 28 };
    let days = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month_index = usize::try_from(month).ok()?.checked_sub(1)?;
    let is_form = text.len() == 10 && text.get(4..5) == Some("-") && text.get(7..8) == Some("-");
    if !is_form || year < 1970 || !(1..=*days.get(month_index)?).contains(&day) {
        return None;
    }
    // Leap days of the years before this one, less those before 1970.
    let before = year - 1;
    let leap_days = before / 4 - before / 100 + before / 400 - 477;
    let in_year: i64 = days.iter().take(month_index).sum::<i64>() + day - 1;
    Some(((year - 1970) * 365 + leap_days + in_year) * DAY_MS)
}

/// Reads a number of digits only.
fn number(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_date_is_the_beginning_of_its_day() {
        for (date, days) in [
            ("1970-01-01", 0),
            ("1972-03-01", 790),
            ("2000-02-29", 11_016),
            ("2026-11-29", 20_786),
            ("2100-03-01", 47_541),
        ] {
            assert_eq!(parse(date), Some(days * 86_400_000), "{date}");
        }
        for text in ["2026-02-29", "2100-02-29", "2026-13-01", "2026-00-01", "2026-01-00", "2026-1-1", "1969-12-31"] {
            assert_eq!(parse(text), None, "{text}");
        }
        for text in ["", "2026-11-29T00:00", "2026/11/29", "+026-11-29", "2026-11-é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
