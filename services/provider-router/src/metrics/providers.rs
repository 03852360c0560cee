//! Metrics of providers: their requests, durations, tokens and costs.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};
use signalbox_core::{openai::Usage, schema::RequestStatus};
use tokio::time::Duration;

/// Buckets of `gen_ai.server.request.duration` in the conventions, in seconds.
const DURATION_BUCKETS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Buckets of `gen_ai.server.time_to_first_token` in the conventions, in seconds.
const FIRST_TOKEN_BUCKETS: [f64; 16] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Buckets of `gen_ai.client.token.usage` in the conventions, in tokens.
const TOKEN_BUCKETS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ProviderLabel {
    gen_ai_provider_name: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    gen_ai_provider_name: String,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TokenLabels {
    gen_ai_provider_name: String,
    gen_ai_token_type: &'static str,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// The series of all providers.
#[derive(Debug)]
pub(super) struct ProviderSeries {
    requests: Family<OutcomeLabels, Counter>,
    duration: Histograms<ProviderLabel>,
    first_token: Histograms<ProviderLabel>,
    tokens: Histograms<TokenLabels>,
    cost: Family<ProviderLabel, Counter<f64, AtomicU64>>,
    unpriced: Family<ProviderLabel, Counter>,
}

/// Metrics of one provider, looked up once.
#[derive(Clone, Debug)]
pub struct ProviderMetrics {
    /// One counter per status, in the order of [`RequestStatus::ALL`].
    requests: Vec<Counter>,
    duration: Histogram,
    first_token: Histogram,
}

// === impl ProviderSeries ===

impl Default for ProviderSeries {
    fn default() -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(DURATION_BUCKETS);
        let first_token: fn() -> Histogram = || Histogram::new(FIRST_TOKEN_BUCKETS);
        let tokens: fn() -> Histogram = || Histogram::new(TOKEN_BUCKETS);
        Self {
            requests: Family::default(),
            duration: Family::new_with_constructor(seconds),
            first_token: Family::new_with_constructor(first_token),
            tokens: Family::new_with_constructor(tokens),
            cost: Family::default(),
            unpriced: Family::default(),
        }
    }
}

impl ProviderSeries {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("signalbox_requests", "Requests that ended, by provider and status", self.requests.clone());
        registry.register_with_unit(
            "gen_ai_server_request_duration",
            "From a request's arrival to the last byte of its answer",
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register_with_unit(
            "gen_ai_server_time_to_first_token",
            "From a request's arrival to the first byte of its answer",
            Unit::Seconds,
            self.first_token.clone(),
        );
        registry.register("gen_ai_client_token_usage", "Tokens as providers reported them", self.tokens.clone());
        registry.register("signalbox_cost_dollars", "Known costs of requests, by provider", self.cost.clone());
        registry.register("signalbox_unpriced", "Answers whose cost is unknown, by provider", self.unpriced.clone());
    }

    /// Returns the metrics of one provider, creating them on first use.
    pub(super) fn of(&self, id: &str) -> ProviderMetrics {
        let outcome = |(_, status): &(RequestStatus, &'static str)| {
            self.requests.get_or_create_owned(&OutcomeLabels { gen_ai_provider_name: id.into(), status })
        };
        let label = ProviderLabel { gen_ai_provider_name: id.into() };
        ProviderMetrics {
            requests: RequestStatus::ALL.iter().map(outcome).collect(),
            duration: self.duration.get_or_create_owned(&label),
            first_token: self.first_token.get_or_create_owned(&label),
        }
    }

    /// Records the token usage of an answer.
    pub(super) fn tokens(&self, provider: &str, usage: &Usage) {
        for (gen_ai_token_type, tokens) in [("input", usage.prompt_tokens), ("output", usage.completion_tokens)] {
            let labels = TokenLabels { gen_ai_provider_name: provider.into(), gen_ai_token_type };
            // `u32` converts to `f64` without loss. A count outside its range is recorded as 0.
            let tokens = u32::try_from(tokens).unwrap_or_default();
            self.tokens.get_or_create(&labels).observe(tokens.into());
        }
    }

    /// Records the cost of a request in nano-dollars, or that it is unknown.
    pub(super) fn cost(&self, provider: &str, nanos: Option<i64>) {
        let label = ProviderLabel { gen_ai_provider_name: provider.into() };
        match nanos {
            // A double has all digits of a nano-dollar up to 9 million dollars.
            #[expect(clippy::cast_precision_loss, reason = "the metric is a double; exact sums are in the database")]
            Some(nanos) => drop(self.cost.get_or_create(&label).inc_by(nanos.max(0) as f64 / 1e9)),
            None => drop(self.unpriced.get_or_create(&label).inc()),
        }
    }
}

// === impl ProviderMetrics ===

impl ProviderMetrics {
    /// Records a request that has ended. `first_byte` is the time to the first byte of the answer, if there was one.
    pub fn ended(&self, status: RequestStatus, duration: Duration, first_byte: Option<Duration>) {
        let position = RequestStatus::ALL.iter().position(|(known, _)| *known == status);
        if let Some(requests) = position.and_then(|position| self.requests.get(position)) {
            requests.inc();
        }
        self.duration.observe(duration.as_secs_f64());
        if let Some(first_byte) = first_byte {
            self.first_token.observe(first_byte.as_secs_f64());
        }
    }
}
