//! The figures that are known of requests.

use signalbox_store::metrics::Point;

/// The figures of a series, by their names in requests and responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    Requests,
    Errors,
    Prompt,
    Completion,
    CostNano,
    P50,
    P95,
    P99,
    Ttft50,
    Ttft95,
}

// === impl Metric ===

impl Metric {
    /// All figures.
    pub(super) const ALL: [Self; 10] = [
        Self::Requests,
        Self::Errors,
        Self::Prompt,
        Self::Completion,
        Self::CostNano,
        Self::P50,
        Self::P95,
        Self::P99,
        Self::Ttft50,
        Self::Ttft95,
    ];

    /// Returns the name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Errors => "errors",
            Self::Prompt => "prompt",
            Self::Completion => "completion",
            Self::CostNano => "cost_nano",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Ttft50 => "ttft50",
            Self::Ttft95 => "ttft95",
        }
    }

    /// Returns the figure with this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Returns the figure of a point, to sort by.
    pub(super) fn of(self, point: &Point) -> Option<f64> {
        let count = |count: i64| Some(count as f64);
        match self {
            Self::Requests => count(point.requests),
            Self::Errors => count(point.errors),
            Self::Prompt => count(point.prompt_tokens),
            Self::Completion => count(point.completion_tokens),
            Self::CostNano => count(point.cost_nanos),
            Self::P50 => point.durations.percentile(50),
            Self::P95 => point.durations.percentile(95),
            Self::P99 => point.durations.percentile(99),
            Self::Ttft50 => point.first_bytes.percentile(50),
            Self::Ttft95 => point.first_bytes.percentile(95),
        }
    }
}
