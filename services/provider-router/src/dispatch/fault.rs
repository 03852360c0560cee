//! The class of the failure of an attempt.

use http::{HeaderMap, header};
use jiff::fmt::rfc2822;
use signalbox_translate::hub;
use tokio::time::Duration;

use super::failure::AttemptError;
use crate::{clock, fault::Fault};

// === impl AttemptError ===

impl AttemptError {
    /// Returns the class of the failure.
    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::Transport(error) => Fault::of_transport(error),
            Self::ShuttingDown | Self::Cancelled | Self::NoCandidate | Self::Memory(_) => Fault::Over,
            Self::Guarded(refused) if refused.is_content() => Fault::Withheld,
            Self::Guarded(_) => Fault::HookFailed,
            Self::FirstToken { .. } => Fault::Timeout,
            Self::AtLimit(_) => Fault::RateLimit,
            Self::Invalid { .. } | Self::TooLarge { .. } => Fault::Unusable,
            Self::Misconfigured { .. } | Self::Untranslatable(_) | Self::Stored(_) | Self::NoRoute { .. } => {
                Fault::Unsuitable
            }
            Self::Status { body, .. } | Self::Reported { body, .. } => {
                let status = self.status().map(|status| status.as_u16());
                Fault::of_status(status.unwrap_or(502), hub::Failure::read(status, body).class)
            }
        }
    }

    /// Returns the time that the provider asks to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { headers, .. } => retry_after(headers, clock::unix_ms()),
            Self::AtLimit(denial) => denial.retry_after(),
            _ => None,
        }
    }
}

/// Reads `retry-after-ms` or `retry-after`, seconds or a date. A date in the past is no wait.
fn retry_after(headers: &HeaderMap, unix_ms: i64) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(millis) = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return wait_of(millis / 1_000.0);
    }
    let text = text(header::RETRY_AFTER.as_str())?;
    if let Ok(seconds) = text.parse::<f64>() {
        return wait_of(seconds);
    }
    let date = rfc2822::parse(text).ok()?.timestamp().as_millisecond();
    Some(Duration::from_millis(u64::try_from(date.saturating_sub(unix_ms)).unwrap_or_default()))
}

/// Returns a wait in seconds, of which more than a century counts as one; `None` if it is negative or no number.
fn wait_of(seconds: f64) -> Option<Duration> {
    const MAX_SECONDS: f64 = 36_500.0 * 24.0 * 60.0 * 60.0;
    Duration::try_from_secs_f64(seconds.min(MAX_SECONDS)).ok().filter(|_| !seconds.is_nan())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;

    use super::*;
    use crate::fault::{NextTarget, Rule};

    fn status(status: u16, body: &'static str) -> Fault {
        let status = StatusCode::from_u16(status).unwrap();
        AttemptError::Status { status, headers: Box::default(), body: Bytes::from_static(body.as_bytes()) }.fault()
    }

    #[test]
    fn answers_are_classified_by_status_and_words() {
        let overflow = r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#;
        let refusal = r#"{"error":{"message":"no","code":"content_policy_violation"}}"#;
        let quota = r#"{"error":{"message":"pay","code":"insufficient_quota"}}"#;
        let key = r#"{"error":{"message":"API key not valid. Please pass a valid API key."}}"#;
        for (code, body, fault) in [
            (400, overflow, Fault::ContextLength),
            (413, overflow, Fault::ContextLength),
            (400, refusal, Fault::ContentRefused),
            (403, refusal, Fault::ContentRefused),
            (429, quota, Fault::Billing),
            (429, "{}", Fault::RateLimit),
            (400, key, Fault::Credentials),
            (400, "x", Fault::BadRequest),
            (413, "", Fault::BadRequest),
            (422, "", Fault::BadRequest),
            (401, "", Fault::Credentials),
            (403, "", Fault::Credentials),
            (402, "", Fault::Billing),
            (404, "", Fault::NotFound),
            (408, "", Fault::Timeout),
            (504, "", Fault::Timeout),
            (409, "", Fault::OtherRefusal),
            (425, "", Fault::OtherRefusal),
            (302, "", Fault::Unusable),
            (500, "", Fault::Server),
            (502, "", Fault::Server),
            (503, "", Fault::Overloaded),
            (529, "", Fault::Overloaded),
        ] {
            assert_eq!(status(code, body), fault, "{code} {body}");
        }
    }

    #[test]
    fn deadlines_never_allow_the_same_target_again() {
        let after = Duration::from_secs(1);
        for failure in [
            AttemptError::Transport(signalbox_upstream::Error::HeadersTimeout { after }),
            AttemptError::Transport(signalbox_upstream::Error::IdleTimeout { after }),
            AttemptError::Transport(signalbox_upstream::Error::ConnectTimeout { after }),
            AttemptError::FirstToken { after },
        ] {
            let rule = failure.fault().rule();
            assert_eq!(rule, Rule { again: false, next: NextTarget::Any, counts: true }, "{failure}");
        }
        let over = AttemptError::Transport(signalbox_upstream::Error::TotalTimeout { after }).fault().rule();
        assert_eq!(over, Rule { again: false, next: NextTarget::None, counts: false });
    }

    #[test]
    fn waits_are_read_in_all_forms() {
        let wait = |name: &'static str, value: &'static str| {
            let headers = HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())]);
            retry_after(&headers, 784_111_777_000 - 5_000)
        };
        for (name, value, expected) in [
            ("retry-after", "2", Some(2_000)),
            ("retry-after", " 0.5 ", Some(500)),
            ("retry-after-ms", "1500", Some(1_500)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", Some(5_000)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:30 GMT", Some(0)),
            ("retry-after", "1000000000", Some(1_000_000_000_000)),
            ("retry-after", "99999999999999999999", Some(3_153_600_000_000)),
            ("retry-after", "-3", None),
            ("retry-after", "NaN", None),
            ("retry-after", "soon", None),
        ] {
            assert_eq!(wait(name, value), expected.map(Duration::from_millis), "{name}: {value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), 0), None);
    }
}
