//! Tests the errors reported for faults of providers and networks.

use http_body_util::BodyExt;
use signalbox_upstream::{AddressPolicy, Error, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::Server;
use crate::{NEVER, client, get, post, read};

/// Returns the result of the client for this response, after which the server ends the connection.
async fn outcome(response: &[u8]) -> (Vec<u8>, Result<(), Error>) {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let (answer, ()) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), async {
        drop(server.answer(response).await);
    });
    let outcome = match answer {
        Ok(answer) => read(answer.into_body()).await,
        Err(error) => (Vec::new(), Err(error)),
    };
    assert_eq!(client.open_connections(), 0);
    outcome
}

#[tokio::test]
async fn a_body_that_ends_early_is_truncated() {
    for response in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhello",
    ] {
        let (bytes, end) = outcome(response).await;
        assert_eq!(bytes, b"hello", "the received bytes are delivered");
        let error = end.unwrap_err();
        assert!(matches!(error, Error::Truncated { .. }), "{}: {error:?}", response.escape_ascii());
        assert_eq!((error.code(), error.may_retry()), ("upstream_reset", false));
    }
}

#[tokio::test]
async fn invalid_http_is_a_protocol_error() {
    let many: String = (0..101).map(|n| format!("x-{n}: 1\r\n")).collect();
    let large = format!("x: {}\r\n", "y".repeat(70_000));
    for response in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\n\r\nx",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        &format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        &format!("HTTP/1.1 200 OK\r\n{large}\r\n"),
    ] {
        let (_, end) = outcome(response.as_bytes()).await;
        let error = end.unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{response:.80}: {error:?}");
        assert_eq!((error.code(), error.may_retry()), ("upstream_protocol", false));
    }
}

#[tokio::test]
async fn a_few_provisional_responses_are_skipped_and_a_flood_is_an_error() {
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n";
    let honest = hint.repeat(8) + "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    assert_eq!(outcome(honest.as_bytes()).await.0, b"hello");

    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let (answer, written) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), async {
        let mut peer = server.accept().await;
        peer.request().await;
        let mut written = 0;
        // The writes fail when the client gives up and closes the connection.
        while peer.0.write_all(hint.as_bytes()).await.is_ok() {
            written += hint.len();
            tokio::task::yield_now().await;
        }
        written
    });
    let error = answer.unwrap_err();
    assert!(matches!(error, Error::NoFinalResponse), "{error:?}");
    assert_eq!((error.code(), error.may_retry()), ("upstream_protocol", false));
    assert!(written > 100 << 10, "{written}");
    assert_eq!(client.open_connections(), 0);
}

#[tokio::test]
async fn a_connection_closed_before_the_head_is_a_reset() {
    for response in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-le", b"HTTP/1.1 100 Continue\r\n\r\n"] {
        let (_, end) = outcome(response).await;
        let error = end.unwrap_err();
        assert!(matches!(error, Error::Reset { head_received: false, .. }), "{error:?}");
        assert_eq!((error.code(), error.may_retry()), ("upstream_reset", false));
    }
}

#[tokio::test]
async fn a_reset_before_the_head_is_a_reset() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let (answer, ()) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), async {
        let mut peer = server.accept().await;
        peer.request().await;
        peer.reset();
    });
    let error = answer.unwrap_err();
    assert!(matches!(error, Error::Reset { head_received: false, .. }), "{error:?}");
}

#[tokio::test]
async fn a_refusal_during_a_large_upload_is_read() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    for _ in 0..20 {
        let request = post(&target, "/", vec![b'x'; 8 << 20]);
        let (answer, ()) = tokio::join!(client.send(&target, request, &NEVER), async {
            let mut peer = server.accept().await;
            peer.0.read_u8().await.unwrap();
            peer.write(b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbig").await;
        });
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 413);
        assert_eq!(read(answer.into_body()).await.0, b"big");
    }
    assert_eq!(client.open_connections(), 0);
}

#[tokio::test]
async fn a_reset_in_the_body_comes_after_the_received_bytes() {
    for head in ["content-length: 100", "transfer-encoding: chunked", "x-framing: until the end"] {
        let (server, client) = (Server::bind().await, client());
        let target = server.target();
        let beginning = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n");
        let sent = client.send(&target, get(&target, "/"), &NEVER);
        let (answer, peer) = tokio::join!(sent, server.answer(beginning.as_bytes()));
        let mut body = answer.unwrap().into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(first.windows(5).any(|window| window == b"hello"));
        peer.reset();
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Reset { head_received: true, .. }), "{head}: {error:?}");
        assert_eq!((error.code(), error.may_retry()), ("upstream_reset", false));
        assert!(body.frame().await.is_none(), "no data follows an error");
        assert_eq!(client.open_connections(), 0);
    }
}

#[tokio::test]
async fn a_closed_port_is_a_refused_connection() {
    let target = Server::bind().await.target();
    let error = client().send(&target, get(&target, "/"), &NEVER).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert_eq!((error.code(), error.may_retry()), ("upstream_connect", true));
}

#[tokio::test]
async fn a_name_with_a_forbidden_address_is_not_called() {
    let server = Server::bind().await;
    let port = server.target().authority().rsplit_once(':').unwrap().1.to_owned();
    let policy = AddressPolicy { allow_private: true, allow_loopback: false };
    let target = Target::parse(&format!("http://localhost:{port}"), &policy).unwrap();
    let error = client().send(&target, get(&target, "/"), &NEVER).await.unwrap_err();
    assert!(matches!(error, Error::Policy { .. }), "{error:?}");
    assert_eq!((error.code(), error.may_retry()), ("upstream_policy", true));
    assert!(server.is_left_alone().await);
}
