//! Tests when a connection is reused.

use std::time::Duration;

use http_body_util::BodyExt;
use signalbox_upstream::{AddressPolicy, Client, ClientConfig, Deadlines, Error, Target};
use tokio::io::AsyncReadExt;

use crate::server::{Server, settle};
use crate::{NEVER, OK, client, get, post, read_all};

/// Sends a request on a new connection and leaves the connection idle; returns the server's side of it.
async fn warm_up(client: &Client, server: &Server) -> crate::server::Peer {
    let target = server.target();
    let (answer, peer) = tokio::join!(client.send(&target, get(&target, "/warm"), &NEVER), server.answer(OK));
    read_all(answer.unwrap().into_body()).await;
    assert_eq!((client.idle_connections(), client.open_connections()), (1, 1));
    peer
}

#[tokio::test]
async fn the_next_request_uses_the_same_connection() {
    let (server, client) = (Server::bind().await, client());
    let mut peer = warm_up(&client, &server).await;
    let target = server.target();
    for _ in 0..3 {
        let (answer, ()) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), peer.answer(OK));
        assert_eq!((client.idle_connections(), client.open_connections()), (0, 1));
        assert_eq!(read_all(answer.unwrap().into_body()).await, b"ok");
        assert_eq!((client.idle_connections(), client.open_connections()), (1, 1));
    }
    assert!(server.is_left_alone().await);
}

#[tokio::test]
async fn another_origin_or_policy_uses_its_own_connection() {
    let (server, client) = (Server::bind().await, client());
    let _peer = warm_up(&client, &server).await;
    let strict = AddressPolicy { allow_private: false, allow_loopback: true };
    let url = format!("http://{}", server.target().authority());
    for target in [server.target_as("http://localhost"), Target::parse(&url, &strict).unwrap()] {
        let (answer, _peer) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), server.answer(OK));
        read_all(answer.unwrap().into_body()).await;
    }
    assert_eq!(client.idle_connections(), 3);
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    drop(warm_up(&client, &server).await);
    settle().await;
    let request = post(&target, "/again", "payload");
    let (answer, (received, _peer)) = tokio::join!(client.send(&target, request, &NEVER), async {
        let mut peer = server.accept().await;
        let received = peer.request().await;
        peer.write(OK).await;
        (received, peer)
    });
    assert_eq!(read_all(answer.unwrap().into_body()).await, b"ok");
    assert_eq!(received.body, b"payload", "the request was sent whole");
    assert_eq!(client.open_connections(), 1);
}

#[tokio::test]
async fn unsolicited_bytes_on_an_idle_connection_close_it() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let mut peer = warm_up(&client, &server).await;
    // The response of load balancers to a connection that is idle for too long.
    peer.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    settle().await;
    let (answer, _peer) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), server.answer(OK));
    assert_eq!(answer.unwrap().status(), 200);
}

#[tokio::test]
async fn a_request_lost_on_a_pooled_connection_is_resent_once() {
    // Closed in an orderly way or reset, after reading the whole request, a part of it, or nothing.
    for (reset, read) in [(false, usize::MAX), (true, usize::MAX), (false, 10), (true, 10), (true, 0)] {
        let (server, client) = (Server::bind().await, client());
        let target = server.target();
        let mut peer = warm_up(&client, &server).await;
        let body = "x".repeat(4096);
        let request = post(&target, "/again", body.clone());
        let losing = async {
            match read {
                usize::MAX => drop(peer.request().await),
                0 => peer.0.readable().await.unwrap(),
                part => drop(peer.0.read_exact(&mut vec![0; part]).await.unwrap()),
            }
            if reset {
                peer.reset()
            } else {
                drop(peer)
            }
            let mut second = server.accept().await;
            let received = second.request().await;
            second.write(OK).await;
            (received, second)
        };
        let (answer, (received, _second)) = tokio::join!(client.send(&target, request, &NEVER), losing);
        assert_eq!(read_all(answer.unwrap().into_body()).await, b"ok", "reset: {reset}, read: {read}");
        assert_eq!(received.body, body.as_bytes(), "the request was sent whole");
        assert!(received.head.starts_with("POST /again HTTP/1.1"), "{}", received.head);
        assert_eq!(client.resent_requests(), 1);
    }
}

#[tokio::test]
async fn a_request_is_sent_twice_at_most() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let mut peer = warm_up(&client, &server).await;
    let losing = async {
        peer.request().await;
        drop(peer);
        server.accept().await.request().await;
    };
    let (answer, ()) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), losing);
    let error = answer.unwrap_err();
    assert!(matches!(error, Error::Reset { head_received: false, .. }), "{error:?}");
    assert!(!error.may_retry());
    assert!(server.is_left_alone().await);
}

#[tokio::test]
async fn a_request_lost_on_a_new_connection_is_not_resent() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let losing = async { drop(server.accept().await.request().await) };
    let (answer, ()) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), losing);
    assert!(matches!(answer.unwrap_err(), Error::Reset { head_received: false, .. }));
    assert!(server.is_left_alone().await);
    assert_eq!(client.resent_requests(), 0);
}

#[tokio::test]
async fn a_request_with_a_partial_answer_is_not_resent() {
    for beginning in [&b"H"[..], b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-"] {
        let (server, client) = (Server::bind().await, client());
        let target = server.target();
        let mut peer = warm_up(&client, &server).await;
        let losing = async {
            peer.answer(beginning).await;
            settle().await;
            drop(peer);
        };
        let (answer, ()) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), losing);
        assert!(!answer.unwrap_err().may_retry());
        assert!(server.is_left_alone().await);
    }
}

#[tokio::test]
async fn a_request_lost_after_a_long_time_is_not_resent() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let mut peer = warm_up(&client, &server).await;
    let losing = async {
        peer.request().await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(6)).await;
        tokio::time::resume();
        drop(peer);
    };
    let (answer, ()) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), losing);
    assert!(matches!(answer.unwrap_err(), Error::Reset { head_received: false, .. }));
    assert!(server.is_left_alone().await);
}

#[tokio::test]
async fn a_request_that_timed_out_is_not_resent() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let mut peer = warm_up(&client, &server).await;
    let deadlines = Deadlines { headers: Duration::from_millis(50), ..NEVER };
    let (answer, _) = tokio::join!(client.send(&target, get(&target, "/"), &deadlines), peer.request());
    assert!(matches!(answer.unwrap_err(), Error::HeadersTimeout { .. }));
    assert!(server.is_left_alone().await);
}

#[tokio::test]
async fn bytes_beyond_the_content_length_close_the_connection() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let long = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more";
    let sent = client.send(&target, get(&target, "/"), &NEVER);
    let (answer, mut peer) = tokio::join!(sent, server.answer(long));
    assert_eq!(read_all(answer.unwrap().into_body()).await, b"ok");
    assert_eq!(client.open_connections(), 0);
    peer.closed().await;
}

#[tokio::test]
async fn dropping_a_body_closes_its_connection() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let beginning = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let sent = client.send(&target, get(&target, "/"), &NEVER);
    let (answer, mut peer) = tokio::join!(sent, server.answer(beginning));
    let mut body = answer.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    drop(body);
    assert_eq!(client.open_connections(), 0);
    peer.closed().await;
}

#[tokio::test]
async fn dropping_a_request_closes_its_connection() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let mut peer = tokio::select! {
        _ = client.send(&target, get(&target, "/"), &NEVER) => unreachable!("nobody answers"),
        peer = async { let mut peer = server.accept().await; peer.request().await; peer } => peer,
    };
    assert_eq!(client.open_connections(), 0);
    peer.closed().await;
}

#[tokio::test]
async fn idle_connections_are_limited() {
    let server = Server::bind().await;
    let client = Client::new(&ClientConfig { max_idle_per_target: 2, ..ClientConfig::default() }).unwrap();
    let target = server.target();
    let mut bodies = Vec::new();
    let mut peers = Vec::new();
    for _ in 0..5 {
        let (answer, peer) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), server.answer(OK));
        bodies.push(answer.unwrap().into_body());
        peers.push(peer);
    }
    assert_eq!((client.idle_connections(), client.open_connections()), (0, 5));
    for body in bodies {
        read_all(body).await;
    }
    assert_eq!((client.idle_connections(), client.open_connections()), (2, 2));
}

#[tokio::test]
async fn the_most_recently_used_connection_is_reused_first() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let (first, _first_peer) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), server.answer(OK));
    let (second, mut peer) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), server.answer(OK));
    read_all(first.unwrap().into_body()).await;
    read_all(second.unwrap().into_body()).await;
    let deadlines = Deadlines { headers: Duration::from_secs(5), ..NEVER };
    tokio::select! {
        biased;
        () = peer.answer(OK) => {}
        answer = client.send(&target, get(&target, "/"), &deadlines) => {
            assert!(answer.is_ok(), "the request used the other connection");
        }
    }
}

#[tokio::test]
async fn expired_idle_connections_are_closed_on_the_next_access() {
    let (server, client) = (Server::bind().await, client());
    let mut peer = warm_up(&client, &server).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(client.idle_connections(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!((client.idle_connections(), client.open_connections()), (0, 0));
    peer.closed().await;
}

#[tokio::test]
async fn an_expired_idle_connection_is_not_used() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let mut old = warm_up(&client, &server).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    let (answer, _peer) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), server.answer(OK));
    read_all(answer.unwrap().into_body()).await;
    old.closed().await;
    assert_eq!(client.open_connections(), 1);
}

#[tokio::test]
async fn expired_connections_are_closed_when_another_origin_is_used() {
    let (first, second, client) = (Server::bind().await, Server::bind().await, client());
    let mut old = warm_up(&client, &first).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    let target = second.target();
    let (answer, _peer) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), second.answer(OK));
    read_all(answer.unwrap().into_body()).await;
    old.closed().await;
    assert_eq!(client.open_connections(), 1);
}

#[tokio::test]
async fn dropping_the_client_closes_only_idle_connections() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let mut idle = warm_up(&client, &server).await;
    let clone = client.clone();
    let beginning = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe";
    let ((first, ()), (streaming, mut peer)) =
        tokio::join!(async { tokio::join!(clone.send(&target, get(&target, "/"), &NEVER), idle.answer(OK)) }, async {
            tokio::join!(client.send(&target, get(&target, "/"), &NEVER), server.answer(beginning))
        },);
    read_all(first.unwrap().into_body()).await;
    assert_eq!((client.idle_connections(), client.open_connections()), (1, 2));
    drop(clone);
    assert_eq!(client.idle_connections(), 1);
    drop(client);
    idle.closed().await;
    peer.write(b"llo").await;
    assert_eq!(read_all(streaming.unwrap().into_body()).await, b"hello");
    peer.closed().await;
}
