//! Tests requests through HTTP proxies, over real sockets.

use std::time::Duration;

use signalbox_upstream::{
    AddressPolicy, Client, ClientConfig, Deadlines, EnvironmentProxies, Error, ProxyChoice, ProxyError, Target,
};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use crate::server::{Peer, Server};
use crate::tls::Identity;
use crate::{NEVER, OK, client, get, post, read_all};

/// Returns a target that is reached through the proxy at `proxy` with these credentials (`user:password@`).
fn through(proxy: &Server, credentials: &str, url: &str) -> Target {
    let choice = ProxyChoice::parse(&format!("http://{credentials}127.0.0.1:{}", proxy.port())).unwrap();
    Target::parse(url, &AddressPolicy::default()).unwrap().with_proxy(choice)
}

/// Connects the client of a tunnel with its target.
async fn join(mut peer: Peer, port: u16) {
    let mut onward = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // The client closes the tunnel when it is dropped, which may be an error here.
    let _ = copy_bidirectional(&mut peer.0, &mut onward).await;
}

#[tokio::test]
async fn an_https_target_is_reached_through_a_tunnel_which_is_used_again() {
    let identity = Identity::for_name("provider.test");
    let client = identity.trusting_client();
    let (proxy, server) = (Server::bind().await, Server::bind().await);
    let target = through(&proxy, "us%40er:pw@", "https://provider.test:8443/v1");
    let relay = async {
        let mut peer = proxy.accept().await;
        let request = peer.request().await.head;
        assert_eq!(
            request,
            "CONNECT provider.test:8443 HTTP/1.1\r\nhost: provider.test:8443\r\n\
             proxy-authorization: Basic dXNAZXI6cHc=\r\n\r\n"
        );
        // Informational responses precede the answer, which comes in two parts, as a slow proxy sends it.
        peer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 Conn").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        peer.write(b"ection established\r\nvia: x\r\n\r\n").await;
        join(peer, server.port()).await;
    };
    let serve = async {
        let mut peer = Peer(identity.acceptor().accept(server.accept().await.0).await.unwrap());
        for _ in 0..2 {
            let request = peer.request().await.head;
            assert!(request.starts_with("POST /v1/chat HTTP/1.1\r\n"), "{request}");
            assert!(!request.to_ascii_lowercase().contains("proxy-"), "{request}");
            peer.write(OK).await;
        }
        peer
    };
    let ask = async {
        for _ in 0..2 {
            let answer = client.send(&target, post(&target, "/chat", "{}"), &NEVER).await.unwrap();
            assert_eq!(read_all(answer.into_body()).await, b"ok");
        }
        drop(client);
    };
    tokio::join!(relay, async { drop(serve.await) }, ask);
}

#[tokio::test]
async fn a_plain_target_is_asked_in_absolute_form() {
    let (proxy, client) = (Server::bind().await, client());
    let target = through(&proxy, "user:pw@", "http://provider.test:8080/v1");
    let (answer, request) = tokio::join!(client.send(&target, get(&target, "/models?x=1"), &NEVER), async {
        let mut peer = proxy.accept().await;
        let request = peer.request().await.head;
        peer.write(OK).await;
        request
    });
    assert_eq!(read_all(answer.unwrap().into_body()).await, b"ok");
    assert!(request.starts_with("GET http://provider.test:8080/v1/models?x=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("host: provider.test:8080\r\n"), "{request}");
    assert!(request.contains("proxy-authorization: Basic dXNlcjpwdw==\r\n"), "{request}");
}

#[tokio::test]
async fn the_environment_is_obeyed_and_the_target_wins() {
    let (proxy, server) = (Server::bind().await, Server::bind().await);
    let url = format!("http://127.0.0.1:{}", proxy.port());
    let read = |name: &str| (name == "HTTP_PROXY").then(|| url.clone());
    let proxies = EnvironmentProxies::from_variables(read).unwrap();
    let client = Client::new(&ClientConfig { proxies, ..ClientConfig::default() }).unwrap();
    let far = Target::parse("http://provider.test", &AddressPolicy::default()).unwrap();
    let (answer, _peer) = tokio::join!(client.send(&far, get(&far, "/"), &NEVER), proxy.answer(OK));
    assert_eq!(read_all(answer.unwrap().into_body()).await, b"ok");
    // Loopback is always direct.
    let near = server.target();
    let (answer, _peer) = tokio::join!(client.send(&near, get(&near, "/"), &NEVER), server.answer(OK));
    answer.unwrap();
    // A proxy of its own is used even for a loopback target, and on a connection of its own.
    let other = Server::bind().await;
    let own = through(&other, "", &format!("http://127.0.0.1:{}", server.port()));
    let (answer, _peer) = tokio::join!(client.send(&own, get(&own, "/"), &NEVER), other.answer(OK));
    answer.unwrap();
    assert!(proxy.is_left_alone().await);
}

/// Returns the error for a proxy that answers `CONNECT` like this and then closes the connection.
async fn refused(answer: &'static [u8]) -> Error {
    let (proxy, client) = (Server::bind().await, client());
    let target = through(&proxy, "user:canary@", "https://provider.test");
    let (outcome, ()) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), async {
        drop(proxy.answer(answer).await);
    });
    let error = outcome.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains(&format!("127.0.0.1:{}", proxy.port())), "{shown}");
    assert!(!shown.contains("canary") && !shown.contains("dXNl"), "{shown}");
    assert!(error.may_retry(), "{error}");
    assert_eq!(client.open_connections(), 0);
    error
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_without_its_credentials() {
    for (answer, code) in [
        (&b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n"[..], "proxy_auth"),
        (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno", "proxy_refused"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "proxy_refused"),
        (b"HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n", "proxy_refused"),
        (b"HTTP/1.1 200 OK\r\n\r\nearly", "proxy_protocol"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "proxy_refused"),
        (b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n", "proxy_refused"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "proxy_connect"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "proxy_protocol"),
        (b"HTTP/1.1 200", "proxy_connect"),
        (b"", "proxy_connect"),
    ] {
        let error = refused(answer).await;
        assert_eq!(error.code(), code, "{}: {error}", answer.escape_ascii());
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_or_does_not_answer_is_a_connection_failure() {
    let client = client();
    let gone = Server::bind().await;
    let target = through(&gone, "user:canary@", "https://provider.test");
    drop(gone);
    let error = client.send(&target, get(&target, "/"), &NEVER).await.unwrap_err();
    assert!(matches!(error, Error::Proxy { source: ProxyError::Connect(_), .. }), "{error:?}");
    assert_eq!((error.code(), error.may_retry(), error.is_timeout()), ("proxy_connect", true, false));

    let silent = Server::bind().await;
    let target = through(&silent, "", "https://provider.test");
    let soon = Deadlines { connect: Duration::from_millis(100), ..NEVER };
    let error = client.send(&target, get(&target, "/"), &soon).await.unwrap_err();
    assert_eq!((error.code(), error.may_retry(), error.is_timeout()), ("proxy_timeout", true, true));
}

#[tokio::test]
async fn a_407_of_a_forwarding_proxy_is_not_the_answer_of_the_provider() {
    let (proxy, client) = (Server::bind().await, client());
    let target = through(&proxy, "", "http://provider.test");
    let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    let (outcome, _peer) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), proxy.answer(answer));
    let error = outcome.unwrap_err();
    assert_eq!((error.code(), error.may_retry()), ("proxy_auth", true));
}

#[tokio::test]
async fn a_proxy_is_no_way_around_the_policy() {
    let (proxy, client) = (Server::bind().await, client());
    let strict = AddressPolicy { allow_private: false, allow_loopback: false };
    let choice = ProxyChoice::parse(&format!("127.0.0.1:{}", proxy.port())).unwrap();
    for (url, policy) in [
        // Names of metadata services are refused with every policy.
        ("http://metadata.google.internal", AddressPolicy::default()),
        ("https://metadata.google.internal.", AddressPolicy::default()),
        // The proxy itself is at a loopback address.
        ("http://provider.test", strict),
        // The name resolves to a loopback address.
        ("http://localhost", strict),
    ] {
        let target = Target::parse(url, &policy).unwrap().with_proxy(choice.clone());
        let error = client.send(&target, get(&target, "/"), &NEVER).await.unwrap_err();
        assert_eq!(error.code(), "upstream_policy", "{url}: {error}");
    }
    assert!(proxy.is_left_alone().await);
}

#[tokio::test]
async fn a_proxy_that_leads_back_here_is_refused() {
    let proxy = Server::bind().await;
    let own_addresses = vec![format!("127.0.0.1:{}", proxy.port()).parse().unwrap()];
    let client = Client::new(&ClientConfig { own_addresses, ..ClientConfig::default() }).unwrap();
    let target = through(&proxy, "", "http://provider.test");
    let error = client.send(&target, get(&target, "/"), &NEVER).await.unwrap_err();
    assert!(matches!(error, Error::OwnAddress { .. }), "{error:?}");
}

#[tokio::test]
async fn a_flood_of_informational_responses_from_a_proxy_ends() {
    let (proxy, client) = (Server::bind().await, client());
    let target = through(&proxy, "", "https://provider.test");
    let (outcome, ()) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), async {
        let mut peer = proxy.accept().await;
        peer.request().await;
        while peer.0.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_ok() {}
    });
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Proxy { source: ProxyError::NoFinalResponse, .. }), "{error:?}");
    assert_eq!(error.code(), "proxy_protocol");
}

#[tokio::test]
async fn a_flood_of_headers_from_a_proxy_ends() {
    let (proxy, client) = (Server::bind().await, client());
    let target = through(&proxy, "", "https://provider.test");
    let (outcome, ()) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), async {
        let mut peer = proxy.accept().await;
        peer.request().await;
        peer.write(b"HTTP/1.1 200 OK\r\nx: ").await;
        while peer.0.write_all(&[b'x'; 4096]).await.is_ok() {}
    });
    assert_eq!(outcome.unwrap_err().code(), "proxy_protocol");
}
