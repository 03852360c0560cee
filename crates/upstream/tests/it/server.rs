//! A raw TCP server for tests.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use signalbox_upstream::{AddressPolicy, Target};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Listens on a free port of the loopback interface.
pub(crate) struct Server(TcpListener);

/// The server's side of a connection.
pub(crate) struct Peer<S = TcpStream>(pub(crate) S);

/// A request as received by the server.
pub(crate) struct Received {
    /// Request line and headers with their line endings, up to the blank line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Server {
    pub(crate) async fn bind() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// Returns the server's URL with another scheme or host name.
    pub(crate) fn target_as(&self, scheme_and_host: &str) -> Target {
        let url = format!("{scheme_and_host}:{}", self.0.local_addr().unwrap().port());
        Target::parse(&url, &AddressPolicy::default()).unwrap()
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    pub(crate) fn target(&self) -> Target {
        self.target_as("http://127.0.0.1")
    }

    pub(crate) async fn accept(&self) -> Peer {
        Peer(self.0.accept().await.unwrap().0)
    }

    /// Accepts a connection, reads a request and sends the response.
    pub(crate) async fn answer(&self, response: &[u8]) -> Peer {
        let mut peer = self.accept().await;
        peer.answer(response).await;
        peer
    }

    /// Returns whether no connection is waiting to be accepted.
    pub(crate) async fn is_left_alone(&self) -> bool {
        settle().await;
        poll_fn(|cx| Poll::Ready(self.0.poll_accept(cx).is_pending())).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// Reads one request, with the body length given by `Content-Length`.
    pub(crate) async fn request(&mut self) -> Received {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("a request"));
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).await.unwrap();
        Received { head, body }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
        self.0.flush().await.unwrap();
    }

    pub(crate) async fn answer(&mut self, response: &[u8]) {
        self.request().await;
        self.write(response).await;
    }

    /// Waits until the client has closed the connection.
    pub(crate) async fn closed(&mut self) {
        let mut rest = Vec::new();
        // A socket that is closed with unread bytes resets the connection, which counts as closed too.
        let _ = self.0.read_to_end(&mut rest).await;
        assert_eq!(rest, b"", "the client should have closed the connection");
    }
}

impl Peer {
    /// Closes the connection with a reset.
    pub(crate) fn reset(self) {
        self.0.set_zero_linger().unwrap();
    }
}

/// Waits until all data sent over loopback have arrived: a round trip on another connection that starts later also
/// arrives later.
pub(crate) async fn settle() {
    let server = Server::bind().await;
    let address = server.0.local_addr().unwrap();
    let (ours, mut theirs) = tokio::join!(TcpStream::connect(address), server.accept());
    let mut ours = ours.unwrap();
    ours.write_all(b"x").await.unwrap();
    theirs.0.read_u8().await.unwrap();
    drop(theirs);
    assert_eq!(ours.read(&mut [0]).await.unwrap(), 0);
    tokio::task::yield_now().await;
}

/// Writes one byte per second until the client closes the connection.
pub(crate) async fn drip(mut peer: Peer, beginning: &[u8]) {
    peer.write(beginning).await;
    while peer.0.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
