//! Connections with TLS and HTTP/2, over real sockets.

use std::sync::Arc;

use http::StatusCode;
use http_body_util::Empty;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::config::TlsConfig;
use crate::serve::{accept, tls_connection};
use crate::tls::Tls;

type Outgoing = http_body_util::combinators::BoxBody<Bytes, Infallible>;

/// A listener with TLS, and a client that trusts it.
struct Site {
    addr: SocketAddr,
    state: ServerState,
    roots: RootCertStore,
    _files: tempfile::TempDir,
    server: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Returns the identity of `localhost`, and the authorities that trust it.
fn identity(dir: &std::path::Path) -> (Arc<Tls>, RootCertStore) {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsConfig { cert: dir.join("cert.pem"), key: dir.join("key.pem") };
    std::fs::write(&files.cert, identity.cert.pem()).unwrap();
    std::fs::write(&files.key, identity.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(identity.cert.der().to_vec())).unwrap();
    (Tls::load(&files).unwrap().unwrap(), roots)
}

impl Site {
    async fn start(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let files = tempfile::tempdir().unwrap();
        let (tls, roots) = identity(files.path());
        let state = ServerState { tls: Some(tls), ..state(change) };
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        let serving = state.clone();
        let server = tokio::spawn(async move {
            accept::until_draining(vec![socket], &serving, &service_fn(hello)).await;
        });
        Self { addr, state, roots, _files: files, server }
    }

    /// Connects with these protocols offered.
    async fn connect(&self, alpn: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(self.addr).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
    }

    /// Returns an HTTP/2 client whose windows have this size.
    async fn http2(&self, window: u32) -> (SendRequest<Outgoing>, JoinHandle<hyper::Result<()>>) {
        let stream = self.connect(&[b"h2", b"http/1.1"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(window)
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        (sender, tokio::spawn(connection))
    }
}

fn get(path: &str) -> Request<Outgoing> {
    let body = BodyExt::boxed(Empty::new());
    Request::get(format!("https://localhost{path}")).body(body).unwrap()
}

async fn text_of(response: Response<hyper::body::Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Sends a request over HTTP/1.1 and reads until the server closes the connection.
async fn exchange(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin) -> String {
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn http1_is_spoken_with_clients_that_do_not_offer_http2() {
    let site = Site::start(|_| {}).await;
    for alpn in [&[b"http/1.1".as_slice()][..], &[]] {
        let answer = exchange(site.connect(alpn).await.unwrap()).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    }
}

#[tokio::test]
async fn many_requests_share_an_http2_connection() {
    let site = Site::start(|_| {}).await;
    let free = site.state.slots.free();
    let (sender, _connection) = site.http2(1 << 20).await;
    let requests = (0..20).map(|_| {
        let mut sender = sender.clone();
        async move { text_of(sender.send_request(get("//v1//hello")).await.unwrap()).await }
    });
    for answer in futures_util::future::join_all(requests).await {
        assert_eq!(answer, "v1");
    }
    let mut sender = sender;
    let mut panicked = sender.send_request(get("/panic")).await.unwrap();
    assert_eq!(panicked.status(), StatusCode::INTERNAL_SERVER_ERROR);
    panicked.body_mut().collect().await.unwrap();
    let peer = text_of(sender.send_request(get("/peer")).await.unwrap()).await;
    assert!(peer.starts_with("127.0.0.1:"), "{peer}");
    assert_eq!(site.state.slots.free(), free - 1, "one connection in all");
}

#[tokio::test]
async fn plain_http_is_answered_on_this_machine_only() {
    let site = Site::start(|_| {}).await;
    let answer = exchange(TcpStream::connect(site.addr).await.unwrap()).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");

    // As `accept` would serve a client of another machine.
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
    let (stream, peer) = socket.accept().await.unwrap();
    let activity = Arc::new(ConnectionActivity::new(site.state.timeouts()));
    let slot = site.state.slots.take(peer.ip(), &activity).await.unwrap();
    let socket = Socket::new(stream, Arc::clone(&activity), slot, site.state.open.token());
    let tls = site.state.tls.clone().unwrap();
    tokio::spawn(tls_connection::serve(socket, (peer, false), tls, activity, site.state.clone(), service_fn(hello)));
    let answer = exchange(client).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400") && body.contains("https_required"), "{answer}");
    assert!(head.contains(&format!("content-length: {}", body.len())), "{answer}");
}

#[tokio::test]
async fn a_handshake_has_a_deadline_and_its_connection_a_place() {
    let site = Site::start(|server| {
        server.header_timeout = crate::config::Duration::from_millis(300);
        server.max_connections = 1;
    })
    .await;
    let began = tokio::time::Instant::now();
    let mut silent = TcpStream::connect(site.addr).await.unwrap();
    let mut half = [0x16, 3, 1, 2];
    silent.write_all(&half).await.unwrap();
    assert_eq!(silent.read(&mut half).await.unwrap_or_default(), 0, "closed");
    assert!(began.elapsed() >= Duration::from_millis(300));

    // While it waits for a handshake, it can be evicted.
    let site = Site::start(|server| server.max_connections = 1).await;
    let mut silent = TcpStream::connect(site.addr).await.unwrap();
    silent.write_all(&[0x16, 3, 1, 2]).await.unwrap();
    let answer = exchange(site.connect(&[]).await.unwrap()).await;
    assert!(answer.ends_with("hello"), "{answer}");
    assert_eq!(silent.read(&mut half).await.unwrap_or_default(), 0, "closed");
}

#[tokio::test]
async fn a_response_that_is_not_read_is_given_up_and_the_others_go_on() {
    let site = Site::start(|server| server.write_timeout = crate::config::Duration::from_millis(1000)).await;
    let (mut sender, _connection) = site.http2(20_000).await;
    let unread = sender.send_request(get("/endless")).await.unwrap();
    let mut read = sender.send_request(get("/endless")).await.unwrap().into_body();
    // Longer than the timeout, so that the stream that is not read has been reset by then.
    let began = tokio::time::Instant::now();
    while began.elapsed() < Duration::from_millis(2500) {
        read.frame().await.unwrap().expect("a response that is read goes on");
    }
    assert!(unread.into_body().collect().await.is_err(), "it was reset");
    assert_eq!(text_of(sender.send_request(get("/hello")).await.unwrap()).await, "hello");
}

#[tokio::test]
async fn a_request_body_that_stops_is_answered_with_408() {
    let site = Site::start(|server| server.body_timeout = crate::config::Duration::from_millis(200)).await;
    let (mut sender, _connection) = site.http2(1 << 20).await;
    let part = futures_util::stream::once(async { Ok(Frame::data(Bytes::from_static(b"half"))) });
    let never = futures_util::stream::pending();
    let body = BodyExt::boxed(StreamBody::new(futures_util::StreamExt::chain(part, never)));
    let late = sender.send_request(Request::post("https://localhost/body").body(body).unwrap()).await.unwrap();
    assert_eq!(late.status(), StatusCode::REQUEST_TIMEOUT);
    let whole = BodyExt::boxed(Full::from("whole"));
    let whole = sender.send_request(Request::post("https://localhost/body").body(whole).unwrap()).await.unwrap();
    assert_eq!(text_of(whole).await, "5 bytes");
}

#[tokio::test]
async fn an_idle_http2_connection_is_closed_and_one_without_a_request_as_well() {
    let short = crate::config::Duration::from_millis(200);
    let site = Site::start(|server| (server.idle_timeout, server.header_timeout) = (short, short)).await;
    let (mut sender, connection) = site.http2(1 << 20).await;
    assert_eq!(text_of(sender.send_request(get("/hello")).await.unwrap()).await, "hello");
    timeout(secs(5), connection).await.expect("idle").unwrap().ok();
    let (_sender, connection) = site.http2(1 << 20).await;
    timeout(secs(5), connection).await.expect("without a request").unwrap().ok();
    while !site.state.open.is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_drain_lets_a_running_request_end() {
    let site = Site::start(|server| server.write_timeout = crate::config::Duration::from_secs(5)).await;
    let (mut sender, connection) = site.http2(1 << 20).await;
    let mut running = sender.send_request(get("/endless")).await.unwrap().into_body();
    running.frame().await.unwrap().unwrap();
    site.state.draining.cancel();
    for _ in 0..100 {
        running.frame().await.unwrap().expect("the running request goes on");
    }
    drop(running);
    timeout(secs(5), connection).await.expect("closed after the last request").unwrap().ok();
}
