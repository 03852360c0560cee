//! Which failure of an attempt allows which other attempt: one table.

use http::{HeaderMap, header};
use jiff::fmt::rfc2822;
use signalbox_translate::hub::{self, ErrorClass};
use tokio::time::Duration;

use super::failure::AttemptError;
use crate::clock;

/// Class of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No connection: the provider cannot be reached.
    Connect,
    /// The connection was lost before the answer.
    Reset,
    /// A deadline passed.
    Timeout,
    /// Too many requests or tokens per minute.
    RateLimit,
    /// The provider has too much to do.
    Overloaded,
    /// Any other fault of the provider.
    Server,
    /// The answer cannot be used.
    Unusable,
    /// The key is wrong or may not do this.
    Credentials,
    /// The account has no money or quota left.
    Billing,
    /// The provider does not know the model or the path.
    NotFound,
    /// The conversation is too long for the model.
    ContextLength,
    /// The provider refuses the content: an answer, which another one must not replace.
    ContentRefused,
    /// The request is wrong, and stays wrong.
    BadRequest,
    /// A refusal of the request that another provider need not share.
    OtherRefusal,
    /// The target cannot be asked this.
    Unsuitable,
    /// A guardrail of the gateway withholds the answer.
    Withheld,
    /// The hook of the guardrails gave no verdict on the answer.
    HookFailed,
    /// The deadline of the whole request passed, it was cancelled, or the router stops.
    Over,
}

/// Consequences of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Whether the same target may be asked again.
    pub(super) again: bool,
    /// Which other target may be asked.
    pub(super) next: NextTarget,
    /// Whether the failure counts against the breaker of the target.
    pub(super) counts: bool,
}

/// Other targets that may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextTarget {
    /// Any.
    Any,
    /// One that says that it holds more tokens.
    Larger,
    /// None.
    None,
}

// === impl Fault ===

impl Fault {
    /// Returns what may follow.
    pub(super) const fn rule(self) -> Rule {
        use NextTarget::{Any, Larger, None};
        let (again, next, counts) = match self {
            //                      again  next    counts
            Self::Connect =>
            /*        */
            {
                (true, Any, true)
            }
            Self::Reset =>
            /*          */
            {
                (true, Any, true)
            }
            Self::Timeout =>
            /*        */
            {
                (false, Any, true)
            }
            Self::RateLimit =>
            /*      */
            {
                (true, Any, true)
            }
            Self::Overloaded =>
            /*     */
            {
                (true, Any, true)
            }
            Self::Server =>
            /*         */
            {
                (true, Any, true)
            }
            Self::Unusable =>
            /*       */
            {
                (false, Any, true)
            }
            Self::Credentials =>
            /*    */
            {
                (false, Any, true)
            }
            Self::Billing =>
            /*        */
            {
                (false, Any, true)
            }
            Self::NotFound =>
            /*       */
            {
                (false, Any, false)
            }
            Self::ContextLength =>
            /*  */
            {
                (false, Larger, false)
            }
            Self::ContentRefused =>
            /* */
            {
                (false, None, false)
            }
            Self::BadRequest =>
            /*     */
            {
                (false, None, false)
            }
            Self::OtherRefusal =>
            /*   */
            {
                (false, Any, false)
            }
            Self::Unsuitable =>
            /*     */
            {
                (false, Any, false)
            }
            Self::Withheld =>
            /*       */
            {
                (false, None, false)
            }
            Self::HookFailed =>
            /*     */
            {
                (false, None, false)
            }
            Self::Over =>
            /*           */
            {
                (false, None, false)
            }
        };
        Rule { again, next, counts }
    }

    /// Returns the words for explanations.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "the provider could not be reached",
            Self::Reset => "the connection was lost",
            Self::Timeout => "a deadline passed",
            Self::RateLimit => "the provider's rate limit is reached",
            Self::Overloaded => "the provider is overloaded",
            Self::Server => "the provider failed",
            Self::Unusable => "the answer could not be used",
            Self::Credentials => "the provider refused its key",
            Self::Billing => "the provider's account has no money or quota left",
            Self::NotFound => "the provider does not know the model or the path",
            Self::ContextLength => "the conversation is too long for the model",
            Self::ContentRefused => "the provider refused the content",
            Self::BadRequest => "the request is wrong",
            Self::OtherRefusal => "the provider refused the request",
            Self::Unsuitable => "the target cannot be asked this",
            Self::Withheld => "a guardrail refused the answer",
            Self::HookFailed => "the guardrail hook failed",
            Self::Over => "the time for the request is over",
        }
    }
}

// === impl AttemptError ===

impl AttemptError {
    /// Returns the class of the failure.
    pub(super) fn fault(&self) -> Fault {
        use signalbox_upstream::Error;
        match self {
            Self::Transport(Error::TotalTimeout { .. })
            | Self::ShuttingDown
            | Self::Cancelled
            | Self::NoCandidate => Fault::Over,
            Self::Guarded(refused) if refused.is_content() => Fault::Withheld,
            Self::Guarded(_) => Fault::HookFailed,
            Self::Transport(
                Error::HeadersTimeout { .. } | Error::IdleTimeout { .. } | Error::ConnectTimeout { .. },
            )
            | Self::FirstToken { .. } => Fault::Timeout,
            Self::AtLimit(_) => Fault::RateLimit,
            Self::Transport(Error::Reset { .. } | Error::Truncated { .. }) => Fault::Reset,
            Self::Transport(Error::Protocol { .. } | Error::Decoding { .. }) => Fault::Unusable,
            Self::Transport(
                Error::Policy { .. } | Error::PolicyName { .. } | Error::OwnAddress { .. } | Error::TlsFiles { .. },
            ) => Fault::Unsuitable,
            Self::Transport(_) => Fault::Connect,
            Self::Invalid { .. } | Self::TooLarge { .. } => Fault::Unusable,
            Self::Misconfigured { .. } | Self::Untranslatable(_) | Self::Stored(_) | Self::NoRoute { .. } => {
                Fault::Unsuitable
            }
            Self::Status { body, .. } | Self::Reported { body, .. } => {
                let status = self.status().map(|status| status.as_u16());
                of_status(status.unwrap_or(502), hub::Failure::read(status, body).class)
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

/// Returns the class of a failure with this status, whose body was read as `class`.
const fn of_status(status: u16, class: ErrorClass) -> Fault {
    match (class, status) {
        (ErrorClass::ContentRefused, _) => Fault::ContentRefused,
        (ErrorClass::ContextLength, _) => Fault::ContextLength,
        (ErrorClass::Billing, _) => Fault::Billing,
        (_, 400 | 405 | 406 | 410 | 411 | 413 | 414 | 415 | 416 | 417 | 422) => match class {
            ErrorClass::Overloaded => Fault::Overloaded,
            ErrorClass::Credentials => Fault::Credentials,
            _ => Fault::BadRequest,
        },
        (_, 401 | 403) => Fault::Credentials,
        (_, 404) => Fault::NotFound,
        (_, 408 | 504) => Fault::Timeout,
        (_, 429) => Fault::RateLimit,
        (_, 402) => Fault::Billing,
        (ErrorClass::Overloaded, _) | (_, 503 | 529) => Fault::Overloaded,
        (_, 400..=499) => Fault::OtherRefusal,
        (_, 300..=399) => Fault::Unusable,
        _ => Fault::Server,
    }
}

/// Reads `retry-after-ms` or `retry-after`, seconds or a date. A date in the past is no wait.
fn retry_after(headers: &HeaderMap, unix_ms: i64) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(millis) = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(millis / 1_000.0).ok();
    }
    let text = text(header::RETRY_AFTER.as_str())?;
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = rfc2822::parse(text).ok()?.timestamp().as_millisecond();
    Some(Duration::from_millis(u64::try_from(date.saturating_sub(unix_ms)).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;

    use super::*;

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
            ("retry-after", "-3", None),
            ("retry-after", "soon", None),
        ] {
            assert_eq!(wait(name, value), expected.map(Duration::from_millis), "{name}: {value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), 0), None);
    }
}
