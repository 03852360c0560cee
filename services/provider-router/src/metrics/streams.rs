//! Metrics of the streams that can be resumed.

use std::sync::atomic::AtomicU64;

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

/// Number and size of the streams that are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamMetrics {
    streams: Gauge<u64, AtomicU64>,
    bytes: Gauge<u64, AtomicU64>,
}

// === impl StreamMetrics ===

impl StreamMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("signalbox_resumable_streams", "Streams that can be resumed", self.streams.clone());
        let help = "Bytes of the events that are kept of streams that can be resumed";
        registry.register("signalbox_resumable_stream_bytes", help, self.bytes.clone());
    }

    pub(super) fn set(&self, streams: usize, bytes: usize) {
        self.streams.set(streams as u64);
        self.bytes.set(bytes as u64);
    }
}
