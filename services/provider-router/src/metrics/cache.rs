//! Metrics of the cache of answers.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use signalbox_core::schema::CacheOutcome;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// Requests of routes with a cache, and the size of the cache.
#[derive(Clone, Debug, Default)]
pub(super) struct CacheMetrics {
    requests: Family<OutcomeLabel, Counter>,
    bytes: Gauge<u64, AtomicU64>,
}

// === impl CacheMetrics ===

impl CacheMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Requests of routes with a cache: hit, miss or bypass";
        registry.register("signalbox_cache_requests", help, self.requests.clone());
        registry.register("signalbox_cache_bytes", "Bytes of the answers in the cache", self.bytes.clone());
    }

    pub(super) fn asked(&self, outcome: CacheOutcome) {
        self.requests.get_or_create(&OutcomeLabel { outcome: outcome.as_str() }).inc();
    }

    pub(super) fn set_bytes(&self, bytes: u64) {
        self.bytes.set(bytes);
    }
}
