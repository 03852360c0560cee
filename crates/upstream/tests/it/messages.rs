//! Tests the requests that are sent and the responses that are returned.

use http::StatusCode;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, LOCATION, TE};
use http_body_util::BodyExt;
use signalbox_upstream::{Deadlines, Error};

use crate::server::{Server, settle};
use crate::{NEVER, OK, client, get, post, read_all};

#[tokio::test]
async fn a_request_carries_its_own_and_the_connection_headers() {
    let server = Server::bind().await;
    let target = server.target();
    let mut request = post(&target, "/v1/chat?x=1", "{}");
    for (name, value) in [
        (HOST, "spoofed.test"),
        (CONTENT_LENGTH, "1000"),
        (CONNECTION, "close, x-hop"),
        (TE, "trailers"),
        (EXPECT, "100-continue"),
        (HeaderName::from_static("x-hop"), "1"),
        (HeaderName::from_static("proxy-authorization"), "secret"),
        (HeaderName::from_static("accept-encoding"), "gzip"),
        (HeaderName::from_static("authorization"), "Bearer key"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let client = client();
    let (response, received) = tokio::join!(client.send(&target, request, &NEVER), async {
        let mut peer = server.accept().await;
        let received = peer.request().await;
        peer.write(OK).await;
        received
    });
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    let mut lines: Vec<&str> = received.head.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.remove(0), "POST /v1/chat?x=1 HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: {}", target.authority());
    assert_eq!(lines, ["accept-encoding: identity", "authorization: Bearer key", "content-length: 2", host.as_str()]);
    assert_eq!(received.body, b"{}");
}

#[tokio::test]
async fn an_empty_post_has_a_content_length_and_a_get_has_none() {
    let server = Server::bind().await;
    let target = server.target();
    let client = client();
    for (request, says) in [(post(&target, "/", ""), true), (get(&target, "/"), false)] {
        let (response, head) = tokio::join!(client.send(&target, request, &NEVER), async {
            let mut peer = server.accept().await;
            let head = peer.request().await.head;
            peer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
            head
        });
        assert_eq!(read_all(response.unwrap().into_body()).await, b"");
        assert_eq!(head.contains("\r\ncontent-length: 0\r\n"), says, "{head}");
    }
}

#[tokio::test]
async fn a_large_body_arrives_completely() {
    let body: Vec<u8> = (0_u32..2 << 20).flat_map(u32::to_le_bytes).collect();
    let server = Server::bind().await;
    let target = server.target();
    let (client, request) = (client(), post(&target, "/", body.clone()));
    let (response, received) = tokio::join!(client.send(&target, request, &NEVER), async {
        let mut peer = server.accept().await;
        let received = peer.request().await;
        peer.write(OK).await;
        received
    });
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    assert!(received.body == body);
}

#[tokio::test]
async fn an_early_answer_is_an_answer() {
    let server = Server::bind().await;
    let target = server.target();
    let (client, request) = (client(), post(&target, "/", vec![0; 16 << 20]));
    let (response, _peer) = tokio::join!(client.send(&target, request, &NEVER), async {
        let mut peer = server.accept().await;
        peer.write(b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 3\r\n\r\nbig").await;
        peer
    });
    let response = response.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(read_all(response.into_body()).await, b"big");
    assert_eq!(client.open_connections(), 0, "half a request is still in that connection");
}

#[tokio::test]
async fn every_framing_ends_correctly() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    for (response, kept) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"[..], true),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", true),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-trailer: dropped\r\n\r\n", true),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello", false),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", false),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", false),
    ] {
        let (answer, peer) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), async {
            let peer = server.answer(response).await;
            kept.then_some(peer)
        });
        assert_eq!(read_all(answer.unwrap().into_body()).await, b"hello");
        assert_eq!(client.open_connections(), usize::from(kept), "{}", response.escape_ascii());
        // The next iteration starts with a new connection in any case.
        drop(peer);
        settle().await;
    }
}

#[tokio::test]
async fn a_declared_length_is_known() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let (answer, _peer) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), server.answer(OK));
    let mut body = answer.unwrap().into_body();
    assert_eq!(http_body::Body::size_hint(&body).exact(), Some(2));
    assert!(!http_body::Body::is_end_stream(&body));
    body.frame().await.unwrap().unwrap();
    assert!(http_body::Body::is_end_stream(&body), "a body of known length ends without another read");
    assert_eq!(client.idle_connections(), 1);
}

#[tokio::test]
async fn informational_heads_are_skipped() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let mut bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".to_vec();
    bytes.extend_from_slice(OK);
    let (answer, _peer) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), server.answer(&bytes));
    let answer = answer.unwrap();
    assert_eq!((answer.status(), answer.headers().get("link")), (StatusCode::OK, None));
    assert_eq!(read_all(answer.into_body()).await, b"ok");
}

#[tokio::test]
async fn switching_protocols_is_refused() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let head = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    let (answer, mut peer) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), server.answer(head));
    let error = answer.unwrap_err();
    assert!(matches!(error, Error::SwitchedProtocols) && !error.may_retry());
    assert_eq!(error.code(), "upstream_protocol");
    peer.closed().await;
}

#[tokio::test]
async fn redirects_and_errors_are_returned_as_answers() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let head = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    let sent = client.send(&target, get(&target, "/"), &NEVER);
    let (answer, mut peer) = tokio::join!(sent, server.answer(head));
    let answer = answer.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()[LOCATION]),
        (StatusCode::TEMPORARY_REDIRECT, &"http://169.254.169.254/".parse().unwrap())
    );
    let head =
        b"HTTP/1.1 503 Service Unavailable\r\nkeep-alive: timeout=5\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";
    let request = get(&target, "/");
    let deadlines = Deadlines::default();
    let (answer, ()) = tokio::join!(client.send(&target, request, &deadlines), peer.answer(head));
    let answer = answer.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after") && !answer.headers().contains_key("keep-alive"));
}
