//! Tests requests over Unix sockets.

use signalbox_upstream::{AddressPolicy, ProxyChoice, Target};
use tokio::net::UnixListener;

use crate::server::Peer;
use crate::{NEVER, OK, client, get, read_all};

#[tokio::test]
async fn a_unix_socket_is_asked_like_a_server_and_never_through_a_proxy() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let client = client();
    let target = Target::parse(&format!("unix:{}:/v1", path.display()), &AddressPolicy::default()).unwrap();
    let target = target.with_proxy(ProxyChoice::parse("http://127.0.0.1:1").unwrap());
    let serve = async {
        let mut peer = Peer(listener.accept().await.unwrap().0);
        for _ in 0..2 {
            let head = peer.request().await.head;
            assert!(head.starts_with("GET /v1/models HTTP/1.1\r\n") && head.contains("host: localhost\r\n"), "{head}");
            peer.write(OK).await;
        }
        peer
    };
    let ask = async {
        for _ in 0..2 {
            let answer = client.send(&target, get(&target, "/models"), &NEVER).await.unwrap();
            assert_eq!(read_all(answer.into_body()).await, b"ok");
        }
    };
    let (_peer, ()) = tokio::join!(serve, ask);
    assert_eq!(client.open_connections(), 1, "it is used again");
}

#[tokio::test]
async fn a_missing_socket_is_a_connection_failure() {
    let client = client();
    let target = Target::parse("unix:/nowhere/model.sock", &AddressPolicy::default()).unwrap();
    let error = client.send(&target, get(&target, "/"), &NEVER).await.unwrap_err();
    assert_eq!((error.code(), error.may_retry()), ("upstream_connect", true));
    assert!(error.to_string().contains("/nowhere/model.sock"), "{error}");
}
