//! Metrics of client keys. Their number is bounded, because there may be thousands of keys.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError, atomic::AtomicU64};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// Maximum number of keys with series of their own. Requests of the others count as those of [`OTHER`].
const MAX_NAMES: usize = 200;
const OTHER: &str = "other";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KeyLabel {
    key: String,
}

/// Requests and costs by key.
#[derive(Debug, Default)]
pub(super) struct KeyMetrics {
    requests: Family<KeyLabel, Counter>,
    cost: Family<KeyLabel, Counter<f64, AtomicU64>>,
    names: Mutex<HashSet<String>>,
}

// === impl KeyMetrics ===

impl KeyMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("signalbox_key_requests", "Requests that ended, by client key", self.requests.clone());
        registry.register("signalbox_key_cost_dollars", "Known costs of requests, by client key", self.cost.clone());
    }

    /// Counts a request that has ended, with its known cost in nano-dollars.
    #[expect(clippy::cast_precision_loss, reason = "the metric is a double; exact sums are in the database")]
    pub(super) fn ended(&self, name: &str, nanos: i64) {
        let label = KeyLabel { key: self.bounded(name).to_owned() };
        self.requests.get_or_create(&label).inc();
        self.cost.get_or_create(&label).inc_by(nanos.max(0) as f64 / 1e9);
    }

    fn bounded<'a>(&self, name: &'a str) -> &'a str {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.contains(name) {
            return name;
        }
        if names.len() >= MAX_NAMES {
            return OTHER;
        }
        names.insert(name.to_owned());
        name
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn keys_beyond_the_bound_share_one_series() {
        let (metrics, mut registry) = (KeyMetrics::default(), Registry::default());
        metrics.register(&mut registry);
        for n in 0..MAX_NAMES + 50 {
            metrics.ended(&format!("key {n}"), 500_000_000);
            metrics.ended(&format!("key {n}"), 0);
        }
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let series = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(series("signalbox_key_requests_total"), MAX_NAMES + 1);
        for line in [
            r#"signalbox_key_requests_total{key="key 0"} 2"#,
            r#"signalbox_key_cost_dollars_total{key="key 199"} 0.5"#,
            r#"signalbox_key_requests_total{key="other"} 100"#,
            r#"signalbox_key_cost_dollars_total{key="other"} 25.0"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in {text}");
        }
    }
}
