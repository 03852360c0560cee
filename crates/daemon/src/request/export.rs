//! Attributes of the exported spans, in the words of OpenTelemetry's semantic conventions for HTTP and generative AI.
//! No prompts, no answers, no keys, and no error texts of providers, which quote all of these.

use opentelemetry::Value;
use signalbox_core::schema::RequestStatus;
use tracing::Span;

use super::{AccessEntry, RequestContext, shortened};
use crate::traces::{record, set_name, set_status};

/// How an attempt ended.
#[derive(Clone, Debug, Default)]
pub struct AttemptEnd {
    /// Status of the provider's response.
    pub status: Option<u16>,
    /// Stable word for the failure; `None` if the response was used.
    pub error: Option<&'static str>,
    /// Model that answered, as the provider names it.
    pub response_model: Option<String>,
    /// Tokens of the prompt, as counted by the provider.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer, as counted by the provider.
    pub output_tokens: Option<u64>,
}

impl RequestContext {
    /// Returns whether the spans of this request are exported.
    #[must_use]
    pub fn is_exported(&self) -> bool {
        self.0.is_exported
    }

    /// Sets what is known of an attempt at its beginning.
    pub(super) fn export_attempt(&self, span: &Span, provider: &str, model: Option<&str>) {
        let mut operation = "chat";
        self.update_details(|details| operation = operation_of(details.surface));
        set_name(span, name_of(operation, model));
        record(span, "gen_ai.operation.name", Some(operation));
        record(span, "gen_ai.provider.name", Some(provider.to_owned()));
        record(span, "gen_ai.request.model", model.map(|model| shortened(model).to_owned()));
    }

    /// Sets how an attempt ended, on its span.
    pub fn end_attempt(&self, span: &Span, end: &AttemptEnd) {
        if !self.0.is_exported {
            return;
        }
        record(span, "http.response.status_code", end.status.map(i64::from));
        record(span, "gen_ai.response.model", end.response_model.as_deref().map(|model| shortened(model).to_owned()));
        record(span, "gen_ai.usage.input_tokens", end.input_tokens.map(count));
        record(span, "gen_ai.usage.output_tokens", end.output_tokens.map(count));
        let refusal = end.status.filter(|status| *status >= 400).map(|status| status.to_string());
        if let Some(error) = refusal.or_else(|| end.error.map(str::to_owned)) {
            set_status(span, error);
        }
    }
}

impl AccessEntry {
    /// Sets what became of the request, on its span.
    pub(super) fn export(&self) {
        let span = &self.context.0.span;
        let mut details = super::Details::default();
        self.context.update_details(|known| details = known.clone());
        let model = details.model.as_deref();
        match details.surface {
            Some(surface) => {
                let operation = operation_of(Some(surface));
                set_name(span, name_of(operation, model));
                record(span, "gen_ai.operation.name", Some(operation));
                record(span, "gen_ai.request.model", model.map(str::to_owned));
                record(span, "gen_ai.provider.name", details.provider);
                record(span, "gen_ai.response.model", details.response_model);
                record(span, "gen_ai.usage.input_tokens", details.input_tokens.map(count));
                record(span, "gen_ai.usage.output_tokens", details.output_tokens.map(count));
                record(span, "signalbox.attempts", Some(count(details.attempts)));
            }
            None => set_name(span, self.method.to_string()),
        }
        record(span, "http.request.method", Some(self.method.to_string()));
        record(span, "url.path", Some(shortened(self.uri.path()).to_owned()));
        record(span, "http.response.status_code", self.status.map(i64::from));
        let refusal = self.status.filter(|status| *status >= 400).map(|status| status.to_string());
        let outcome = details.outcome.filter(|outcome| outcome.has_failed()).map(RequestStatus::as_str);
        match refusal.or_else(|| outcome.map(str::to_owned)) {
            // Conventions: what the client did wrong is not a failure of the server.
            Some(error) if self.status.is_some_and(|status| (400..500).contains(&status)) => {
                record(span, "error.type", Some(error));
            }
            Some(error) => set_status(span, error),
            None => {}
        }
    }
}

fn operation_of(surface: Option<&str>) -> &'static str {
    if surface == Some("completions") { "text_completion" } else { "chat" }
}

/// Returns the name that the conventions prescribe: `chat gpt-5`.
fn name_of(operation: &str, model: Option<&str>) -> String {
    match model.filter(|model| !model.is_empty()) {
        Some(model) => format!("{operation} {}", shortened(model)),
        None => operation.to_owned(),
    }
}

fn count(count: u64) -> Value {
    Value::I64(i64::try_from(count).unwrap_or(i64::MAX))
}
