//! Tests the deadlines. Time is paused, so waiting takes no real time.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use async_compression::tokio::write::GzipEncoder;
use http_body::Body as _;
use http_body_util::BodyExt;
use signalbox_upstream::{Client, Deadlines, Error};
use tokio::io::AsyncWriteExt;
use tokio::task::coop;
use tokio::time::Instant;

use crate::server::{Peer, Server, drip};
use crate::{NEVER, OK, client, get, post};

const MINUTE: Duration = Duration::from_secs(60);

/// Receives the head and the first piece of a response, and pauses time from then on.
async fn begun(client: &Client, server: &Server, deadlines: &Deadlines) -> (signalbox_upstream::Body, Peer) {
    let target = server.target();
    let beginning = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\nhello";
    let sent = client.send(&target, get(&target, "/"), deadlines);
    let (answer, peer) = tokio::join!(sent, server.answer(beginning));
    let mut body = answer.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    tokio::time::pause();
    (body, peer)
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_never_ends_is_a_connect_timeout() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target_as("https://127.0.0.1");
    let deadlines = Deadlines { connect: MINUTE, ..NEVER };
    let (answer, _peer) = tokio::join!(client.send(&target, get(&target, "/"), &deadlines), server.accept());
    let error = answer.unwrap_err();
    assert!(matches!(error, Error::ConnectTimeout { after: MINUTE }), "{error:?}");
    assert_eq!((error.code(), error.may_retry()), ("upstream_timeout", true));
}

#[tokio::test(start_paused = true)]
async fn silence_before_the_head_is_a_headers_timeout() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let deadlines = Deadlines { headers: MINUTE, ..NEVER };
    let (answer, mut peer) = tokio::join!(client.send(&target, get(&target, "/"), &deadlines), server.answer(b""));
    let error = answer.unwrap_err();
    assert!(matches!(error, Error::HeadersTimeout { after: MINUTE }), "{error:?}");
    assert_eq!((error.code(), error.may_retry()), ("upstream_timeout", false));
    peer.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_dripping_head_does_not_extend_its_deadline() {
    for beginning in [&b"HTTP/1.1 200 OK\r\nx-slow: "[..], b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nx-slow: "]
    {
        let (server, client) = (Server::bind().await, client());
        let target = server.target();
        let deadlines = Deadlines { headers: MINUTE, ..NEVER };
        let start = Instant::now();
        let sent = async {
            let answer = client.send(&target, get(&target, "/"), &deadlines).await;
            (answer, start.elapsed())
        };
        let ((answer, took), ()) = tokio::join!(sent, async {
            let peer = server.answer(b"").await;
            drip(peer, beginning).await;
        });
        let error = answer.unwrap_err();
        assert!(matches!(error, Error::HeadersTimeout { after: MINUTE }), "{error:?}");
        assert!(took < MINUTE * 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_headers_deadline_includes_sending_the_request() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let deadlines = Deadlines { headers: MINUTE, ..NEVER };
    let request = post(&target, "/", vec![0; 64 << 20]);
    let (answer, _unread) = tokio::join!(client.send(&target, request, &deadlines), server.accept());
    let error = answer.unwrap_err();
    assert!(matches!(error, Error::HeadersTimeout { after: MINUTE }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn the_total_deadline_applies_before_the_head() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let deadlines = Deadlines { total: MINUTE, ..NEVER };
    let (answer, _peer) = tokio::join!(client.send(&target, get(&target, "/"), &deadlines), server.answer(b""));
    let error = answer.unwrap_err();
    assert!(matches!(error, Error::TotalTimeout { after: MINUTE }), "{error:?}");
}

#[tokio::test]
async fn a_stalled_body_is_an_idle_timeout() {
    let (server, client) = (Server::bind().await, client());
    // The timer of the headers fires in between; it must neither be mistaken for the idle timer nor delay it.
    for headers in [MINUTE * 5, MINUTE / 2] {
        let deadlines = Deadlines { headers, idle: MINUTE, ..NEVER };
        let (mut body, mut peer) = begun(&client, &server, &deadlines).await;
        let start = Instant::now();
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::IdleTimeout { after: MINUTE }), "{error:?}");
        assert!(start.elapsed() >= MINUTE && start.elapsed() < MINUTE * 2);
        assert_eq!((error.code(), error.may_retry()), ("upstream_timeout", false));
        assert!(body.frame().await.is_none());
        assert_eq!(client.open_connections(), 0);
        peer.closed().await;
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_dripping_body_is_not_idle_but_ends_at_the_total_deadline() {
    let (server, client) = (Server::bind().await, client());
    let deadlines = Deadlines { idle: MINUTE / 10, total: MINUTE * 5, ..NEVER };
    let (mut body, peer) = begun(&client, &server, &deadlines).await;
    let start = Instant::now();
    let read = async {
        let mut bytes = 0;
        loop {
            match body.frame().await.unwrap() {
                Ok(frame) => bytes += frame.into_data().unwrap().len(),
                Err(error) => break (bytes, error, start.elapsed()),
            }
        }
    };
    let ((bytes, error, took), ()) = tokio::join!(read, drip(peer, b""));
    assert!(matches!(error, Error::TotalTimeout { .. }), "{error:?}");
    assert_eq!(error.code(), "upstream_timeout");
    assert!(bytes > 200, "{bytes}");
    assert!(took > MINUTE * 4 && took < MINUTE * 6);
}

#[tokio::test]
async fn pauses_of_the_reader_do_not_count_as_idle() {
    let (server, client) = (Server::bind().await, client());
    let deadlines = Deadlines { idle: MINUTE, ..NEVER };
    let (mut body, mut peer) = begun(&client, &server, &deadlines).await;
    peer.write(b"more").await;
    crate::server::settle().await;
    tokio::time::advance(MINUTE * 10).await;
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "more");
    tokio::time::advance(MINUTE * 10).await;
    let start = Instant::now();
    let error = body.frame().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::IdleTimeout { .. }));
    assert!(start.elapsed() >= MINUTE, "waiting begins when the reader asks");
}

#[tokio::test]
async fn a_steady_stream_ends_at_the_total_deadline() {
    let (server, client) = (Server::bind().await, client());
    let deadlines = Deadlines { total: MINUTE, ..NEVER };
    let (mut body, mut peer) = begun(&client, &server, &deadlines).await;
    let flood = async move {
        let piece = vec![b'x'; 1 << 20];
        while peer.0.write_all(&piece).await.is_ok() {}
    };
    let read = async move {
        for _ in 0..100 {
            body.frame().await.unwrap().unwrap();
        }
        tokio::time::advance(MINUTE).await;
        for _ in 0..10_000 {
            if let Err(error) = body.frame().await.unwrap() {
                return error;
            }
        }
        unreachable!("the stream continues after its deadline");
    };
    let (error, ()) = tokio::join!(read, flood);
    assert!(matches!(error, Error::TotalTimeout { after: MINUTE }), "{error:?}");
}

#[tokio::test]
async fn the_total_deadline_is_checked_without_its_timer() {
    let (server, client) = (Server::bind().await, client());
    let deadlines = Deadlines { total: MINUTE, ..NEVER };
    let (mut body, _peer) = begun(&client, &server, &deadlines).await;
    tokio::time::advance(MINUTE).await;
    // A task without budget receives nothing from tokio: no bytes, but no timers either.
    while coop::has_budget_remaining() {
        coop::consume_budget().await;
    }
    let poll = poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await;
    assert!(matches!(poll, Poll::Ready(Some(Err(Error::TotalTimeout { .. })))), "{poll:?}");
}

/// A gzip body of 16 MiB of blanks in a single piece, and one of small frames that are always ready.
async fn ready_bodies() -> [Vec<u8>; 2] {
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all(&vec![b' '; 16 << 20]).await.unwrap();
    encoder.shutdown().await.unwrap();
    let bomb = encoder.into_inner();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bomb.len());
    let pings = "8\r\n: ping\n\n\r\n".repeat(20_000);
    [[head.into_bytes(), bomb].concat(), format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{pings}").into()]
}

#[tokio::test]
async fn bytes_that_are_always_ready_do_not_outlive_the_total_deadline() {
    for answer in ready_bodies().await {
        let (server, client) = (Server::bind().await, client());
        let target = server.target();
        let deadlines = Deadlines { total: MINUTE, ..NEVER };
        let sent = client.send(&target, get(&target, "/"), &deadlines);
        let (sent, mut peer) = tokio::join!(sent, server.answer(&answer));
        let mut body = sent.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        tokio::time::pause();
        tokio::time::advance(MINUTE).await;
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::TotalTimeout { after: MINUTE }), "{error:?}");
        assert!(body.frame().await.is_none());
        peer.closed().await;
        tokio::time::resume();
    }
}

#[tokio::test]
async fn bytes_that_are_always_ready_leave_time_to_other_tasks() {
    for answer in ready_bodies().await {
        let (server, client) = (Server::bind().await, client());
        let target = server.target();
        let (sent, _peer) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), server.answer(&answer));
        let mut body = sent.unwrap().into_body();
        // A thousand frames are more than the budget of a task.
        let (mut frames, mut pauses) = (0, 0);
        poll_fn(|cx| {
            while frames < 1_000 {
                match Pin::new(&mut body).poll_frame(cx) {
                    Poll::Ready(frame) => {
                        frame.unwrap().unwrap();
                        frames += 1;
                    }
                    Poll::Pending => {
                        pauses += 1;
                        return Poll::Pending;
                    }
                }
            }
            Poll::Ready(())
        })
        .await;
        assert!(pauses >= 5, "{pauses}");
    }
}

#[tokio::test]
async fn the_default_deadlines_allow_an_ordinary_exchange() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let deadlines = Deadlines::default();
    let (answer, _peer) = tokio::join!(client.send(&target, get(&target, "/"), &deadlines), server.answer(OK));
    assert_eq!(crate::read_all(answer.unwrap().into_body()).await, b"ok");
}
