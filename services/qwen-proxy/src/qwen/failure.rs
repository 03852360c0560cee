//! Failures of calls to chat.qwen.ai, with a remedy for the user. Pure functions.
//!
//! The site reports errors in several forms: statuses, JSON with `success:false` and status 200, pages of its firewall,
//! pages that ask for a login. [`classify_response`] and [`of_json`] classify them. A challenge of the firewall is left
//! to the user, who can pass it in a browser; the service never tries to.

mod report;

use http::StatusCode;
use tokio::time::Duration;

use self::report::Report;
use super::login::Login;

/// Maximum characters of the site's message that are quoted to the user.
const MAX_QUOTED_CHARS: usize = 300;

/// A failed call to the site. The message is addressed to the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A page of the firewall instead of JSON.
    #[error("chat.qwen.ai responded with a page of its firewall instead of an answer; {CHALLENGE_ADVICE}")]
    Firewall,
    /// The firewall requires a captcha.
    #[error("chat.qwen.ai requires a captcha; {CHALLENGE_ADVICE}")]
    Captcha,
    /// A page that asks for a login, or status 401.
    #[error("chat.qwen.ai rejected the login (authentication failed); {LOGIN_ADVICE}")]
    Login,
    /// Status 403.
    #[error("chat.qwen.ai forbids the request, because the login is invalid or has expired; {LOGIN_ADVICE}")]
    Forbidden,
    /// Status 429.
    #[error("the rate limit of chat.qwen.ai is exceeded; wait{} and try again", wait(*retry_after))]
    RateLimited {
        /// Time to wait as requested by the site.
        retry_after: Option<Duration>,
    },
    /// The account's quota is used up.
    #[error(
        "the quota of the account at chat.qwen.ai is used up ({details}); wait{}, or use another login",
        wait(*retry_after)
    )]
    Quota {
        /// Time until quota is available again.
        retry_after: Option<Duration>,
        /// Message of the site.
        details: String,
    },
    /// The chat or the parent message does not exist. Conversations recover from this.
    #[error("chat.qwen.ai no longer has the conversation ({0}); send the request again to begin a new one")]
    ChatLost(String),
    /// Status 404.
    #[error(
        "the endpoint does not exist at chat.qwen.ai (HTTP 404); check `upstream.base_url`, or update this program"
    )]
    NoEndpoint,
    /// Another status from 400 to 499.
    #[error(
        "chat.qwen.ai rejected the request (HTTP {status}{}); change it, or update this program if it was accepted \
         before",
        quoted(details)
    )]
    Status {
        /// Status of the response.
        status: u16,
        /// Message of the site.
        details: String,
    },
    /// A status of 500 or more.
    #[error("chat.qwen.ai failed (server error {status}{}); try again later", quoted(details))]
    Server {
        /// Status of the response.
        status: u16,
        /// Message of the site.
        details: String,
    },
    /// `success:false` for any other reason.
    #[error("chat.qwen.ai rejected the request{}; change it, or try again later", quoted(.0))]
    Refused(String),
    /// A response that is neither an answer nor a known error.
    #[error("chat.qwen.ai sent an invalid response ({0}); try again, and update this program if the error persists")]
    Unreadable(String),
    /// An empty answer.
    #[error("chat.qwen.ai sent an empty answer; try again, or begin a new conversation")]
    Empty,
    /// The stream ended prematurely.
    #[error("the answer of chat.qwen.ai ended early ({0}) and is incomplete; send the request again")]
    BrokenOff(String),
    /// No connection could be made.
    #[error("unable to connect to chat.qwen.ai ({0}); check the network and `upstream.base_url`")]
    Unreachable(String),
    /// A deadline was exceeded.
    #[error("chat.qwen.ai did not respond in time ({0}); try again, or raise `upstream.timeout`")]
    TimedOut(String),
    /// The request is larger than the firewall permits.
    #[error(
        "the prompt is too long: the request has {size} bytes, and chat.qwen.ai accepts at most {limit}. Shorten the \
         messages, or begin a new conversation"
    )]
    TooLong {
        /// Size of the request in bytes.
        size: usize,
        /// Maximum size in bytes.
        limit: usize,
    },
}

const CHALLENGE_ADVICE: &str =
    "open https://chat.qwen.ai in your browser, complete its check, then log in again (`qwen-proxy login`)";
const LOGIN_ADVICE: &str = "log in again (`qwen-proxy login`)";

/// Classifies a response by its status, content type and the beginning of its body. Returns `None` for a success: JSON
/// or events.
#[must_use]
pub fn classify_response(
    status: StatusCode,
    content_type: &str,
    retry_after: Option<Duration>,
    body: &[u8],
) -> Option<Failure> {
    let page = is_page(content_type, body).then(|| of_page(body));
    match status.as_u16() {
        500.. => Some(Failure::Server {
            status: status.as_u16(),
            details: if page.is_some() { String::new() } else { message_of(body) },
        }),
        429 => Some(Failure::RateLimited { retry_after }),
        // The firewall uses status 405, sometimes 403.
        403 | 405 if page == Some(Failure::Firewall) => page,
        401 => Some(Failure::Login),
        403 => Some(of_json(body).filter(Failure::is_challenge).unwrap_or(Failure::Forbidden)),
        404 => {
            Some(of_json(body).filter(|failure| matches!(failure, Failure::ChatLost(_))).unwrap_or(Failure::NoEndpoint))
        }
        400..=499 => Some(
            of_json(body)
                .filter(|failure| !matches!(failure, Failure::Refused(_)))
                .unwrap_or_else(|| Failure::Status { status: status.as_u16(), details: message_of(body) }),
        ),
        // The site redirects only to its login page.
        300..=399 => Some(Failure::Login),
        _ => page.or_else(|| of_json(body)),
    }
}

/// Returns the failure reported by a JSON text, if any. See [`Report`] for the recognised formats.
#[must_use]
pub fn of_json(text: &[u8]) -> Option<Failure> {
    let value = report::parse(text)?;
    let report = Report::read(&value)?;
    let details = report.words().unwrap_or_else(|| details(text));
    let code = report.code().unwrap_or_default().to_ascii_lowercase();
    let said = String::from_utf8_lossy(text).to_ascii_lowercase();
    let says = |any: &[&str]| any.iter().any(|word| said.contains(word));
    Some(if says(&["fail_sys_user_validate", "rgv587", "_____tmd_____", "punish"]) {
        Failure::Captcha
    } else if says(&["is not exist", "does not exist", "not_found"]) && says(&["chat", "parent"]) {
        Failure::ChatLost(details)
    } else if code.contains("ratelimit") || says(&["upper limit", "quota", "usage limit"]) {
        // The site specifies the wait in hours.
        let hours = report.wait_hours().filter(|hours| (1..=24 * 31).contains(hours));
        Failure::Quota { retry_after: hours.map(|hours| Duration::from_secs(hours * 3600)), details }
    } else if says(&["too many requests", "rate limit"]) {
        Failure::RateLimited { retry_after: None }
    } else if says(&["unauthorized", "token expired", "token has expired", "invalid token", "not logged in"]) {
        Failure::Login
    } else if code == "forbidden" {
        Failure::Forbidden
    } else {
        match report.status() {
            Some(401) => Failure::Login,
            Some(403) => Failure::Forbidden,
            Some(429) => Failure::RateLimited { retry_after: None },
            Some(status @ 400..=499) => Failure::Status { status, details },
            Some(status @ 500..=599) => Failure::Server { status, details },
            _ => Failure::Refused(details),
        }
    })
}

/// Returns `true` if the response is an HTML page.
#[must_use]
pub fn is_page(content_type: &str, body: &[u8]) -> bool {
    content_type.starts_with("text/html") || body.trim_ascii_start().first() == Some(&b'<')
}

fn of_page(body: &[u8]) -> Failure {
    let page = String::from_utf8_lossy(body).to_ascii_lowercase();
    let has = |any: &[&str]| any.iter().any(|word| page.contains(word));
    if has(&["fail_sys_user_validate", "_____tmd_____", "captcha"]) {
        Failure::Captcha
    } else if !has(&["aliyun_waf", "_waf_", "renderdata"]) && has(&["/auth", "signin", "sign in", "login", "log in"]) {
        Failure::Login
    } else {
        Failure::Firewall
    }
}

/// Returns the message of an error body: that of a known format, or the text itself.
fn message_of(body: &[u8]) -> String {
    let value = report::parse(body);
    let said = value.as_ref().and_then(Report::read).and_then(|report| report.words());
    said.unwrap_or_else(|| details(body))
}

/// Returns the beginning of a text for quotation, without control characters.
pub(super) fn details(body: &[u8]) -> String {
    cut(&String::from_utf8_lossy(body))
}

fn cut(text: &str) -> String {
    text.trim().chars().filter(|char| !char.is_control()).take(MAX_QUOTED_CHARS).collect()
}

fn quoted(details: &str) -> String {
    if details.is_empty() { String::new() } else { format!(", saying: {details}") }
}

fn wait(retry_after: Option<Duration>) -> String {
    match retry_after.map(|wait| wait.as_secs()) {
        None => " a minute".to_owned(),
        Some(seconds) if seconds >= 7200 => format!(" {} hours", seconds / 3600),
        Some(seconds) => format!(" {seconds} seconds"),
    }
}

// === impl Failure ===

impl Failure {
    /// Returns the status of the response to the client.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            // Chosen because clients do not retry it automatically.
            Self::Firewall | Self::Captcha | Self::Login => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::RateLimited { .. } | Self::Quota { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NoEndpoint => StatusCode::NOT_FOUND,
            Self::Status { status, .. } | Self::Server { status, .. } => {
                StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY)
            }
            Self::ChatLost(_) | Self::Refused(_) | Self::Unreadable(_) | Self::Empty | Self::BrokenOff(_) => {
                StatusCode::BAD_GATEWAY
            }
            Self::Unreachable(_) => StatusCode::BAD_GATEWAY,
            Self::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::TooLong { .. } => StatusCode::BAD_REQUEST,
        }
    }

    /// Returns OpenAI's error type.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Firewall | Self::Captcha | Self::Login => "authentication_error",
            Self::Forbidden => "permission_error",
            Self::RateLimited { .. } => "rate_limit_error",
            Self::Quota { .. } => "insufficient_quota",
            Self::TooLong { .. } => "invalid_request_error",
            _ => "upstream_error",
        }
    }

    /// Returns the stable error code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Firewall => "waf_challenge",
            Self::Captcha => "captcha_required",
            Self::Login => "invalid_credentials",
            Self::Forbidden => "forbidden",
            Self::RateLimited { .. } => "rate_limit_exceeded",
            Self::Quota { .. } => "insufficient_quota",
            Self::ChatLost(_) => "chat_lost",
            Self::NoEndpoint => "upstream_not_found",
            Self::Status { .. } => "upstream_rejected",
            Self::Server { .. } => "upstream_server_error",
            Self::Refused(_) => "qwen_api_error",
            Self::Unreadable(_) => "upstream_invalid_response",
            Self::Empty => "empty_answer",
            Self::BrokenOff(_) => "upstream_truncated",
            Self::Unreachable(_) => "upstream_unreachable",
            Self::TimedOut(_) => "upstream_timeout",
            // Agents recognise this code and shorten their history.
            Self::TooLong { .. } => "context_length_exceeded",
        }
    }

    /// Returns the time after which the same request may succeed.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Quota { retry_after, .. } => {
                Some(retry_after.unwrap_or(Duration::from_secs(60)))
            }
            _ => None,
        }
    }

    /// Returns the cool-down time of the login. A quota applies to one model, so it causes no cool-down: another model
    /// may be used at once.
    #[must_use]
    pub fn cool_down(&self) -> Option<Duration> {
        self.retry_after().filter(|_| matches!(self, Self::RateLimited { .. }))
    }

    /// Returns `true` if the login has to be renewed.
    #[must_use]
    pub const fn requires_new_login(&self) -> bool {
        matches!(self, Self::Login | Self::Forbidden) || self.is_challenge()
    }

    /// Masks all parts of the login in the message.
    #[must_use]
    pub fn scrubbed(self, login: &Login) -> Self {
        match self {
            Self::Quota { retry_after, details } => Self::Quota { retry_after, details: login.scrub(details) },
            Self::Status { status, details } => Self::Status { status, details: login.scrub(details) },
            Self::Server { status, details } => Self::Server { status, details: login.scrub(details) },
            Self::Refused(details) => Self::Refused(login.scrub(details)),
            Self::ChatLost(details) => Self::ChatLost(login.scrub(details)),
            other => other,
        }
    }

    /// Returns `true` if the site itself reported the failure, rather than its answer being cut off or unreadable.
    #[must_use]
    pub const fn is_reported(&self) -> bool {
        match self {
            Self::Unreadable(_)
            | Self::Empty
            | Self::BrokenOff(_)
            | Self::Unreachable(_)
            | Self::TimedOut(_)
            | Self::TooLong { .. } => false,
            Self::Firewall
            | Self::Captcha
            | Self::Login
            | Self::Forbidden
            | Self::RateLimited { .. }
            | Self::Quota { .. }
            | Self::ChatLost(_)
            | Self::NoEndpoint
            | Self::Status { .. }
            | Self::Server { .. }
            | Self::Refused(_) => true,
        }
    }

    /// Returns `true` if the firewall requires an interactive check.
    #[must_use]
    pub const fn is_challenge(&self) -> bool {
        matches!(self, Self::Firewall | Self::Captcha)
    }
}

impl From<signalbox_upstream::Error> for Failure {
    fn from(error: signalbox_upstream::Error) -> Self {
        use signalbox_upstream::Error;
        let said = error.to_string();
        match error {
            error if error.is_timeout() => Self::TimedOut(said),
            Error::Truncated { .. } | Error::Reset { head_received: true, .. } => Self::BrokenOff(said),
            _ => Self::Unreachable(said),
        }
    }
}

#[cfg(test)]
mod tests;
