//! The one place that knows status codes and error shapes.
//!
//! Everything but the settings answers
//! `{"error": {"message", "type", "code"?, "errors"?: [text]}}`; settings and lifecycle commands keep the shapes of the
//! original.

use std::borrow::Cow;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use signalbox_daemon::{BodyError, Denied, admin, doors};
use signalbox_store as store;

/// Why a request is refused, or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body or the query is not what it should be; every mistake at once.
    #[error("Validation failed")]
    Validation(Vec<String>),
    /// The body is not JSON.
    #[error("The body is not valid JSON: {0}")]
    Malformed(String),
    /// The body says that it is something else than JSON.
    #[error("The body has to be JSON, with `Content-Type: application/json`; it is {0}")]
    NotJson(String),
    /// The body cannot be had.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// There is no such thing.
    #[error("{what} not found: {id}")]
    Missing {
        /// What kind of thing.
        what: Thing,
        /// Which.
        id: String,
    },
    /// There is one already.
    #[error("{message}")]
    Conflict {
        /// `provider_exists`, `model_exists`, …
        code: &'static str,
        /// One sentence.
        message: String,
    },
    /// The settings' way of saying that a value is wrong.
    #[error("{0}")]
    InvalidSetting(String),
    /// The settings' way of saying that a key is unknown.
    #[error("Setting not found")]
    MissingSetting(String),
    /// The router has not loaded the provider.
    #[error("The provider {id} is not loaded: {reason}")]
    NotLoaded {
        /// Which.
        id: String,
        /// Why.
        reason: String,
    },
    /// The provider is disabled.
    #[error("The provider {0} is disabled; enable it first")]
    Disabled(String),
    /// The router does not answer.
    #[error("provider-router does not answer ({0}); what is saved takes effect when it runs")]
    RouterAway(String),
    /// A lifecycle command failed; the original's shape for that is its own, too.
    #[error("{error}")]
    Lifecycle {
        /// Why.
        error: String,
        /// `crashed`, `startup_timeout`, …
        code: Option<&'static str>,
        /// `{"providerRouter": {...}, "qwenProxy": {...}}`.
        children: Value,
    },
    /// A port that a service needs belongs to somebody else. In the same shape.
    #[error("{error}")]
    PortInUse {
        /// The whole story.
        error: String,
        /// The port.
        port: u16,
        /// `{"pid", "name"}`, where the operating system tells.
        owner: Option<Value>,
        /// `{"providerRouter": {...}, "qwenProxy": {...}}`.
        children: Value,
    },
    /// No such route.
    #[error("Cannot {0} {1}")]
    NoRoute(Method, String),
    /// The route exists, for another method.
    #[error("{0} is not allowed here")]
    NoMethod(Method),
    /// The control token is needed, and was not given or is wrong.
    #[error(
        "Unauthorized: send the control token, which `api-server token` prints, as `Authorization: Bearer <token>`"
    )]
    Unauthorized,
    /// Wrong keys came too often from the same address.
    #[error(transparent)]
    WrongKeys(Denied),
    /// Somebody else was meant, or a page that may not asks.
    #[error(transparent)]
    Door(#[from] doors::Refused),
    /// Not of this machine.
    #[error(transparent)]
    NotLocal(#[from] admin::Refused),
    /// A file of ours cannot be read.
    #[error("Cannot read the log: {0}")]
    Unreadable(String),
    /// The store's word.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The store's word about what was attempted.
    #[error("{error}")]
    Attempt {
        /// `credentials_set_failed`, …
        code: &'static str,
        /// What the store said.
        error: store::Error,
    },
    /// A handler panicked.
    #[error("Internal error")]
    Panic,
}

/// What can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the things")]
pub enum Thing {
    Provider,
    Model,
    Link,
    ConfigKey,
    Session,
    Request,
    Response,
    Credential,
    Log,
}

/// Says what a refusal of the store means here.
pub trait Meaning<T> {
    /// A missing row means that this thing is missing.
    ///
    /// # Errors
    /// [`Error::Missing`], or what the store said.
    fn or_missing(self, what: Thing, id: &str) -> Result<T, Error>;

    /// A row that exists already means this.
    ///
    /// # Errors
    /// [`Error::Conflict`], or what the store said.
    fn or_conflict(self, code: &'static str, message: impl FnOnce() -> String) -> Result<T, Error>;

    /// Whatever the store says, the error has this code.
    ///
    /// # Errors
    /// [`Error::Attempt`] in place of [`Error::Store`].
    fn or_code(self, code: &'static str) -> Result<T, Error>;
}

// === impl Error ===

impl Error {
    /// One mistake in the body or the query.
    pub fn invalid(mistake: impl Into<String>) -> Self {
        Self::Validation(vec![mistake.into()])
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Validation(_)
            | Self::Malformed(_)
            | Self::InvalidSetting(_)
            | Self::NotLoaded { .. }
            | Self::Disabled(_) => StatusCode::BAD_REQUEST,
            Self::RouterAway(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::WrongKeys(denied) => denied.status(),
            Self::NotJson(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Door(refused) => refused.status(),
            Self::NotLocal(refused) => refused.status(),
            Self::Missing { .. } | Self::MissingSetting(_) | Self::NoRoute(..) => StatusCode::NOT_FOUND,
            Self::NoMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict { .. } | Self::PortInUse { .. } => StatusCode::CONFLICT,
            Self::Body(error) => error.status(),
            Self::Lifecycle { .. } | Self::Unreadable(_) | Self::Panic => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Store(error) | Self::Attempt { error, .. } => match error {
                store::Error::NotFound { .. } => StatusCode::NOT_FOUND,
                store::Error::Conflict { .. } => StatusCode::CONFLICT,
                store::Error::Invalid(_) => StatusCode::BAD_REQUEST,
                store::Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }

    /// The class of the error.
    fn kind(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "entity.parse.failed",
            Self::Body(BodyError::TooLarge { .. }) => "entity.too.large",
            Self::Body(BodyError::Broken) => "entity.parse.failed",
            Self::Body(BodyError::TooSlow) => "request_timeout",
            Self::Body(BodyError::Crowded) => "overloaded",
            Self::Unauthorized => "authentication_error",
            Self::WrongKeys(denied) => denied.kind(),
            Self::NotJson(_) => "unsupported_media_type",
            Self::Door(refused) => refused.kind(),
            Self::NotLocal(_) => "permission_error",
            Self::NoMethod(_) => "method_not_allowed",
            Self::NotLoaded { .. } => "provider_not_loaded_error",
            Self::Disabled(_) => "provider_disabled_error",
            Self::RouterAway(_) => "connection_error",
            Self::Store(error) | Self::Attempt { error, .. } if matches!(error, store::Error::Unavailable(_)) => {
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
            Self::Conflict { code, .. } | Self::Attempt { code, .. } => Some(code),
            Self::NoRoute(..) => Some("route_not_found"),
            Self::WrongKeys(denied) => Some(denied.code()),
            Self::NotLoaded { .. } => Some("provider_not_loaded"),
            Self::Disabled(_) => Some("provider_disabled"),
            Self::RouterAway(_) => Some("router_unavailable"),
            Self::Door(refused) => Some(refused.code()),
            Self::NotLocal(refused) => Some(refused.code()),
            _ => None,
        }
    }

    /// What the caller is told. What is wrong inside is for the log.
    fn message(&self) -> Cow<'static, str> {
        match self {
            Self::Store(error) | Self::Attempt { error, .. } if matches!(error, store::Error::Unavailable(_)) => {
                "The database is not available at the moment; nothing was changed".into()
            }
            // It says what to do, and nothing of the secret.
            Self::Store(error @ store::Error::Sealed(_)) => error.to_string().into(),
            Self::Store(_) | Self::Attempt { .. } if self.status() == StatusCode::INTERNAL_SERVER_ERROR => {
                "Internal error".into()
            }
            _ => self.to_string().into(),
        }
    }

    fn body(&self) -> Value {
        match self {
            Self::InvalidSetting(message) => json!({ "error": "Validation failed", "message": message }),
            Self::MissingSetting(key) => json!({ "error": "Setting not found", "key": key }),
            Self::Lifecycle { error, code, children } => {
                let mut body = lifecycle(error, children);
                if let Some(code) = code {
                    body["code"] = (*code).into();
                }
                body
            }
            Self::PortInUse { error, port, owner, children } => {
                let mut body = lifecycle(error, children);
                body["code"] = "PORT_IN_USE".into();
                body["port"] = (*port).into();
                body["owner"] = owner.clone().into();
                body
            }
            _ => {
                let mut error = json!({ "message": self.message(), "type": self.kind() });
                if let Some(code) = self.code() {
                    error["code"] = code.into();
                }
                if let Self::Validation(mistakes) = self {
                    error["errors"] = mistakes.clone().into();
                }
                json!({ "error": error })
            }
        }
    }
}

/// The original's shape for a lifecycle command that failed.
fn lifecycle(error: &str, children: &Value) -> Value {
    let mut body = children.clone();
    body["success"] = false.into();
    body["status"] = "error".into();
    body["error"] = error.into();
    body["message"] = error.into();
    body
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unknown => Self::Unauthorized,
            Denied::TooMany { .. } => Self::WrongKeys(denied),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::warn!(error = %self, status = status.as_u16(), "request failed");
        }
        let mut response = (status, Json(self.body())).into_response();
        let retry_after = match self {
            Self::WrongKeys(denied) => denied.retry_after(),
            _ => (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1),
        };
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

// === impl Thing ===

impl Thing {
    fn code(self) -> &'static str {
        match self {
            Self::Provider => "provider_not_found",
            Self::Model => "model_not_found",
            Self::Link => "model_not_linked",
            Self::ConfigKey => "config_key_not_found",
            Self::Session => "session_not_found",
            Self::Request => "request_not_found",
            Self::Response => "response_not_found",
            Self::Credential => "credential_not_found",
            Self::Log => "log_not_found",
        }
    }
}

impl std::fmt::Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Provider => "Provider",
            Self::Model => "Model",
            Self::Link => "Model link",
            Self::ConfigKey => "Configuration key",
            Self::Session => "Session",
            Self::Request => "Request",
            Self::Response => "Response",
            Self::Credential => "Credential",
            Self::Log => "Log",
        })
    }
}

// === impl Meaning ===

impl<T, E: Into<Error>> Meaning<T> for Result<T, E> {
    fn or_missing(self, what: Thing, id: &str) -> Result<T, Error> {
        self.map_err(|error| match error.into() {
            Error::Store(store::Error::NotFound { .. }) => Error::Missing { what, id: id.to_owned() },
            other => other,
        })
    }

    fn or_conflict(self, code: &'static str, message: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|error| match error.into() {
            Error::Store(store::Error::Conflict { .. }) => Error::Conflict { code, message: message() },
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
