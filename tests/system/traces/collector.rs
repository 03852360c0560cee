//! A collector that keeps the spans it receives.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message as _;
use rcgen::{CertifiedKey, KeyPair};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

/// A collector on a free port.
pub(super) struct Collector {
    url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

struct Received {
    head: String,
    body: Vec<u8>,
}

/// A span and the program it came from.
#[derive(Clone, Debug)]
pub(super) struct Exported {
    pub(super) span: Span,
    resource: Resource,
}

// === impl Collector ===

impl Collector {
    pub(super) async fn start() -> Self {
        Self::listen(None).await
    }

    /// Starts a collector that speaks TLS and has this certificate for `localhost`.
    pub(super) async fn start_tls(identity: &CertifiedKey<KeyPair>) -> Self {
        let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![identity.cert.der().clone()], key)
            .unwrap();
        Self::listen(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = if tls.is_some() { format!("https://localhost:{port}") } else { format!("http://127.0.0.1:{port}/") };
        let received = Arc::default();
        let kept = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, kept) = (tls.clone(), Arc::clone(&kept));
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, kept).await,
                        // A client that does not trust the certificate ends the handshake.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, kept).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url, received }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the heads of all requests.
    pub(super) fn requests(&self) -> Vec<String> {
        self.received.lock().unwrap().iter().map(|received| received.head.clone()).collect()
    }

    /// Returns whether any body contains these bytes.
    pub(super) fn received(&self, text: &str) -> bool {
        let received = self.received.lock().unwrap();
        received.iter().any(|received| received.body.windows(text.len()).any(|window| window == text.as_bytes()))
    }

    pub(super) fn spans(&self) -> Vec<Exported> {
        let mut spans = Vec::new();
        for received in self.received.lock().unwrap().iter() {
            assert!(received.head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{}", received.head);
            let request = ExportTraceServiceRequest::decode(&*received.body).unwrap();
            for of_resource in request.resource_spans {
                let resource = of_resource.resource.unwrap_or_default();
                let of_scopes = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                spans.extend(of_scopes.map(|span| Exported { span, resource: resource.clone() }));
            }
        }
        spans
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, received: Arc<Mutex<Vec<Received>>>) {
    let mut bytes = Vec::new();
    loop {
        let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|end| end + 4);
        if let Some(end) = head {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse::<usize>();
            let whole = end + len.unwrap();
            if bytes.len() >= whole {
                let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
                received.lock().unwrap().push(Received { head, body: bytes[end..whole].to_vec() });
                bytes.drain(..whole);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(answer).await.unwrap();
                continue;
            }
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

// === impl Exported ===

impl Exported {
    pub(super) fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    pub(super) fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    pub(super) fn trace(&self) -> String {
        hex(&self.span.trace_id)
    }

    /// Returns an attribute; null if it is missing.
    pub(super) fn attribute(&self, key: &str) -> Value {
        value(&self.span.attributes, key)
    }

    /// Returns an attribute of the program; empty if it is missing.
    pub(super) fn resource(&self, key: &str) -> String {
        value(&self.resource.attributes, key).as_str().unwrap_or_default().to_owned()
    }
}

fn value(attributes: &[KeyValue], key: &str) -> Value {
    let mut values = attributes.iter().filter(|attribute| attribute.key == key);
    let value = values.next().and_then(|attribute| attribute.value.as_ref()?.value.clone());
    assert!(values.next().is_none(), "{key} is given twice");
    match value {
        None => Value::Null,
        Some(any_value::Value::StringValue(text)) => json!(text),
        Some(any_value::Value::BoolValue(truth)) => json!(truth),
        Some(any_value::Value::IntValue(number)) => json!(number),
        Some(other) => json!(format!("{other:?}")),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
