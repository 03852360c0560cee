//! The names under which a model is looked up.
//!
//! # The rule
//! A name is compared without regard to upper and lower case. The following names are looked up in this order, and the
//! first one that the table knows wins:
//!
//! 1. the name as it is: `anthropic/claude-haiku-4-5-20251001`;
//! 2. without a date or `-latest` at its end: `anthropic/claude-haiku-4-5`. Dates are `-2025-10-01`, `-20251001` and
//!    `@20251001`; shorter numbers, as in `-0613`, may be versions and stay;
//! 3. without everything up to the last `/`: `claude-haiku-4-5-20251001`;
//! 4. without both: `claude-haiku-4-5`.
//!
//! A suffix after a colon stays: `model:free` is not `model`, because a variant has a price of its own.

/// Maximum bytes of a model name. Longer names have no price.
pub const MAX_NAME_BYTES: usize = 256;

/// The names under which a model is looked up, in the order of the rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a>([&'a str; 4]);

/// Space for a name in lower case.
pub(crate) type NameBuffer = [u8; MAX_NAME_BYTES];

// === impl Names ===

impl<'a> Names<'a> {
    /// Derives the names. Returns `None` for an empty or too long name.
    pub(crate) fn new(name: &str, buffer: &'a mut NameBuffer) -> Option<Self> {
        let name = name.trim();
        let lower = buffer.get_mut(..name.len()).filter(|lower| !lower.is_empty())?;
        lower.copy_from_slice(name.as_bytes());
        lower.make_ascii_lowercase();
        Some(Self::of_lower(std::str::from_utf8(lower).ok()?))
    }

    /// Derives the names from one in lower case.
    fn of_lower(name: &'a str) -> Self {
        let last = name.rsplit('/').next().unwrap_or(name);
        Self([name, without_date(name), last, without_date(last)])
    }

    /// Returns the names without repetitions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a str> {
        let names = self.0;
        names.into_iter().enumerate().filter(move |(index, name)| !names[..*index].contains(name)).map(|(_, name)| name)
    }

    /// Splits the vendor off: `anthropic` and the names of `claude-haiku-4-5`.
    pub(crate) fn vendor(&self) -> Option<(&'a str, Self)> {
        let (vendor, model) = self.0[0].split_once('/')?;
        Some((vendor, Self::of_lower(model)))
    }
}

/// Removes a date or `-latest` from the end of a name.
pub(crate) fn without_date(name: &str) -> &str {
    let is_date = |text: &str| {
        let digits = |range: std::ops::Range<usize>| -> Option<u32> {
            let digits = text.get(range)?;
            if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
        };
        let (year, month, day) = match text.len() {
            8 => (digits(0..4), digits(4..6), digits(6..8)),
            10 if text.get(4..5) == Some("-") && text.get(7..8) == Some("-") => {
                (digits(0..4), digits(5..7), digits(8..10))
            }
            _ => return false,
        };
        year.is_some_and(|year| (2000..2100).contains(&year))
            && month.is_some_and(|month| (1..=12).contains(&month))
            && day.is_some_and(|day| (1..=31).contains(&day))
    };
    let without = |length: usize, separators: &[char]| {
        let (rest, date) = name.split_at_checked(name.len().checked_sub(length)?)?;
        let rest = rest.strip_suffix(separators)?;
        (!rest.is_empty() && !rest.ends_with('/') && is_date(date)).then_some(rest)
    };
    name.strip_suffix("-latest")
        .filter(|rest| !rest.is_empty() && !rest.ends_with('/'))
        .or_else(|| without(10, &['-']))
        .or_else(|| without(8, &['-', '@']))
        .unwrap_or(name)
}

/// Returns whether a name matches a pattern, in which `*` stands for any characters and `?` for one.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to continue if the text after the last `*` does not match: behind it, with one more byte for the `*`.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                retry = Some((p, n));
            }
            Some(byte) if *byte == b'?' || *byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((behind, from)) = retry else { return false };
                p = behind;
                n = from + 1;
                retry = Some((behind, n));
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str) -> Vec<String> {
        let mut buffer = [0; MAX_NAME_BYTES];
        Names::new(name, &mut buffer).map(|names| names.iter().map(str::to_owned).collect()).unwrap_or_default()
    }

    #[test]
    fn a_name_is_looked_up_as_the_rule_says() {
        for (name, expected) in [
            ("gpt-4.1", &["gpt-4.1"][..]),
            ("GPT-4.1", &["gpt-4.1"]),
            ("gpt-4o-2024-08-06", &["gpt-4o-2024-08-06", "gpt-4o"]),
            ("claude-haiku-4-5-20251001", &["claude-haiku-4-5-20251001", "claude-haiku-4-5"]),
            ("claude-haiku-4-5@20251001", &["claude-haiku-4-5@20251001", "claude-haiku-4-5"]),
            ("mistral-large-latest", &["mistral-large-latest", "mistral-large"]),
            (
                "Anthropic/Claude-X-20251001",
                &["anthropic/claude-x-20251001", "anthropic/claude-x", "claude-x-20251001", "claude-x"],
            ),
            ("accounts/f/models/k", &["accounts/f/models/k", "k"]),
            ("deepseek/r1:free", &["deepseek/r1:free", "r1:free"]),
            ("gpt-4-0613", &["gpt-4-0613"]),
            ("x-20251301", &["x-20251301"]),
            ("x-2025-10-32", &["x-2025-10-32"]),
            ("-latest", &["-latest"]),
            ("20251001", &["20251001"]),
            ("é-20251001", &["é-20251001", "é"]),
            ("éééé", &["éééé"]),
            ("", &[]),
        ] {
            assert_eq!(names(name), expected, "{name}");
        }
        assert!(names(&"x".repeat(MAX_NAME_BYTES + 1)).is_empty());
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "x", true),
            ("gpt-?", "gpt-5", true),
            ("gpt-?", "gpt-55", false),
            ("gpt-?", "gpt-", false),
            ("*:free", "a/b:free", true),
            ("*:free", "a:free:x", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("gpt-6-astra-????-??-??", "gpt-6-astra-2026-09-01", true),
            ("a", "a", true),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
