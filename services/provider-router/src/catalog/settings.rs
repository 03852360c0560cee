//! Settings that apply to requests, read once per change of the catalogue.

use std::time::Duration;

use signalbox_core::schema::Setting;
use signalbox_store::settings::{LOG_REQUESTS, LOG_RESPONSES, is_on};
use signalbox_upstream::Deadlines;

use crate::journal::{Bodies, BodyPolicy};

/// Key of the setting for the maximum silence of a provider, in milliseconds.
const TIMEOUT: &str = "server.timeout";
/// Key of the setting for the headers that name the target of an answer.
const ANSWER_HEADERS: &str = "server.answer_headers";

/// Settings stored in the database. The configuration applies where a setting is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    timeout: Option<Duration>,
    log_requests: bool,
    log_responses: bool,
    answer_headers: bool,
}

impl Settings {
    pub(super) fn read(rows: &[Setting]) -> Self {
        let value = |key: &str| rows.iter().find(|row| row.key == key).map(|row| &*row.value);
        Self {
            timeout: value(TIMEOUT).and_then(millis),
            log_requests: is_on(LOG_REQUESTS, value(LOG_REQUESTS)),
            log_responses: is_on(LOG_RESPONSES, value(LOG_RESPONSES)),
            answer_headers: value(ANSWER_HEADERS) != Some("false"),
        }
    }

    /// Returns the deadlines for providers without a timeout of their own. The setting bounds only silence, before the
    /// response and within it; it never ends a response that is still sending.
    #[must_use]
    pub fn deadlines(self, configured: Deadlines) -> Deadlines {
        match self.timeout {
            None => configured,
            Some(timeout) => Deadlines { headers: timeout, idle: timeout, ..configured },
        }
    }

    /// Returns whether answers name their target in headers.
    #[must_use]
    pub const fn answer_headers(self) -> bool {
        self.answer_headers
    }

    /// Returns how much of an exchange the log keeps, where the configuration and the provider allow `bodies`.
    #[must_use]
    pub fn body_policy(self, bodies: Bodies) -> BodyPolicy {
        let unless = |on: bool| if on { bodies } else { Bodies::Off };
        BodyPolicy { request: unless(self.log_requests), answer: unless(self.log_responses) }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::read(&[])
    }
}

/// Parses a positive number of milliseconds. The Node.js version stored numbers as doubles, so a trailing `.0` is
/// accepted.
fn millis(value: &str) -> Option<Duration> {
    let whole = value.strip_suffix(".0").unwrap_or(value);
    let millis = whole.parse().ok().filter(|millis| *millis > 0).map(Duration::from_millis);
    if millis.is_none() {
        tracing::warn!(value, "setting {TIMEOUT} is not a number of milliseconds and is ignored");
    }
    millis
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rows: &[(&str, &str)]) -> Settings {
        let row = |(key, value): &(&str, &str)| Setting { key: (*key).into(), value: (*value).into(), updated_at: 0 };
        Settings::read(&rows.iter().map(row).collect::<Vec<_>>())
    }

    #[test]
    fn the_timeout_setting_applies_to_head_and_idle_deadlines_only() {
        let configured = Deadlines::default();
        for (value, expected) in
            [("5000", Some(5)), ("120000.0", Some(120)), ("0", None), ("soon", None), ("1.5", None)]
        {
            let deadlines = read(&[(TIMEOUT, value)]).deadlines(configured);
            let silence = expected.map(Duration::from_secs);
            let (headers, idle) = (silence.unwrap_or(configured.headers), silence.unwrap_or(configured.idle));
            assert_eq!(deadlines, Deadlines { headers, idle, ..configured }, "{value}");
        }
        assert_eq!(Settings::default().deadlines(configured), configured);
    }

    #[test]
    fn disabled_logging_overrides_other_settings() {
        let of = |rows: &[(&str, &str)], bodies| {
            let BodyPolicy { request, answer } = read(rows).body_policy(bodies);
            (request, answer)
        };
        assert_eq!(of(&[], Bodies::Redact), (Bodies::Redact, Bodies::Redact));
        assert_eq!(of(&[(LOG_REQUESTS, "false")], Bodies::Full), (Bodies::Off, Bodies::Full));
        assert_eq!(of(&[(LOG_RESPONSES, "false")], Bodies::Redact), (Bodies::Redact, Bodies::Off));
        assert_eq!(of(&[(LOG_REQUESTS, "true")], Bodies::Off), (Bodies::Off, Bodies::Off));
    }
}
