//! The limits that providers announce in the headers of their answers.
//!
//! | headers | reset |
//! |---|---|
//! | `x-ratelimit-remaining-requests`, `-tokens`, also with `-day` or `-minute` | `6m0s`, `20ms`, or seconds |
//! | `x-ratelimit-remaining` | seconds, or a Unix time in seconds or milliseconds |
//! | `anthropic-ratelimit-requests-remaining`, `-tokens-`, `-input-tokens-`, `-output-tokens-` | RFC 3339 |
//! | `ratelimit-remaining`; `ratelimit: limit=9, remaining=0, reset=5` and `"default";r=0;t=5` | seconds |

use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderMap;
use jiff::Timestamp;

use super::floor;

/// Prefixes of the headers.
const PREFIXES: [&str; 3] = ["x-ratelimit-", "anthropic-ratelimit-", "ratelimit-"];
/// Header with all values in one.
const STRUCTURED: &str = "ratelimit";
/// Words that may follow `requests` and `tokens`, or stand alone.
const PERIODS: [&str; 4] = ["day", "hour", "minute", "second"];
/// Longest time for which an announcement counts: a day.
const MAX_RESET_MS: u64 = 86_400_000;
/// Numbers from here on are Unix times in seconds or milliseconds, not a number of seconds to wait.
const UNIX_SECONDS: f64 = 1e9;
const UNIX_MILLIS: f64 = 1e12;

/// Newest announcement of a provider.
#[derive(Debug, Default)]
pub(super) struct RateLimits {
    requests: Remaining,
    tokens: Remaining,
}

/// Rest of a limit. Each field is consistent for itself only: a race between two answers is harmless.
#[derive(Debug, Default)]
struct Remaining {
    amount: AtomicU64,
    /// Time of [`super::now`] at which the limit starts anew; 0 if nothing was announced.
    until: AtomicU64,
}

/// Limit of a provider that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// No requests are left until this time.
    Requests {
        /// Time of [`super::now`].
        until: u64,
    },
    /// Fewer tokens are left until this time than the prompt has.
    Tokens {
        /// Tokens that are left.
        left: u64,
        /// Time of [`super::now`].
        until: u64,
    },
}

/// Rest of a limit, as announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    amount: u64,
    /// Milliseconds until it starts anew.
    reset_ms: u64,
}

/// The smallest rest of each kind of limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Announced {
    requests: Option<Left>,
    tokens: Option<Left>,
}

// === impl RateLimits ===

impl RateLimits {
    pub(super) fn note(&self, headers: &HeaderMap, now: u64, unix_ms: i64) {
        let Announced { requests, tokens } = Announced::read(headers, unix_ms);
        for (remaining, left) in [(&self.requests, requests), (&self.tokens, tokens)] {
            if let Some(Left { amount, reset_ms }) = left {
                remaining.amount.store(amount, Ordering::Relaxed);
                remaining.until.store(now.saturating_add(reset_ms), Ordering::Relaxed);
            }
        }
    }

    /// Returns the limit that is used up, for a prompt of so many tokens.
    pub(super) fn exhausted(&self, now: u64, tokens: u64) -> Option<Exhausted> {
        if let Some((0, until)) = self.requests.read(now) {
            return Some(Exhausted::Requests { until });
        }
        let (left, until) = self.tokens.read(now)?;
        (left < tokens.max(1)).then_some(Exhausted::Tokens { left, until })
    }

    pub(super) fn reset(&self) {
        self.requests.until.store(0, Ordering::Relaxed);
        self.tokens.until.store(0, Ordering::Relaxed);
    }
}

// === impl Remaining ===

impl Remaining {
    fn read(&self, now: u64) -> Option<(u64, u64)> {
        let until = self.until.load(Ordering::Relaxed);
        (until > now).then(|| (self.amount.load(Ordering::Relaxed), until))
    }
}

// === impl Exhausted ===

impl Exhausted {
    /// Returns the words for explanations. `now` is the time of [`super::now`].
    #[must_use]
    pub fn words(self, now: u64) -> String {
        let seconds = |until: u64| until.saturating_sub(now).div_ceil(1_000);
        match self {
            Self::Requests { until } => {
                format!("the provider announced that no requests are left for another {} s", seconds(until))
            }
            Self::Tokens { left, until } => {
                format!("the provider announced that {left} tokens are left for another {} s", seconds(until))
            }
        }
    }
}

// === impl Announced ===

impl Announced {
    fn read(headers: &HeaderMap, unix_ms: i64) -> Self {
        let mut announced = Self::default();
        for (name, value) in headers {
            let (name, Ok(value)) = (name.as_str(), value.to_str()) else { continue };
            if name == STRUCTURED {
                announced.add(false, structured(value, unix_ms));
                continue;
            }
            let Some(is_tokens) = kind_of(name) else { continue };
            let reset = headers.get(name.replacen("remaining", "reset", 1)).and_then(|reset| reset.to_str().ok());
            let left = reset.and_then(|reset| Left::new(value, reset, unix_ms));
            announced.add(is_tokens, left);
        }
        announced
    }

    /// Keeps the smaller rest, and of equal ones the one that lasts longer.
    fn add(&mut self, is_tokens: bool, left: Option<Left>) {
        let kept = if is_tokens { &mut self.tokens } else { &mut self.requests };
        let rank = |left: &Left| (left.amount, u64::MAX - left.reset_ms);
        *kept = kept.iter().copied().chain(left).min_by_key(rank);
    }
}

/// Returns whether a header has the rest of tokens or of requests; `None` for all others.
fn kind_of(name: &str) -> Option<bool> {
    let rest = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    let (mut is_remaining, mut is_tokens) = (false, false);
    for word in rest.split('-') {
        match word {
            "remaining" => is_remaining = true,
            "tokens" => is_tokens = true,
            "requests" | "input" | "output" => {}
            other if PERIODS.contains(&other) => {}
            _ => return None,
        }
    }
    is_remaining.then_some(is_tokens)
}

/// Reads `limit=9, remaining=0, reset=5` or `"default";r=0;t=5`. Of several policies the first one counts.
fn structured(value: &str, unix_ms: i64) -> Option<Left> {
    let (mut amount, mut reset) = (None, None);
    for (name, value) in value.split([',', ';']).filter_map(|part| part.split_once('=')) {
        match name.trim() {
            "remaining" | "r" => amount = amount.or(Some(value)),
            "reset" | "t" => reset = reset.or(Some(value)),
            _ => {}
        }
    }
    Left::new(amount?, reset?, unix_ms)
}

// === impl Left ===

impl Left {
    fn new(amount: &str, reset: &str, unix_ms: i64) -> Option<Self> {
        let amount: f64 = amount.trim().parse().ok().filter(|amount: &f64| amount.is_finite())?;
        let reset_ms = reset_ms(reset.trim(), unix_ms)?.min(MAX_RESET_MS);
        Some(Self { amount: floor(amount), reset_ms })
    }
}

/// Reads the time until a limit starts anew, in milliseconds.
fn reset_ms(text: &str, unix_ms: i64) -> Option<u64> {
    let until = |at: i64| u64::try_from(at.saturating_sub(unix_ms)).unwrap_or_default();
    if let Ok(number) = text.parse::<f64>() {
        return match number {
            number if !number.is_finite() || number < 0.0 => None,
            number if number >= UNIX_MILLIS => Some(until(i64::try_from(floor(number)).ok()?)),
            number if number >= UNIX_SECONDS => Some(until(i64::try_from(floor(number * 1_000.0)).ok()?)),
            number => Some(floor((number * 1_000.0).ceil())),
        };
    }
    duration_ms(text).or_else(|| Some(until(text.parse::<Timestamp>().ok()?.as_millisecond())))
}

/// Reads a duration in the form of Go: `1h2m3.5s`, `20ms`.
fn duration_ms(mut text: &str) -> Option<u64> {
    let mut millis = 0.0;
    if text.is_empty() {
        return None;
    }
    while !text.is_empty() {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, rest) = text.split_at(digits);
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(unit);
        let factor = match unit {
            "ns" => 1e-6,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 6e4,
            "h" => 3.6e6,
            "d" => 8.64e7,
            _ => return None,
        };
        millis += number.parse::<f64>().ok()? * factor;
        text = rest;
    }
    Some(floor(millis.ceil()))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-30T12:00:00Z.
    const NOW: i64 = 1_796_040_000_000;

    fn headers(given: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        given.iter().map(pair).collect()
    }

    #[test]
    fn every_form_of_a_reset_is_read() {
        for (text, millis) in [
            ("1s", Some(1_000)),
            ("6m0s", Some(360_000)),
            ("20ms", Some(20)),
            ("7.66s", Some(7_660)),
            ("1h2m3.5s", Some(3_723_500)),
            ("1d", Some(86_400_000)),
            ("150\u{b5}s", Some(1)),
            ("0s", Some(0)),
            ("60", Some(60_000)),
            ("0.25", Some(250)),
            ("1796040012", Some(12_000)),
            ("1796040012500", Some(12_500)),
            ("1796039999", Some(0)),
            ("2026-11-30T12:00:30Z", Some(30_000)),
            ("2026-11-30T12:00:30.5+00:00", Some(30_500)),
            ("2026-11-30T11:59:30Z", Some(0)),
            ("", None),
            ("-5", None),
            ("NaN", None),
            ("soon", None),
            ("5x", None),
            ("1m2", None),
            ("..s", None),
        ] {
            assert_eq!(reset_ms(text, NOW), millis, "{text}");
        }
    }

    #[test]
    fn the_headers_of_each_vendor_are_read() {
        let left = |amount, reset_ms| Some(Left { amount, reset_ms });
        for (given, requests, tokens) in [
            (
                &[
                    ("x-ratelimit-limit-requests", "60"),
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-requests", "1s"),
                    ("x-ratelimit-remaining-tokens", "149984"),
                    ("x-ratelimit-reset-tokens", "6m0s"),
                ][..],
                left(0, 1_000),
                left(149_984, 360_000),
            ),
            (
                &[
                    ("anthropic-ratelimit-requests-remaining", "49"),
                    ("anthropic-ratelimit-requests-reset", "2026-11-30T12:00:01Z"),
                    ("anthropic-ratelimit-input-tokens-remaining", "0"),
                    ("anthropic-ratelimit-input-tokens-reset", "2026-11-30T12:01:00Z"),
                    ("anthropic-ratelimit-output-tokens-remaining", "8000"),
                    ("anthropic-ratelimit-output-tokens-reset", "2026-11-30T12:00:01Z"),
                ],
                left(49, 1_000),
                left(0, 60_000),
            ),
            (
                &[
                    ("x-ratelimit-remaining-requests-day", "0"),
                    ("x-ratelimit-reset-requests-day", "33011.38"),
                    ("x-ratelimit-remaining-tokens-minute", "59"),
                    ("x-ratelimit-reset-tokens-minute", "11.5"),
                ],
                left(0, 33_011_380),
                left(59, 11_500),
            ),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1796040005000")], left(0, 5_000), None),
            (&[("ratelimit-remaining", "3"), ("ratelimit-reset", "7")], left(3, 7_000), None),
            (&[("ratelimit", "limit=100, remaining=0, reset=5")], left(0, 5_000), None),
            (&[("ratelimit", "\"default\";r=0;t=5")], left(0, 5_000), None),
            (
                &[("x-ratelimit-remaining-requests", "-1"), ("x-ratelimit-reset-requests", "9d")],
                left(0, MAX_RESET_MS),
                None,
            ),
            // Without a reset its duration is unknown, and other units say nothing about requests.
            (&[("x-ratelimit-remaining-requests", "0")], None, None),
            (&[("x-ratelimit-remaining-images", "0"), ("x-ratelimit-reset-images", "1s")], None, None),
            (&[("anthropic-ratelimit-unified-remaining", "0"), ("anthropic-ratelimit-unified-reset", "5")], None, None),
            (&[("x-ratelimit-remaining-tokens", "many"), ("x-ratelimit-reset-tokens", "1s")], None, None),
        ] {
            assert_eq!(Announced::read(&headers(given), NOW), Announced { requests, tokens }, "{given:?}");
        }
    }

    #[test]
    fn a_limit_is_used_up_until_its_reset_or_the_next_announcement() {
        let limits = RateLimits::default();
        assert_eq!(limits.exhausted(1, 100), None);
        let tokens = |left| headers(&[("x-ratelimit-remaining-tokens", left), ("x-ratelimit-reset-tokens", "2s")]);
        limits.note(&tokens("100"), 10, NOW);
        assert_eq!(limits.exhausted(10, 100), None);
        assert_eq!(limits.exhausted(10, 101), Some(Exhausted::Tokens { left: 100, until: 2_010 }));
        limits.note(&tokens("0"), 10, NOW);
        assert_eq!(limits.exhausted(2_009, 0), Some(Exhausted::Tokens { left: 0, until: 2_010 }));
        assert_eq!(limits.exhausted(2_010, 100), None);
        let requests =
            |left| headers(&[("x-ratelimit-remaining-requests", left), ("x-ratelimit-reset-requests", "60")]);
        limits.note(&requests("0"), 10, NOW);
        let exhausted = limits.exhausted(11, 0).unwrap();
        assert_eq!(exhausted, Exhausted::Requests { until: 60_010 });
        assert!(exhausted.words(11).contains("no requests are left for another 60 s"));
        limits.note(&HeaderMap::new(), 12, NOW);
        assert!(limits.exhausted(12, 0).is_some(), "an answer without headers says nothing");
        limits.note(&requests("5"), 13, NOW);
        limits.reset();
        assert_eq!(limits.exhausted(13, 1_000), None);
    }

    proptest! {
        #[test]
        fn no_header_panics(amount in "[0-9a-z.;=-]{0,12}", reset in "[0-9a-zT:Z.;=-]{0,14}", unix_ms in any::<i64>()) {
            let given = headers(&[("x-ratelimit-remaining-tokens", &amount), ("x-ratelimit-reset-tokens", &reset), ("ratelimit", &reset)]);
            let limits = RateLimits::default();
            limits.note(&given, 1, unix_ms);
            if let Some(Exhausted::Requests { until } | Exhausted::Tokens { until, .. }) = limits.exhausted(1, 1) {
                prop_assert!(until <= MAX_RESET_MS + 1);
            }
        }
    }
}
