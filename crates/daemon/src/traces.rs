//! Export of the spans of requests and of lifecycle commands to an OpenTelemetry collector, with OTLP over HTTP.
//!
//! # Theory
//! A layer of the `tracing` subscriber turns the spans of the target [`EXPORTED_SPANS`] into OpenTelemetry's. Only
//! requests that are to be exported, and lifecycle commands, have such spans: without an endpoint there is no layer, no
//! id is generated, and nothing is measured. Log lines are never exported, because they may quote what providers say.
//!
//! Ended spans wait in a bounded queue; those that do not fit are dropped. A thread takes them out and sends them to
//! the collector in batches, so neither a slow collector nor a missing one delays a request.

pub(crate) mod collector;
mod span;

use std::time::Duration;

use opentelemetry::trace::{SpanBuilder, SpanKind, Tracer, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use self::collector::Collector;
use crate::Spec;
use crate::config::LogConfig;
use crate::exit::Exit;

pub(crate) use self::span::{begin, parent_header, record, set_name, set_status};

/// Target of the spans that are exported.
pub(crate) const EXPORTED_SPANS: &str = "signalbox_trace";

/// Name of the span of a request.
pub(crate) const REQUEST: &str = "request";

/// Name of the span of a lifecycle command.
pub(crate) const LIFECYCLE: &str = "lifecycle";

/// Maximum number of spans that wait for the collector.
const MAX_WAITING: usize = 4096;

/// Maximum number of spans in one request to the collector.
const MAX_BATCH: usize = 512;

/// Maximum time a span waits for others.
const MAX_DELAY: Duration = Duration::from_secs(2);

/// Maximum time the last spans delay the end of the process.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The export of spans, if it is configured.
#[derive(Debug, Default)]
pub(crate) struct Traces(Option<SdkTracerProvider>);

/// Gives spans the kind that belongs to their name.
#[derive(Debug)]
struct Kinds(SdkTracer);

// === impl Traces ===

impl Traces {
    /// Prepares the export for a run of a service with the id `instance`. Does not connect.
    ///
    /// # Errors
    /// Returns [`Exit::Config`] if the endpoint or the headers cannot be used.
    pub(crate) fn configured(config: &LogConfig, spec: &Spec, instance: &str) -> Result<Self, Exit> {
        if config.otlp_endpoint.is_empty() {
            return Ok(Self(None));
        }
        let exporter = Collector::exporter(&config.otlp_endpoint)?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(MAX_WAITING)
            .with_max_export_batch_size(MAX_BATCH)
            .with_scheduled_delay(MAX_DELAY)
            .build();
        let resource = Resource::builder().with_attributes([
            KeyValue::new("service.name", spec.name),
            KeyValue::new("service.version", spec.version),
            KeyValue::new("service.instance.id", instance.to_owned()),
        ]);
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
            .with_resource(resource.build())
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .build();
        Ok(Self(Some(provider)))
    }

    /// Returns the layer that exports spans.
    pub(crate) fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer = Kinds(self.0.as_ref()?.tracer("signalbox"));
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_context_activation(false)
            .with_level(false)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false);
        Some(layer.with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == EXPORTED_SPANS)))
    }

    /// Sends the spans that are still waiting, for at most [`FLUSH_TIMEOUT`].
    pub(crate) fn flush(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown_with_timeout(FLUSH_TIMEOUT)
        {
            tracing::debug!(%error, "the last spans were not exported");
        }
    }
}

// === impl Kinds ===

impl Tracer for Kinds {
    type Span = opentelemetry_sdk::trace::Span;

    fn build_with_context(&self, mut builder: SpanBuilder, parent: &Context) -> Self::Span {
        builder.span_kind = Some(match &*builder.name {
            REQUEST => SpanKind::Server,
            LIFECYCLE => SpanKind::Internal,
            _ => SpanKind::Client,
        });
        self.0.build_with_context(builder, parent)
    }
}
