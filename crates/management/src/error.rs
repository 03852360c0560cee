//! Defines all status codes and error formats of the management API.
//!
//! All routes but the settings respond with `{"error": {"message", "type", "code"?, "errors"?: [text], "details"?:
//! [{"field", "message"}]}}`; settings and lifecycle commands keep the formats of the Node.js version.

mod resource_kind;

use std::borrow::Cow;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use signalbox_daemon::{BodyError, Denied, admin, host_origin_guard};
use signalbox_store as store;

pub use self::resource_kind::ResourceKind;
use super::error_schemas::{Failure, FailureDetail, InvalidSetting, LifecycleFailure, MissingSetting, PortInUse};
use super::mistake::FieldMistake;
use super::version::Version;

/// The message of an error of a damaged database.
const DAMAGED: &str =
    "The database is damaged, and nothing was changed. The log of the server has the reason; restore a backup";

/// The message of an error whose reason is not for clients.
const INTERNAL: &str = "Internal error. The log of the server has the reason; try again, and report it if it stays";

/// The reason why a request was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body or the query is invalid; contains every mistake.
    #[error("Validation failed")]
    Validation(Vec<FieldMistake>),
    /// The body is not JSON.
    #[error("The body is not valid JSON: {0}. Correct it there, and send it again")]
    Malformed(String),
    /// The content type of the body is not JSON.
    #[error("The body must be JSON, and its content type is {0}. Send it with `Content-Type: application/json`")]
    NotJson(String),
    /// The body is compressed.
    #[error("request bodies must not be compressed (Content-Encoding: {0}); send the body as it is")]
    Encoded(String),
    /// The body could not be received.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The resource does not exist.
    #[error("{what} not found: {id}. {}", .what.advice())]
    Missing {
        /// The kind of resource.
        what: ResourceKind,
        /// The id of the resource.
        id: String,
    },
    /// The resource already exists.
    #[error("{message}")]
    Conflict {
        /// `provider_exists`, `model_exists`, …
        code: &'static str,
        /// One sentence of explanation.
        message: String,
    },
    /// A unique value of the resource belongs to another one.
    #[error("{message}")]
    Taken {
        /// `provider_exists`, `model_exists`, …
        code: &'static str,
        /// The field with the value.
        field: &'static str,
        /// One sentence of explanation.
        message: String,
    },
    /// The resource has another version than the one that the change is meant for.
    #[error(
        "If-Match does not name the present version, so nothing was written: it has changed since you read it, or the \
         value is wrong. Read it again, and repeat the change"
    )]
    Changed {
        /// The present version, without quotes.
        version: String,
    },
    /// The value of a setting is invalid; in the format of the settings routes. Contains every mistake.
    #[error("{}", joined(.0))]
    InvalidSetting(Vec<FieldMistake>),
    /// The key of a setting is unknown; in the format of the settings routes.
    #[error("The setting {0} has no value and no default. Write one with PUT, or list the settings that have one")]
    MissingSetting(String),
    /// The range begins after the end of the body, which has this length.
    #[error("The range begins after the end of the body, which has {0} bytes. Ask for an earlier one")]
    Beyond(usize),
    /// The router has not loaded the provider.
    #[error("The provider {id} is not loaded: {reason}. Start provider-router, or correct the provider")]
    NotLoaded {
        /// The id of the provider.
        id: String,
        /// The reason.
        reason: String,
    },
    /// The provider is disabled.
    #[error("The provider {0} is disabled, so the router does not load it. Enable it first")]
    Disabled(String),
    /// The router does not respond.
    #[error("provider-router does not answer ({0}); saved changes take effect when it runs again")]
    RouterAway(String),
    /// The router does not respond, so a message was not sent to a model.
    #[error("provider-router does not answer ({0}), so nothing was sent; start it and send the message again")]
    NotSent(String),
    /// The router does not respond, so what it is doing is not known.
    #[error("provider-router does not answer ({0}); start it, or try again in a moment")]
    RouterSilent(String),
    /// The router went away after a message was sent to it.
    #[error("provider-router {0}; the request log says whether a provider was asked")]
    RouterBroke(String),
    /// A lifecycle command failed; in the format that the Node.js version has for this case.
    #[error("{}", .0.reason())]
    Lifecycle(Box<LifecycleFailure>),
    /// A port that a service needs is in use by another process; in the same format.
    #[error("{}", .0.reason())]
    PortInUse(Box<PortInUse>),
    /// The doctor cannot be run.
    #[error("{0}")]
    Doctor(String),
    /// The route does not exist.
    #[error("Cannot {0} {1}: there is no such route. `/openapi.json` lists all routes")]
    NoRoute(Method, String),
    /// The route exists, but not for this method.
    #[error("{0} is not allowed here. The header `Allow` lists the methods that are")]
    NoMethod(Method),
    /// The control token is required, and is missing or wrong.
    #[error(
        "Unauthorized: send the control token, which `api-server token` prints, as `Authorization: Bearer <token>`"
    )]
    Unauthorized,
    /// Too many wrong keys came from the same address.
    #[error(transparent)]
    WrongKeys(Denied),
    /// The request is addressed to another host, or comes from a web page that is not allowed.
    #[error(transparent)]
    HostOrigin(#[from] host_origin_guard::Forbidden),
    /// The request does not come from this machine.
    #[error(transparent)]
    NotLocal(#[from] admin::ShutdownDenied),
    /// A log file cannot be read.
    #[error("Cannot read the log: {0}. Check the permissions of the log directory, and try again")]
    Unreadable(String),
    /// The files of the services cannot be measured.
    #[error("Cannot measure the data directory: {0}. Check its permissions, and try again")]
    Unmeasured(String),
    /// The shipped prices cannot be read, which a test excludes.
    #[error("Cannot read the shipped prices: {0}. This is a defect; report it")]
    Prices(String),
    /// The system returned no random bytes for a key.
    #[error("Cannot create a key: the system returns no random bytes ({0}). Nothing was written; try again")]
    NoRandom(String),
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// An error of the store during a specific operation.
    #[error("{error}")]
    Attempt {
        /// `credentials_set_failed`, …
        code: &'static str,
        /// The error of the store.
        error: store::Error,
    },
    /// A handler panicked.
    #[error("{INTERNAL}")]
    Panic,
}

/// Translates errors of the store to errors of the API.
pub trait StoreErrorExt<T> {
    /// Reports a missing row as this missing resource.
    ///
    /// # Errors
    /// Returns [`Error::Missing`], or the other error of the store.
    fn or_missing(self, what: ResourceKind, id: &str) -> Result<T, Error>;

    /// Reports a row that already exists as one that has the value of this field.
    ///
    /// # Errors
    /// Returns [`Error::Taken`], or the other error of the store.
    fn or_taken(self, code: &'static str, field: &'static str, message: impl FnOnce() -> String) -> Result<T, Error>;

    /// Reports every error of the store with this code.
    ///
    /// # Errors
    /// Returns [`Error::Attempt`] in place of [`Error::Store`].
    fn or_code(self, code: &'static str) -> Result<T, Error>;
}

// === impl Error ===

impl Error {
    /// Creates an error for a mistake of the request as a whole.
    pub fn invalid(mistake: impl Into<String>) -> Self {
        Self::Validation(vec![FieldMistake::of_request(mistake)])
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Validation(_)
            | Self::Malformed(_)
            | Self::InvalidSetting(_)
            | Self::NotLoaded { .. }
            | Self::Disabled(_) => StatusCode::BAD_REQUEST,
            Self::RouterAway(_) | Self::NotSent(_) | Self::RouterSilent(_) | Self::Doctor(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::RouterBroke(_) => StatusCode::BAD_GATEWAY,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::WrongKeys(denied) => denied.status(),
            Self::NotJson(_) | Self::Encoded(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::HostOrigin(refused) => refused.status(),
            Self::NotLocal(refused) => refused.status(),
            Self::Missing { .. } | Self::MissingSetting(_) | Self::NoRoute(..) => StatusCode::NOT_FOUND,
            Self::NoMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Beyond(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Conflict { .. } | Self::Taken { .. } | Self::PortInUse(_) => StatusCode::CONFLICT,
            Self::Changed { .. } => StatusCode::PRECONDITION_FAILED,
            Self::Body(error) => error.status(),
            Self::Lifecycle(_)
            | Self::Unreadable(_)
            | Self::Unmeasured(_)
            | Self::Prices(_)
            | Self::NoRandom(_)
            | Self::Panic => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Store(error) | Self::Attempt { error, .. } => match error {
                store::Error::NotFound { .. } => StatusCode::NOT_FOUND,
                store::Error::Conflict { .. } => StatusCode::CONFLICT,
                store::Error::Invalid(_) => StatusCode::BAD_REQUEST,
                store::Error::Unavailable(_) | store::Error::Corrupt(_) => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }

    /// Returns the class of the error.
    fn kind(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "entity.parse.failed",
            Self::Body(BodyError::TooLarge { .. }) => "entity.too.large",
            Self::Body(BodyError::Broken) => "entity.parse.failed",
            Self::Body(BodyError::TooSlow) => "request_timeout",
            Self::Body(BodyError::ArrivingLimit) => "overloaded",
            Self::Unauthorized => "authentication_error",
            Self::WrongKeys(denied) => denied.kind(),
            Self::NotJson(_) | Self::Encoded(_) => "unsupported_media_type",
            Self::HostOrigin(refused) => refused.kind(),
            Self::NotLocal(_) => "permission_error",
            Self::NoMethod(_) => "method_not_allowed",
            Self::Changed { .. } => "precondition_failed",
            Self::NotLoaded { .. } => "provider_not_loaded_error",
            Self::Disabled(_) => "provider_disabled_error",
            Self::RouterAway(_) | Self::NotSent(_) | Self::RouterSilent(_) | Self::RouterBroke(_) => "connection_error",
            Self::Store(error) | Self::Attempt { error, .. }
                if matches!(error, store::Error::Unavailable(_) | store::Error::Corrupt(_)) =>
            {
                "database_unavailable"
            }
            _ => match self.status() {
                StatusCode::BAD_REQUEST => "validation_error",
                StatusCode::NOT_FOUND => "not_found_error",
                StatusCode::CONFLICT => "conflict_error",
                _ => "internal_error",
            },
        }
    }

    fn code(&self) -> Option<&'static str> {
        match self {
            Self::Missing { what, .. } => Some(what.code()),
            Self::Conflict { code, .. } | Self::Taken { code, .. } | Self::Attempt { code, .. } => Some(code),
            Self::NoRoute(..) => Some("route_not_found"),
            Self::WrongKeys(denied) => Some(denied.code()),
            Self::Changed { .. } => Some("version_changed"),
            Self::Encoded(_) => Some("unsupported_content_encoding"),
            Self::Beyond(_) => Some("range_not_satisfiable"),
            Self::NotLoaded { .. } => Some("provider_not_loaded"),
            Self::Disabled(_) => Some("provider_disabled"),
            Self::RouterAway(_) | Self::NotSent(_) | Self::RouterSilent(_) => Some("router_unavailable"),
            Self::RouterBroke(_) => Some("router_broke_off"),
            Self::Doctor(_) => Some("doctor_failed"),
            Self::HostOrigin(refused) => Some(refused.code()),
            Self::NotLocal(refused) => Some(refused.code()),
            _ => None,
        }
    }

    /// Returns the message for the client. Internal details only go to the log.
    fn message(&self) -> Cow<'static, str> {
        match self {
            Self::Store(error) | Self::Attempt { error, .. } if matches!(error, store::Error::Unavailable(_)) => {
                "The database is unavailable, and nothing was changed; try again later".into()
            }
            Self::Store(store::Error::Corrupt(_)) | Self::Attempt { error: store::Error::Corrupt(_), .. } => {
                DAMAGED.into()
            }
            // The message advises the user and does not contain the secret.
            Self::Store(error @ store::Error::Sealed(_)) => error.to_string().into(),
            Self::Store(_) | Self::Attempt { .. } if self.status() == StatusCode::INTERNAL_SERVER_ERROR => {
                INTERNAL.into()
            }
            _ => self.to_string().into(),
        }
    }

    /// Converts the error to the body of its response.
    fn into_response_body(self) -> Response {
        match self {
            Self::InvalidSetting(details) => {
                let message = joined(&details);
                Json(InvalidSetting { error: "Validation failed", message, details }).into_response()
            }
            Self::MissingSetting(ref key) => {
                let (key, message) = (key.clone(), self.to_string());
                Json(MissingSetting { error: "Setting not found", key, message }).into_response()
            }
            Self::Lifecycle(failure) => Json(failure).into_response(),
            Self::PortInUse(failure) => Json(failure).into_response(),
            error => Json(Failure::of(error)).into_response(),
        }
    }
}

/// Joins all mistakes into one sentence, because the error format of the settings has no list of texts.
fn joined(mistakes: &[FieldMistake]) -> String {
    mistakes.iter().map(FieldMistake::message).collect::<Vec<_>>().join("; ")
}

impl Failure {
    fn of(error: Error) -> Self {
        let (message, r#type, code) = (error.message(), error.kind(), error.code());
        let text = |mistake: &FieldMistake| mistake.message().to_owned();
        let (mut errors, mut details, mut version) = (None, None, None);
        match error {
            Error::Validation(mistakes) => {
                errors = Some(mistakes.iter().map(text).collect());
                details = Some(mistakes);
            }
            Error::Taken { field, message, .. } => details = Some(vec![FieldMistake::new(field, message)]),
            Error::Changed { version: present } => version = Some(format!("\"{present}\"")),
            _ => {}
        }
        Self { error: FailureDetail { message, r#type, code, errors, details, version } }
    }
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::TooMany { .. } => Self::WrongKeys(denied),
            // The control token neither expires nor is bound to an address.
            Denied::Unknown | Denied::Expired | Denied::Revoked | Denied::Address(_) => Self::Unauthorized,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::warn!(error = %self, status = status.as_u16(), "request failed");
        }
        let retry_after = match &self {
            Self::WrongKeys(denied) => denied.retry_after(),
            _ => (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1),
        };
        let version = if let Self::Changed { version } = &self { Version::header(version) } else { None };
        let range = if let Self::Beyond(length) = &self { Some(format!("bytes */{length}")) } else { None };
        let mut response = self.into_response_body();
        *response.status_mut() = status;
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response.headers_mut().extend(version);
        if let Some(Ok(range)) = range.map(HeaderValue::try_from) {
            response.headers_mut().insert(header::CONTENT_RANGE, range);
        }
        response
    }
}

// === impl StoreErrorExt ===

impl<T, E: Into<Error>> StoreErrorExt<T> for Result<T, E> {
    fn or_missing(self, what: ResourceKind, id: &str) -> Result<T, Error> {
        self.map_err(|error| match error.into() {
            Error::Store(store::Error::NotFound { .. }) => Error::Missing { what, id: id.to_owned() },
            other => other,
        })
    }

    fn or_taken(self, code: &'static str, field: &'static str, message: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|error| match error.into() {
            Error::Store(store::Error::Conflict { .. }) => Error::Taken { code, field, message: message() },
            other => other,
        })
    }

    fn or_code(self, code: &'static str) -> Result<T, Error> {
        self.map_err(|error| match error.into() {
            Error::Store(error) => Error::Attempt { code, error },
            other => other,
        })
    }
}
