//! The collector: sends batches of spans with the HTTP client of this workspace, and reports when it cannot.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, RetryPolicy, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use percent_encoding::percent_decode_str;
use signalbox_upstream::{AddressPolicy, Client, ClientConfig, Deadlines, EnvironmentProxies, Target, TargetError};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::exit::Exit;
use crate::variables::variable;

/// Path below the endpoint, as OTLP defines it.
const PATH: &str = "/v1/traces";

/// Headers of requests to the collector, such as its API key: `name=value`, comma-separated and percent-encoded.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// Maximum time for one batch.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum bytes of a response of the collector.
const MAX_RESPONSE: usize = 64 << 10;

/// Minimum time between two warnings.
const WARNING_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// HTTP client with a runtime of its own, which runs in the thread that exports and only while a batch is sent.
#[derive(Debug)]
struct Connection {
    client: Client,
    target: Target,
    runtime: Runtime,
    last_error: LastError,
}

/// The reason why the last batch was not sent; the exporter replaces it by a general sentence.
type LastError = Arc<Mutex<Option<String>>>;

/// Exporter that logs a failure, and the end of it.
#[derive(Debug)]
pub(super) struct Collector {
    exporter: opentelemetry_otlp::SpanExporter,
    /// The address, for the log.
    authority: String,
    last_error: LastError,
    state: Mutex<State>,
}

/// State of the export, as far as the log has reported it.
#[derive(Debug, Default)]
struct State {
    is_failing: bool,
    warned: Option<Instant>,
    /// Spans dropped since the last warning.
    dropped: usize,
}

/// Parses an endpoint: the base URL of a collector.
///
/// # Errors
/// Returns what is wrong with it, without quoting it.
pub(crate) fn target(endpoint: &str) -> Result<Target, TargetError> {
    Target::parse(endpoint, &AddressPolicy { allow_private: true, allow_loopback: true })
}

// === impl Collector ===

impl Collector {
    /// Creates an exporter to this endpoint.
    pub(super) fn exporter(endpoint: &str) -> Result<Self, Exit> {
        let failed = |error: &dyn std::fmt::Display| Exit::Config(format!("log.otlp_endpoint: {error}"));
        let target = target(endpoint).map_err(|error| failed(&error))?;
        let path = target.path(PATH).map_err(|error| failed(&error))?;
        let client = EnvironmentProxies::from_variables(variable)
            .and_then(|proxies| Client::new(&ClientConfig { proxies, ..ClientConfig::default() }))
            .map_err(|error| failed(&error))?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
        let authority = target.authority().to_owned();
        let last_error = LastError::default();
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            // The connection knows the target; only the path is used.
            .with_endpoint(format!("http://collector{path}"))
            .with_timeout(EXPORT_TIMEOUT)
            .with_headers(headers()?)
            .with_retry_policy(RetryPolicy::disabled())
            .with_http_client(Connection { client, target, runtime, last_error: Arc::clone(&last_error) })
            .build()
            .map_err(|error| failed(&error))?;
        Ok(Self { exporter, authority, last_error, state: Mutex::default() })
    }

    fn report(&self, spans: usize, result: &OTelSdkResult) {
        let cause = self.last_error.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let collector = &self.authority;
        match result {
            Ok(()) if state.is_failing => {
                *state = State { warned: state.warned, ..State::default() };
                tracing::info!(%collector, "the collector of traces takes spans again");
            }
            Ok(()) => {}
            Err(error) => {
                state.is_failing = true;
                state.dropped += spans;
                if state.warned.is_none_or(|warned| warned.elapsed() >= WARNING_INTERVAL) {
                    state.warned = Some(Instant::now());
                    let dropped = std::mem::take(&mut state.dropped);
                    tracing::warn!(
                        %collector,
                        %error,
                        cause,
                        dropped,
                        "cannot export traces; requests go on without. Check log.otlp_endpoint and the collector"
                    );
                }
            }
        }
    }
}

impl SpanExporter for Collector {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.exporter.export(batch).await;
        self.report(spans, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &opentelemetry_sdk::Resource) {
        self.exporter.set_resource(resource);
    }
}

// === impl Connection ===

impl Connection {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let deadlines =
            Deadlines { headers: EXPORT_TIMEOUT, idle: EXPORT_TIMEOUT, total: EXPORT_TIMEOUT, ..Deadlines::default() };
        let response = self.client.send(&self.target, request, &deadlines).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_RESPONSE).collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}

impl HttpClient for Connection {
    fn send_bytes<'client, 'sent>(
        &'client self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sent>>
    where
        'client: 'sent,
        Self: 'sent,
    {
        // The exporting thread has nothing else to do.
        Box::pin(async move {
            self.runtime.block_on(self.send(request)).inspect_err(|error| {
                *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason(error));
            })
        })
    }
}

/// Returns why a batch was not sent. Of a handshake that failed, the advice for providers does not apply.
fn reason(error: &HttpError) -> String {
    match error.downcast_ref() {
        Some(signalbox_upstream::Error::Tls { host, source }) => format!(
            "no secure connection to {host}: {source}. If its authority is not trusted, set SSL_CERT_FILE to a PEM file \
            that has it"
        ),
        _ => error.to_string(),
    }
}

/// Returns the configured headers.
fn headers() -> Result<HashMap<String, String>, Exit> {
    let text = variable(HEADERS).unwrap_or_default();
    parse_headers(&text).ok_or_else(|| {
        Exit::Config(format!("{HEADERS} takes headers such as `api-key=secret,x-team=a`, with percent-encoded values"))
    })
}

fn parse_headers(text: &str) -> Option<HashMap<String, String>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let parsed = pairs.map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
        let name = HeaderName::try_from(name.trim()).ok()?;
        HeaderValue::try_from(&value).ok()?;
        Some((name.to_string(), value))
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_pairs_with_encoded_values() {
        let parsed = parse_headers(" Authorization=Bearer%20a%2Cb= , x-team = a,,").unwrap();
        assert_eq!(parsed["authorization"], "Bearer a,b=");
        assert_eq!((parsed["x-team"].as_str(), parsed.len()), ("a", 2));
        assert_eq!(parse_headers(""), Some(HashMap::new()));
        for wrong in ["api-key", "a b=c", "a=%0a", "=x", "a=%ff"] {
            assert_eq!(parse_headers(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn endpoints_are_urls_without_credentials() {
        for endpoint in ["http://127.0.0.1:4318", "https://collector.example/otlp/", "http://[::1]:4318"] {
            assert!(target(endpoint).is_ok(), "{endpoint}");
        }
        let path = target("https://collector.example/otlp/").unwrap().path(PATH).unwrap();
        assert_eq!(path, "/otlp/v1/traces");
        for endpoint in ["127.0.0.1:4318", "collector", "ftp://collector", "http://user:secret@collector", "http://c?x"]
        {
            let error = target(endpoint).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
