//! Classes of failures, and their consequences: one table for answers that fail and for streams that break off.

use signalbox_translate::hub::ErrorClass;
use signalbox_upstream::Error;

/// Class of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
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
pub(crate) struct Rule {
    /// Whether the same target may be asked again.
    pub(crate) again: bool,
    /// Which other target may be asked.
    pub(crate) next: NextTarget,
    /// Whether the failure counts against the breaker of the target.
    pub(crate) counts: bool,
}

/// Other targets that may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextTarget {
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
    pub(crate) const fn rule(self) -> Rule {
        use NextTarget::{Any, Larger, None};
        #[rustfmt::skip]
        let (again, next, counts) = match self {
            //                       again  next    counts
            Self::Connect        => (true,  Any,    true),
            Self::Reset          => (true,  Any,    true),
            Self::Timeout        => (false, Any,    true),
            Self::RateLimit      => (true,  Any,    true),
            Self::Overloaded     => (true,  Any,    true),
            Self::Server         => (true,  Any,    true),
            Self::Unusable       => (false, Any,    true),
            Self::Credentials    => (false, Any,    true),
            Self::Billing        => (false, Any,    true),
            Self::NotFound       => (false, Any,    false),
            Self::ContextLength  => (false, Larger, false),
            Self::ContentRefused => (false, None,   false),
            Self::BadRequest     => (false, None,   false),
            Self::OtherRefusal   => (false, Any,    false),
            Self::Unsuitable     => (false, Any,    false),
            Self::Withheld       => (false, None,   false),
            Self::HookFailed     => (false, None,   false),
            Self::Over           => (false, None,   false),
        };
        Rule { again, next, counts }
    }

    /// Returns the words for explanations.
    pub(crate) const fn as_str(self) -> &'static str {
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

    /// Returns the class of a failed connection.
    pub(crate) const fn of_transport(error: &Error) -> Self {
        match error {
            Error::TotalTimeout { .. } => Self::Over,
            Error::HeadersTimeout { .. } | Error::IdleTimeout { .. } | Error::ConnectTimeout { .. } => Self::Timeout,
            Error::Reset { .. } | Error::Truncated { .. } => Self::Reset,
            Error::Protocol { .. } | Error::Decoding { .. } => Self::Unusable,
            Error::Policy { .. } | Error::PolicyName { .. } | Error::OwnAddress { .. } | Error::TlsFiles { .. } => {
                Self::Unsuitable
            }
            _ => Self::Connect,
        }
    }

    /// Returns the class of an answer with this status, whose body was read as `class`.
    pub(crate) const fn of_status(status: u16, class: ErrorClass) -> Self {
        match (class, status) {
            (ErrorClass::ContentRefused, _) => Self::ContentRefused,
            (ErrorClass::ContextLength, _) => Self::ContextLength,
            (ErrorClass::Billing, _) => Self::Billing,
            (_, 400 | 405 | 406 | 410 | 411 | 413 | 414 | 415 | 416 | 417 | 422) => match class {
                ErrorClass::Overloaded => Self::Overloaded,
                ErrorClass::Credentials => Self::Credentials,
                _ => Self::BadRequest,
            },
            (_, 401 | 403) => Self::Credentials,
            (_, 404) => Self::NotFound,
            (_, 408 | 504) => Self::Timeout,
            (_, 429) => Self::RateLimit,
            (_, 402) => Self::Billing,
            (ErrorClass::Overloaded, _) | (_, 503 | 529) => Self::Overloaded,
            (_, 400..=499) => Self::OtherRefusal,
            (_, 300..=399) => Self::Unusable,
            _ => Self::Server,
        }
    }

    /// Returns the class of an error that a stream reports.
    pub(crate) const fn of_event(class: ErrorClass) -> Self {
        match class {
            ErrorClass::BadRequest | ErrorClass::TooLarge => Self::BadRequest,
            ErrorClass::ContextLength => Self::ContextLength,
            ErrorClass::ContentRefused => Self::ContentRefused,
            ErrorClass::Credentials | ErrorClass::Permission => Self::Credentials,
            ErrorClass::Billing => Self::Billing,
            ErrorClass::NotFound => Self::NotFound,
            ErrorClass::Conflict => Self::OtherRefusal,
            ErrorClass::RateLimit => Self::RateLimit,
            ErrorClass::Overloaded => Self::Overloaded,
            ErrorClass::Timeout => Self::Timeout,
            ErrorClass::Server => Self::Server,
            ErrorClass::Incomplete => Self::Reset,
            ErrorClass::Foreign => Self::Unusable,
        }
    }
}
