//! The parts that all APIs of the provider have in common.

use serde_json::{Value, json};

use crate::{http::Request, play::Stream, script::Chat};

/// Where a request comes from.
pub(crate) struct Origin<'a> {
    pub(crate) request: &'a Request,
    /// Number of the request, which makes ids unique.
    pub(crate) number: u64,
    pub(crate) store: &'a std::sync::Arc<crate::responses::Store>,
}

/// An API with requests that are checked as the vendor checks them.
pub(crate) trait Surface: Sized + Send {
    type Events: Stream<Piece: Send + Sync> + Send + Sync;

    fn check(body: Value, origin: &Origin<'_>) -> Result<Self, Refusal>;

    fn streams(&self) -> bool;

    fn events(self, chat: &Chat) -> Self::Events;

    /// Returns the JSON text of an answer that is not streamed.
    fn whole(self, chat: &Chat) -> String;

    /// Returns the JSON text of an error.
    fn error(refusal: &Refusal, request_id: &str) -> String;
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) message: String,
    /// Path of the field, in OpenAI's bodies.
    pub(crate) param: Option<String>,
    /// Code, in OpenAI's bodies.
    pub(crate) code: Option<&'static str>,
}

// === impl Refusal ===

impl Refusal {
    /// Refuses an invalid request.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into(), param: None, code: None }
    }

    pub(crate) fn of(mut self, param: impl Into<String>, code: &'static str) -> Self {
        self.param = Some(param.into());
        self.code = Some(code);
        self
    }

    /// Returns the scripted error with this status.
    pub(crate) fn scripted(status: u16) -> Self {
        let code = match status {
            400 => "bad_request",
            401 => "invalid_api_key",
            404 => "model_not_found",
            429 => "rate_limit_exceeded",
            _ => "server_error",
        };
        let message = format!("The fake provider responds with {status}, as scripted.");
        Self { status, message, param: None, code: Some(code) }
    }

    /// Returns the JSON text of an error in OpenAI's format.
    pub(crate) fn openai(&self) -> String {
        let kind = match self.status {
            401 => "authentication_error",
            429 => "rate_limit_error",
            500..=599 => "server_error",
            _ => "invalid_request_error",
        };
        let error = json!({"message": self.message, "type": kind, "param": self.param, "code": self.code});
        json!({"error": error}).to_string()
    }
}
