//! Tests of connections over in-memory pipes, with the clock paused, so that timeouts pass instantly and
//! deterministically.

use std::io::ErrorKind;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::connection::DRAIN_GRACE;
use super::connection_timeouts::ConnectionActivity;
use super::socket::Socket;
use super::*;
use crate::config::{Common, Size};
use crate::environment::Environment;
use crate::peer::PeerAddr;

mod bodies;
mod half_closed;
mod tls;

type Body = http_body_util::combinators::BoxBody<Bytes, std::io::Error>;

const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn state(change: impl FnOnce(&mut ServerConfig)) -> ServerState {
    let mut common = Common::detached(std::path::Path::new("/nowhere"), &Environment::empty()).unwrap();
    change(&mut common.server);
    ServerState::new(&common, CancellationToken::new())
}

fn text(text: &'static str) -> Response<Body> {
    Response::new(Full::from(text).map_err(|never| match never {}).boxed())
}

/// The service under test.
async fn hello(mut request: Request<RequestBody>) -> Result<Response<Body>, Infallible> {
    match request.uri().path() {
        "/slow" => {
            sleep(secs(600)).await;
            Ok(text("at last"))
        }
        "/soon" => {
            sleep(secs(2)).await;
            Ok(text("soon"))
        }
        "/endless" => {
            let frames = futures_util::stream::repeat_with(|| Ok(Frame::data(Bytes::from_static(&[b'x'; 4096]))));
            Ok(Response::new(BodyExt::boxed(StreamBody::new(frames))))
        }
        "/panic" => panic!("on purpose"),
        "/peer" => {
            let PeerAddr(peer) = request.extensions().get().unwrap();
            Ok(Response::new(Full::from(peer.to_string()).map_err(|never| match never {}).boxed()))
        }
        "/upgrade" => {
            tokio::spawn(async move {
                let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
                let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
                tokio::io::copy(&mut read, &mut write).await.unwrap();
            });
            let mut response = text("");
            *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
            response.headers_mut().insert(http::header::UPGRADE, http::HeaderValue::from_static("echo"));
            Ok(response)
        }
        "/body" => {
            let (head, body) = request.into_parts();
            let answer = match crate::collect(&head.headers, body, 1 << 20).await {
                Ok(body) => (http::StatusCode::OK, format!("{} bytes", body.len())),
                Err(error) => (error.status(), format!("{error}: {}.", error.code())),
            };
            let mut response = Response::new(Full::from(answer.1).map_err(|never| match never {}).boxed());
            *response.status_mut() = answer.0;
            Ok(response)
        }
        "/v1/hello" => Ok(text("v1")),
        _ => Ok(text("hello")),
    }
}

/// Returns the client end of a connection that is being served.
async fn connect(state: &ServerState) -> (DuplexStream, JoinHandle<()>) {
    let (client, server) = duplex(64 << 10);
    let activity = Arc::new(ConnectionActivity::new(state.timeouts()));
    let peer = SocketAddr::from(([192, 0, 2, 7], 4711));
    let slot = state.slots.take(peer.ip(), &activity).await.unwrap();
    let socket = Socket::new(server, Arc::clone(&activity), slot, state.open.token());
    let task = tokio::spawn(connection::serve(socket, peer, activity, state.clone(), service_fn(hello)));
    (client, task)
}

/// Sends a request for `path` and reads the response, head and body, until `end`.
async fn ask(client: &mut DuplexStream, path: &str, end: &str) -> String {
    client.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    read_until(client, end).await
}

async fn read_until(client: &mut DuplexStream, end: &str) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        match client.read_u8().await {
            Ok(byte) => answer.push(byte),
            Err(error) => panic!("{error} after {}", answer.escape_ascii()),
        }
    }
    String::from_utf8(answer).unwrap()
}

/// Returns `true` if the connection is still open after `wait`.
async fn is_open_after(client: &mut DuplexStream, wait: Duration) -> bool {
    match timeout(wait, client.read_u8()).await {
        Err(_elapsed) => true,
        Ok(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => false,
        Ok(other) => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_disconnected() {
    let (mut client, _) = connect(&state(|_| {})).await;
    assert!(is_open_after(&mut client, secs(9)).await);
    assert!(!is_open_after(&mut client, secs(2)).await);
}

#[tokio::test(start_paused = true)]
async fn dripping_a_head_does_not_extend_its_deadline() {
    for reused in [false, true] {
        let (mut client, _) = connect(&state(|_| {})).await;
        if reused {
            ask(&mut client, "/hello", "hello").await;
        }
        for byte in &REQUEST[..9] {
            client.write_all(&[*byte]).await.unwrap();
            assert!(is_open_after(&mut client, secs(1)).await);
        }
        assert!(!is_open_after(&mut client, secs(2)).await);
    }
}

#[tokio::test(start_paused = true)]
async fn idle_connections_outlive_incomplete_heads() {
    let (mut client, _) = connect(&state(|_| {})).await;
    for _ in 0..3 {
        assert!(ask(&mut client, "/hello", "hello").await.starts_with("HTTP/1.1 200"));
        assert!(is_open_after(&mut client, secs(80)).await);
    }
    client.write_all(b"GET /he").await.unwrap();
    assert!(is_open_after(&mut client, secs(9)).await);
    assert!(!is_open_after(&mut client, secs(2)).await);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_expire() {
    let (mut client, _) = connect(&state(|_| {})).await;
    ask(&mut client, "/hello", "hello").await;
    assert!(is_open_after(&mut client, secs(89)).await);
    assert!(!is_open_after(&mut client, secs(2)).await);
}

#[tokio::test(start_paused = true)]
async fn a_long_answer_is_not_a_timeout() {
    let (mut client, _) = connect(&state(|_| {})).await;
    assert!(ask(&mut client, "/slow", "at last").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_disconnected() {
    let (mut client, task) = connect(&state(|_| {})).await;
    client.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    for _ in 0..3 {
        sleep(secs(59)).await;
        assert!(!task.is_finished(), "each read extends the deadline");
        client.read_exact(&mut [0; 48 << 10]).await.unwrap();
    }
    sleep(secs(61)).await;
    assert!(task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn an_oversized_head_is_answered_with_431() {
    let (mut client, _) = connect(&state(|server| server.max_header_bytes = Size::from_bytes(1024))).await;
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(1024));
    client.write_all(head.as_bytes()).await.unwrap();
    assert!(read_until(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 431"));
    assert!(!is_open_after(&mut client, secs(1)).await);
}

#[tokio::test(start_paused = true)]
async fn every_response_has_the_id_of_its_request() {
    let state = state(|_| {});
    let (mut client, _) = connect(&state).await;
    let mut ids = std::collections::BTreeSet::new();
    for (path, end) in [("/hello", "hello"), ("/hello", "hello"), ("/panic", "}}")] {
        let answer = ask(&mut client, path, end).await;
        let id = answer.split("x-request-id: ").nth(1).unwrap().split("\r\n").next().unwrap();
        assert_eq!(id.parse::<uuid::Uuid>().unwrap().get_version_num(), 7, "{answer}");
        ids.insert(id.to_owned());
    }
    assert_eq!(ids.len(), 3, "{ids:?}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_only_one_request() {
    let (mut client, _) = connect(&state(|_| {})).await;
    let answer = ask(&mut client, "/panic", "}}").await;
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    assert!(answer.contains(r#""code":"internal_error""#) && !answer.contains("on purpose"), "{answer}");
    assert!(ask(&mut client, "/hello", "hello").await.starts_with("HTTP/1.1 200"));
}

/// Waits until a condition holds.
async fn until(mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + secs(10);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "the condition was never met");
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn requests_carry_the_client_address() {
    let (mut client, _) = connect(&state(|_| {})).await;
    ask(&mut client, "/peer", "192.0.2.7:4711").await;
}

#[tokio::test(start_paused = true)]
async fn only_a_trusted_proxy_names_the_client() {
    const FORWARDED: &[u8] = b"GET /peer HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6, 198.51.100.9\r\n\r\n";
    for (proxies, client) in [(&[][..], "192.0.2.7:4711"), (&["192.0.2.0/24"], "198.51.100.9:0")] {
        let state = state(|server| server.trusted_proxies = proxies.iter().map(|entry| (*entry).to_owned()).collect());
        let (mut connection, _) = connect(&state).await;
        connection.write_all(FORWARDED).await.unwrap();
        read_until(&mut connection, client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn draining_closes_idle_connections_and_lets_busy_ones_finish() {
    let state = state(|_| {});
    let (mut idle, _) = connect(&state).await;
    ask(&mut idle, "/hello", "hello").await;
    let (mut busy, task) = connect(&state).await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(is_open_after(&mut busy, secs(1)).await);

    state.draining.cancel();
    assert!(!is_open_after(&mut idle, secs(1)).await);
    let answer = read_until(&mut busy, "at last").await;
    assert!(answer.contains("connection: close"), "{answer}");
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_in_transit_when_draining_begins_is_answered() {
    let state = state(|_| {});
    let (mut fresh, _) = connect(&state).await;
    let (mut idle, _) = connect(&state).await;
    ask(&mut idle, "/hello", "hello").await;
    state.draining.cancel();
    for client in [&mut fresh, &mut idle] {
        assert!(is_open_after(client, DRAIN_GRACE / 4).await);
        client.write_all(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        read_until(client, "hello").await;
    }
    assert!(!is_open_after(&mut fresh, secs(1)).await && !is_open_after(&mut idle, secs(1)).await);
}

#[tokio::test(start_paused = true)]
async fn eviction_drops_connections_that_survived_the_cut() {
    let state = state(|_| {});
    let (mut client, task) = connect(&state).await;
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(is_open_after(&mut client, secs(1)).await);
    state.draining.cancel();
    assert!(is_open_after(&mut client, secs(1)).await);
    state.force_close.cancel();
    task.await.unwrap();
    assert!(!is_open_after(&mut client, secs(1)).await);
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_connection_keeps_its_slot_until_closed() {
    let state = state(|server| server.max_connections = 1);
    let (mut client, task) = connect(&state).await;
    let request = b"GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    client.write_all(request).await.unwrap();
    assert!(read_until(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 101"));
    task.await.unwrap();
    client.write_all(b"echo").await.unwrap();
    assert_eq!(read_until(&mut client, "echo").await, "echo");
    assert_eq!((state.open.len(), state.slots.free()), (1, 0));
    assert!(is_open_after(&mut client, secs(600)).await, "HTTP deadlines no longer apply");

    drop(client);
    state.open.close();
    state.open.wait().await;
    assert_eq!(state.slots.free(), 1);
}

#[tokio::test]
async fn beyond_the_limit_connections_wait_for_a_slot() {
    let state = state(|server| server.max_connections = 1);
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    let draining = state.draining.clone();
    let accepting = {
        let state = state.clone();
        tokio::spawn(async move { accept::until_draining(vec![socket], &state, &service_fn(hello)).await })
    };
    let mut first = TcpStream::connect(addr).await.unwrap();
    first.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    crate::serve::tests::until(|| state.open.len() == 2).await;
    let mut second = TcpStream::connect(addr).await.unwrap();
    second.write_all(REQUEST).await.unwrap();
    assert_eq!(state.open.len(), 2, "a token and a task of the first connection");
    assert_eq!(second.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);

    drop(first);
    second.read_u8().await.unwrap();
    draining.cancel();
    accepting.await.unwrap();
    assert!(TcpStream::connect(addr).await.is_err(), "the socket is closed");
}

#[tokio::test]
async fn accepted_connections_inherit_the_send_buffer_limit() {
    let bound = 32 << 10;
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    accept::bound_send_buffers(&socket, Size::from_bytes(bound)).unwrap();
    let (_client, accepted) = tokio::join!(TcpStream::connect(socket.local_addr().unwrap()), socket.accept());
    let held = socket2::SockRef::from(&accepted.unwrap().0).send_buffer_size().unwrap() as u64;
    // Linux doubles the requested size to allow for its own bookkeeping.
    assert!((bound..=2 * bound).contains(&held), "{held}");
}

#[test]
fn a_disconnected_client_does_not_stop_the_accept_loop() {
    use accept::concerns_one_connection;
    assert!(concerns_one_connection(&ErrorKind::ConnectionAborted.into()));
    assert!(!concerns_one_connection(&std::io::Error::from_raw_os_error(24)), "out of descriptors");
}
