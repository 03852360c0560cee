//! `Cache-Control` of a request (RFC 9111, section 5.2.1).

use http::{HeaderMap, header::CACHE_CONTROL};

/// Directives of a client for the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestControl {
    /// Whether a stored answer may be given.
    pub looks_up: bool,
    /// Whether the answer may be stored.
    pub stores: bool,
    /// Maximum age of a stored answer.
    pub max_age_ms: Option<u64>,
}

// === impl RequestControl ===

impl RequestControl {
    /// Reads `no-store`, `no-cache` and `max-age`; unknown directives do not count. A `max-age` that is no number counts
    /// as 0, as the RFC advises for invalid values.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let mut control = Self { looks_up: true, stores: true, max_age_ms: None };
        let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
        for directive in values.flat_map(|value| value.split(',')) {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" => (control.looks_up, control.stores) = (false, false),
                "no-cache" => control.looks_up = false,
                "max-age" => {
                    let seconds = delta_seconds(argument.trim().trim_matches('"'));
                    let millis = seconds.saturating_mul(1_000);
                    control.max_age_ms = Some(control.max_age_ms.map_or(millis, |before| before.min(millis)));
                    control.looks_up &= seconds > 0;
                }
                _ => {}
            }
        }
        control
    }

    /// Returns whether the client accepts the answer to an equal request that is in flight.
    pub(super) const fn accepts_any(self) -> bool {
        self.looks_up
    }
}

/// Reads a number of seconds, which may be greater than any time; 0 for anything else.
fn delta_seconds(text: &str) -> u64 {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().unwrap_or(u64::MAX) } else { 0 }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn directives_are_read() {
        let control = |looks_up, stores, max_age_ms| RequestControl { looks_up, stores, max_age_ms };
        for (values, expected) in [
            (&[][..], control(true, true, None)),
            (&["no-store"], control(false, false, None)),
            (&["No-Cache"], control(false, true, None)),
            (&["max-age=60"], control(true, true, Some(60_000))),
            (&["max-age=0"], control(false, true, Some(0))),
            (&["max-age = \"5\" , private"], control(true, true, Some(5_000))),
            (&["max-age=soon"], control(false, true, Some(0))),
            (&["max-age=9, max-age=3"], control(true, true, Some(3_000))),
            (&["max-age=99999999999999999999"], control(true, true, Some(u64::MAX))),
            (&["max-age=-1"], control(false, true, Some(0))),
            (&["max-age"], control(false, true, Some(0))),
            (&["max-age=60", "no-store"], control(false, false, Some(60_000))),
            (&["only-if-cached, max-stale=1"], control(true, true, None)),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CACHE_CONTROL, HeaderValue::from_static(value));
            }
            assert_eq!(RequestControl::read(&headers), expected, "{values:?}");
        }
    }
}
