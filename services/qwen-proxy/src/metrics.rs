//! All metrics with their names, labels, units and buckets. The names are those of the Node.js version.

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

/// Labels of an answered request. `path` is the pattern of the route, never text from the client.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HttpLabels {
    method: String,
    path: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    endpoint: &'static str,
    /// Status of the response; 0 if there was none.
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ErrorLabel {
    error_type: &'static str,
}

/// Endpoint of chat.qwen.ai.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The list of models.
    Models,
    /// Creation of a chat.
    NewChat,
    /// An answer of the model.
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

/// A stream that is counted as active until drop.
#[derive(Debug)]
pub struct Streaming(Gauge);

// === impl Endpoint ===

impl Endpoint {
    /// Returns the name of the endpoint in the metrics.
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
        registry.register("http_requests", "Requests answered", metrics.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time from the arrival of a request to the head of its response",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register(
            "qwen_api_calls",
            "Calls to chat.qwen.ai; status 0 if there was no response",
            metrics.calls.clone(),
        );
        registry.register("qwen_api_errors", "Failures of chat.qwen.ai, by code", metrics.errors.clone());
        registry.register("requests_not_logged", "Requests that could not be logged", metrics.unlogged.clone());
        registry.register("sessions_opened", "Conversations opened at chat.qwen.ai", metrics.opened.clone());
        registry.register("sessions_forgotten", "Conversations deleted after they expired", metrics.forgotten.clone());
        registry.register("active_sessions", "Conversations that can be continued", metrics.sessions.clone());
        registry.register("streaming_connections_active", "Streams in progress", metrics.streams.clone());
        registry.register_with_unit(
            "process_resident_memory",
            "Resident memory",
            Unit::Bytes,
            metrics.resident.clone(),
        );
        Self { registry: Mutex::new(registry), ..metrics }
    }
}

impl Metrics {
    /// Counts a request that was answered `after` its arrival.
    pub fn answered(&self, method: &str, path: &str, status: u16, after: Duration) {
        let labels = HttpLabels { method: method.to_owned(), path: path.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        self.duration.get_or_create(&labels).observe(after.as_secs_f64());
    }

    /// Counts a call to the site by the status of its response; 0 for no response.
    pub fn called(&self, endpoint: Endpoint, status: u16) {
        self.calls.get_or_create(&CallLabels { endpoint: endpoint.as_str(), status }).inc();
    }

    /// Counts a request that failed at the site.
    pub fn failed(&self, code: &'static str) {
        self.errors.get_or_create(&ErrorLabel { error_type: code }).inc();
    }

    /// Counts requests that are lost to the log.
    pub fn unlogged(&self, requests: u64) {
        self.unlogged.inc_by(requests);
    }

    /// Counts a chat opened at the site.
    pub fn opened(&self) {
        self.opened.inc();
    }

    /// Counts conversations that were deleted after their expiry.
    pub fn forgotten(&self, conversations: u64) {
        self.forgotten.inc_by(conversations);
    }

    /// Returns the number of conversations opened and deleted since the start.
    #[must_use]
    pub fn conversations(&self) -> (u64, u64) {
        (self.opened.get(), self.forgotten.get())
    }

    /// Counts a stream as active until the returned guard is dropped.
    #[must_use]
    pub fn streaming(&self) -> Streaming {
        self.streams.inc();
        Streaming(self.streams.clone())
    }

    /// Encodes all metrics as OpenMetrics text, after updating the number of sessions and the resident memory in bytes,
    /// where known.
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
        // Writing to a string cannot fail.
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
    fn metric_names_match_the_nodejs_version() {
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
