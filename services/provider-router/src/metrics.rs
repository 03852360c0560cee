//! All metrics of the router: names, labels, units and buckets.
//!
//! Where OpenTelemetry's semantic conventions for generative AI define a metric, its name (in Prometheus spelling) and
//! its buckets are used. All other names begin with `signalbox_`. No label contains text supplied by a client, so the
//! catalogue bounds the number of series. The series that requests update are looked up once per change of the
//! catalogue, not per request.

mod cache;
mod keys;
mod providers;
mod streams;
mod totals;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use cache::CacheMetrics;
use keys::KeyMetrics;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
pub use providers::ProviderMetrics;
use providers::ProviderSeries;
use signalbox_core::{openai::Usage, schema::CacheOutcome};
use streams::StreamMetrics;
use tokio::time::Duration;
pub use totals::{Totals, TotalsNow};

use crate::alerts::Alerts;
use crate::health::{self, HealthTable, State};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LimitLabel {
    limit: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ConnectionLabel {
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TargetLabels {
    provider: String,
    model: String,
    /// Name of the provider's key; empty if it has only one.
    key: String,
}

/// All metrics of the router.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    providers: ProviderSeries,
    keys: KeyMetrics,
    cache: CacheMetrics,
    streams: StreamMetrics,
    limited: Family<LimitLabel, Counter>,
    refused: Counter,
    in_flight: Gauge,
    body_bytes: Gauge<u64, AtomicU64>,
    connections: Family<ConnectionLabel, Gauge>,
    resent: Counter<u64, AtomicU64>,
    journal_bytes: Gauge<u64, AtomicU64>,
    unlogged: Gauge<u64, AtomicU64>,
    log_refused: Gauge<u64, AtomicU64>,
    set_aside: Gauge<u64, AtomicU64>,
    skipped: Gauge<u64, AtomicU64>,
    database_up: Gauge,
    catalog_reload: Gauge<f64, AtomicU64>,
    breakers: Family<TargetLabels, Gauge>,
    /// Alerts of this process.
    pub alerts: Alerts,
    /// State of all targets, which is kept across changes of the catalogue as the metrics are.
    pub targets: HealthTable,
    /// Running totals of all requests.
    pub totals: Arc<Totals>,
}

/// Values that are read at the time of a scrape.
#[derive(Clone, Copy, Debug)]
pub struct Gauges {
    /// Requests in flight.
    pub in_flight: usize,
    /// Bytes of bodies that count for the bound on their memory.
    pub body_bytes: u64,
    /// Idle connections to providers.
    pub idle_connections: usize,
    /// All connections to providers, idle or in use.
    pub open_connections: usize,
    /// Requests sent to a provider a second time, since the start.
    pub resent_requests: u64,
    /// Bytes of the journal that are not in the database yet.
    pub journal_bytes: u64,
    /// Requests that are missing or incomplete in the journal.
    pub unlogged: u64,
    /// Requests that the database currently refuses.
    pub log_refused: u64,
    /// Journal files that were set aside.
    pub set_aside: u64,
    /// Entries of the journal's directory that cannot be inspected.
    pub skipped: u64,
    /// Whether the database answers.
    pub database_up: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        let alerts = Alerts::default();
        let metrics = Self {
            registry: Mutex::default(),
            providers: ProviderSeries::default(),
            keys: KeyMetrics::default(),
            cache: CacheMetrics::default(),
            streams: StreamMetrics::default(),
            limited: Family::default(),
            refused: Counter::default(),
            in_flight: Gauge::default(),
            body_bytes: Gauge::default(),
            connections: Family::default(),
            resent: Counter::default(),
            journal_bytes: Gauge::default(),
            unlogged: Gauge::default(),
            log_refused: Gauge::default(),
            set_aside: Gauge::default(),
            skipped: Gauge::default(),
            database_up: Gauge::default(),
            catalog_reload: Gauge::default(),
            breakers: Family::default(),
            targets: HealthTable::new(alerts.clone()),
            alerts,
            totals: Arc::default(),
        };
        let mut registry = Registry::default();
        metrics.providers.register(&mut registry);
        registry.register(
            "signalbox_requests_refused",
            "Requests refused because of overload",
            metrics.refused.clone(),
        );
        metrics.keys.register(&mut registry);
        metrics.cache.register(&mut registry);
        metrics.streams.register(&mut registry);
        registry.register(
            "signalbox_requests_limited",
            "Requests refused because of a limit or budget of their key",
            metrics.limited.clone(),
        );
        registry.register("signalbox_requests_in_flight", "Requests in flight", metrics.in_flight.clone());
        registry.register(
            "signalbox_body_memory_bytes",
            "Memory for the bodies of requests in flight",
            metrics.body_bytes.clone(),
        );
        registry.register("signalbox_upstream_connections", "Connections to providers", metrics.connections.clone());
        registry.register(
            "signalbox_upstream_requests_resent",
            "Requests sent again because an idle connection had just been closed",
            metrics.resent.clone(),
        );
        registry.register(
            "signalbox_journal_bytes",
            "Journal bytes not yet in the database",
            metrics.journal_bytes.clone(),
        );
        registry.register(
            "signalbox_journal_unlogged",
            "Requests missing or incomplete in the journal",
            metrics.unlogged.clone(),
        );
        registry.register(
            "signalbox_journal_refused",
            "Requests rejected by the database",
            metrics.log_refused.clone(),
        );
        registry.register("signalbox_journal_set_aside", "Journal files set aside", metrics.set_aside.clone());
        registry.register("signalbox_journal_skipped", "Journal entries skipped", metrics.skipped.clone());
        registry.register("signalbox_database_up", "Whether the database is available", metrics.database_up.clone());
        registry.register_with_unit(
            "signalbox_catalog_reload",
            "Duration of the last reading of the catalogue, until it was in effect",
            Unit::Seconds,
            metrics.catalog_reload.clone(),
        );
        registry.register(
            "signalbox_breaker_state",
            "Breakers of targets: 0 closed, 1 half-open, 2 open",
            metrics.breakers.clone(),
        );
        Self { registry: Mutex::new(registry), ..metrics }
    }
}

impl Metrics {
    /// Returns the metrics of one provider, creating them on first use.
    #[must_use]
    pub fn provider(&self, id: &str) -> ProviderMetrics {
        self.providers.of(id)
    }

    /// Records the token usage of an answer.
    pub fn tokens(&self, provider: &str, usage: &Usage) {
        self.totals.tokens(usage);
        self.providers.tokens(provider, usage);
    }

    /// Records the cost of a request in nano-dollars, or that it is unknown.
    pub fn cost(&self, provider: &str, nanos: Option<i64>) {
        self.providers.cost(provider, nanos);
    }

    /// Counts a request of the key with this name, with its known cost in nano-dollars.
    pub fn of_key(&self, name: &str, nanos: i64) {
        self.keys.ended(name, nanos);
    }

    /// Counts a request that was refused because of a limit or budget of its key.
    pub fn limited(&self, limit: &'static str) {
        self.limited.get_or_create(&LimitLabel { limit }).inc();
    }

    /// Counts a request of a route with a cache.
    pub fn cache_asked(&self, outcome: CacheOutcome) {
        self.cache.asked(outcome);
    }

    /// Counts a turn of a session of whose prompt so many tokens are cached by the provider no longer.
    pub fn prompt_cache_fell(&self, provider: &str, lost: u64) {
        self.cache.fell(provider, lost);
    }

    /// Sets the size of the cache.
    pub fn set_cache_bytes(&self, bytes: u64) {
        self.cache.set_bytes(bytes);
    }

    /// Records how long it took to read the catalogue and to put it into effect.
    pub fn catalog_reloaded(&self, took: Duration) {
        self.catalog_reload.set(took.as_secs_f64());
    }

    /// Sets the number and the size of the streams that can be resumed.
    pub fn set_streams(&self, (streams, bytes): (usize, usize)) {
        self.streams.set(streams, bytes);
    }

    /// Counts a request that was refused because of overload.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// Sets the state of the breakers. Targets whose breaker never opened have no series.
    fn set_breakers(&self) {
        let now = health::now();
        for target in self.targets.all() {
            let key = target.key().unwrap_or_default().into();
            let labels = TargetLabels { provider: target.provider().into(), model: target.model().into(), key };
            match target.state(now) {
                State::Closed => {
                    if let Some(gauge) = self.breakers.get(&labels) {
                        gauge.set(0);
                    }
                }
                State::HalfOpen => drop(self.breakers.get_or_create(&labels).set(1)),
                State::Open { .. } => drop(self.breakers.get_or_create(&labels).set(2)),
            }
        }
    }

    /// Renders all metrics in the text format of Prometheus.
    #[must_use]
    pub fn text(&self, gauges: &Gauges) -> String {
        let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let connections = |state| self.connections.get_or_create_owned(&ConnectionLabel { state });
        self.in_flight.set(signed(gauges.in_flight));
        self.body_bytes.set(gauges.body_bytes);
        connections("idle").set(signed(gauges.idle_connections));
        connections("busy").set(signed(gauges.open_connections.saturating_sub(gauges.idle_connections)));
        self.resent.inner().store(gauges.resent_requests, Ordering::Relaxed);
        self.journal_bytes.set(gauges.journal_bytes);
        self.unlogged.set(gauges.unlogged);
        self.log_refused.set(gauges.log_refused);
        self.set_aside.set(gauges.set_aside);
        self.skipped.set(gauges.skipped);
        self.database_up.set(gauges.database_up.into());
        self.set_breakers();
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use signalbox_core::schema::RequestStatus;
    use tokio::time::Duration;

    use super::*;

    #[test]
    fn metrics_use_conventional_names() {
        let metrics = Metrics::default();
        let provider = metrics.provider("p");
        provider.ended(RequestStatus::Completed, Duration::from_millis(30), Some(Duration::from_millis(3)));
        provider.ended(RequestStatus::Truncated, Duration::from_millis(30), None);
        metrics.tokens("p", &Usage::new(5, 70_000));
        metrics.cost("p", Some(1_250_000_000));
        metrics.cost("p", Some(250_000_000));
        metrics.cost("p", None);
        metrics.catalog_reloaded(Duration::from_millis(40));
        metrics.catalog_reloaded(Duration::from_millis(20));
        let gauges = Gauges {
            in_flight: 2,
            body_bytes: 7,
            idle_connections: 1,
            open_connections: 4,
            resent_requests: 6,
            journal_bytes: 9,
            unlogged: 3,
            log_refused: 0,
            set_aside: 2,
            skipped: 0,
            database_up: true,
        };
        let text = metrics.text(&gauges);
        for line in [
            r#"signalbox_requests_total{gen_ai_provider_name="p",status="completed"} 1"#,
            r#"signalbox_requests_total{gen_ai_provider_name="p",status="truncated"} 1"#,
            r#"gen_ai_server_request_duration_seconds_bucket{le="0.04",gen_ai_provider_name="p"} 2"#,
            r#"gen_ai_server_time_to_first_token_seconds_count{gen_ai_provider_name="p"} 1"#,
            r#"gen_ai_client_token_usage_sum{gen_ai_provider_name="p",gen_ai_token_type="output"} 70000.0"#,
            r#"signalbox_upstream_connections{state="busy"} 3"#,
            "signalbox_upstream_requests_resent_total 6",
            r#"signalbox_cost_dollars_total{gen_ai_provider_name="p"} 1.5"#,
            r#"signalbox_unpriced_total{gen_ai_provider_name="p"} 1"#,
            "signalbox_requests_in_flight 2",
            "signalbox_body_memory_bytes 7",
            "signalbox_journal_unlogged 3",
            "signalbox_journal_set_aside 2",
            "signalbox_database_up 1",
            "signalbox_catalog_reload_seconds 0.02",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nis missing in\n{text}");
        }
    }

    #[test]
    fn the_counters_of_a_known_provider_continue() {
        let metrics = Metrics::default();
        metrics.provider("p").ended(RequestStatus::Completed, Duration::ZERO, None);
        metrics.provider("p").ended(RequestStatus::Completed, Duration::ZERO, None);
        let gauges = Gauges {
            in_flight: 0,
            body_bytes: 0,
            idle_connections: 0,
            open_connections: 0,
            resent_requests: 0,
            journal_bytes: 0,
            unlogged: 0,
            log_refused: 0,
            set_aside: 0,
            skipped: 0,
            database_up: false,
        };
        assert!(metrics.text(&gauges).contains(r#"status="completed"} 2"#));
    }
}
