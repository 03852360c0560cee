//! Every metric: its name, labels, unit and buckets. The names are the original's.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

const BUCKETS: [f64; 9] = [0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// A request that was answered. The path is that of the route, never what a client made up.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HttpLabels {
    method: String,
    path: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    endpoint: &'static str,
    /// 0 where there was no answer.
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ErrorLabel {
    error_type: &'static str,
}

/// What is called at chat.qwen.ai.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The list of models.
    Models,
    /// A new chat.
    NewChat,
    /// An answer.
    Completion,
}

/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<HttpLabels, Counter>,
    duration: Family<HttpLabels, Histogram, fn() -> Histogram>,
    calls: Family<CallLabels, Counter>,
    errors: Family<ErrorLabel, Counter>,
    unlogged: Counter,
    opened: Counter,
    forgotten: Counter,
    sessions: Gauge,
    streams: Gauge,
    resident: Gauge,
}

/// A stream that is counted as long as this lives.
#[derive(Debug)]
pub struct Streaming(Gauge);

// === impl Endpoint ===

impl Endpoint {
    /// Its name in the metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::NewChat => "new_chat",
            Self::Completion => "completion",
        }
    }
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Mutex::default(),
            requests: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            calls: Family::default(),
            errors: Family::default(),
            unlogged: Counter::default(),
            opened: Counter::default(),
            forgotten: Counter::default(),
            sessions: Gauge::default(),
            streams: Gauge::default(),
            resident: Gauge::default(),
        };
        let mut registry = Registry::default();
        registry.register("http_requests", "Requests that were answered", metrics.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "From a request's arrival to the head of its answer",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register("qwen_api_calls", "Calls to chat.qwen.ai; status 0 without an answer", metrics.calls.clone());
        registry.register("qwen_api_errors", "Failures of chat.qwen.ai by their code", metrics.errors.clone());
        registry.register("requests_not_logged", "Requests that the log has lost", metrics.unlogged.clone());
        registry.register("sessions_opened", "Conversations begun at chat.qwen.ai", metrics.opened.clone());
        registry.register("sessions_forgotten", "Conversations forgotten after their time", metrics.forgotten.clone());
        registry.register("active_sessions", "Conversations that can be continued", metrics.sessions.clone());
        registry.register("streaming_connections_active", "Streams on their way", metrics.streams.clone());
        registry.register_with_unit("process_resident_memory", "Memory in use", Unit::Bytes, metrics.resident.clone());
        Self { registry: Mutex::new(registry), ..metrics }
    }
}

impl Metrics {
    /// A request was answered after so long.
    pub fn answered(&self, method: &str, path: &str, status: u16, after: Duration) {
        let labels = HttpLabels { method: method.to_owned(), path: path.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        self.duration.get_or_create(&labels).observe(after.as_secs_f64());
    }

    /// The site was called, and answered with this status; 0 for no answer.
    pub fn called(&self, endpoint: Endpoint, status: u16) {
        self.calls.get_or_create(&CallLabels { endpoint: endpoint.as_str(), status }).inc();
    }

    /// A request failed at the site.
    pub fn failed(&self, code: &'static str) {
        self.errors.get_or_create(&ErrorLabel { error_type: code }).inc();
    }

    /// So many requests will not be in the log.
    pub fn unlogged(&self, requests: u64) {
        self.unlogged.inc_by(requests);
    }

    /// A chat was opened at the site.
    pub fn opened(&self) {
        self.opened.inc();
    }

    /// Conversations were forgotten, so many of them.
    pub fn forgotten(&self, conversations: u64) {
        self.forgotten.inc_by(conversations);
    }

    /// How many conversations were begun and how many forgotten since the start.
    #[must_use]
    pub fn conversations(&self) -> (u64, u64) {
        (self.opened.get(), self.forgotten.get())
    }

    /// A stream begins.
    #[must_use]
    pub fn streaming(&self) -> Streaming {
        self.streams.inc();
        Streaming(self.streams.clone())
    }

    /// All of them as text, with how many sessions there are and how many bytes the process takes, where that is known.
    #[must_use]
    pub fn text(&self, sessions: Option<i64>, resident: Option<u64>) -> String {
        if let Some(sessions) = sessions {
            self.sessions.set(sessions);
        }
        if let Some(resident) = resident {
            self.resident.set(i64::try_from(resident).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a text cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

// === impl Streaming ===

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_the_originals() {
        let metrics = Metrics::default();
        metrics.answered("POST", "/v1/chat/completions", 200, Duration::from_millis(40));
        metrics.called(Endpoint::Completion, 200);
        metrics.failed("waf_challenge");
        let stream = metrics.streaming();
        let text = metrics.text(Some(3), Some(7));
        for line in [
            r#"http_requests_total{method="POST",path="/v1/chat/completions",status="200"} 1"#,
            r#"http_request_duration_seconds_bucket{le="0.05",method="POST",path="/v1/chat/completions",status="200"} 1"#,
            r#"qwen_api_calls_total{endpoint="completion",status="200"} 1"#,
            r#"qwen_api_errors_total{error_type="waf_challenge"} 1"#,
            "active_sessions 3",
            "streaming_connections_active 1",
            "process_resident_memory_bytes 7",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        drop(stream);
        assert!(metrics.text(None, None).contains("streaming_connections_active 0"));
    }
}
