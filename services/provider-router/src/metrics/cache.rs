//! Metrics of the cache of answers, and of the caches that providers have of prompts.

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

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ProviderLabel {
    gen_ai_provider_name: String,
}

/// Requests of routes with a cache, the size of the cache, and the caches of providers.
#[derive(Clone, Debug, Default)]
pub(super) struct CacheMetrics {
    requests: Family<OutcomeLabel, Counter>,
    bytes: Gauge<u64, AtomicU64>,
    falls: Family<ProviderLabel, Counter>,
    lost: Family<ProviderLabel, Counter>,
}

// === impl CacheMetrics ===

impl CacheMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Requests of routes with a cache: hit, miss or bypass";
        registry.register("signalbox_cache_requests", help, self.requests.clone());
        let help = "Turns for which the provider had less of the prompt cached than before";
        registry.register("signalbox_prompt_cache_falls", help, self.falls.clone());
        let help = "Tokens of prompts that the provider had cached for the turn before and no longer";
        registry.register("signalbox_prompt_cache_lost_tokens", help, self.lost.clone());
        registry.register("signalbox_cache_bytes", "Bytes of the answers in the cache", self.bytes.clone());
    }

    pub(super) fn asked(&self, outcome: CacheOutcome) {
        self.requests.get_or_create(&OutcomeLabel { outcome: outcome.as_str() }).inc();
    }

    pub(super) fn fell(&self, provider: &str, lost: u64) {
        let label = ProviderLabel { gen_ai_provider_name: provider.to_owned() };
        self.falls.get_or_create(&label).inc();
        self.lost.get_or_create(&label).inc_by(lost);
    }

    pub(super) fn set_bytes(&self, bytes: u64) {
        self.bytes.set(bytes);
    }
}
