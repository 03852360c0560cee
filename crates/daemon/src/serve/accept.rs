//! The accept loop.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
#[cfg(unix)]
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::{Request, Response};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use crate::config::Size;
#[cfg(unix)]
use crate::unix_socket::UnixSocket;

use super::House;
use super::arrival::RequestBody;
use super::connection::{self, LAST_CHANCE};
use super::entry;
use super::pace::Pace;
use super::places::Place;
use super::socket::Socket;

/// Delay after a failed accept, for instance when the process is out of descriptors: each connection that ends frees
/// one.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Maximum number of accepted connections that wait for a slot, so that one whose address has reached its limit does not
/// keep others waiting. Further ones stay in the backlog.
const MOST_WAITING: usize = 16;

/// Accepts connections until draining begins, then closes the sockets.
pub(super) async fn until_draining<S, B>(sockets: Vec<TcpListener>, house: &House, service: &S)
where
    S: hyper::service::Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    for socket in &sockets {
        if let Err(error) = bound_send_buffers(socket, house.server.send_buffer) {
            tracing::warn!(
                %error,
                "cannot set the send buffer, kernel memory for clients that do not read is not limited"
            );
        }
    }
    let admit = |stream: TcpStream, peer: SocketAddr, pace: Arc<Pace>, place: Option<Place>| {
        let Some(place) = place else {
            return if house.tls.is_none() {
                refuse(&stream)
            };
        };
        let is_local = is_local(&stream, peer);
        let socket = Socket::new(stream, Arc::clone(&pace), place, house.open.token());
        match &house.tls {
            Some(tls) => {
                let (tls, peer) = (Arc::clone(tls), (peer, is_local));
                house.open.spawn(entry::serve(socket, peer, tls, pace, house.clone(), service.clone()));
            }
            None => drop(house.open.spawn(connection::serve(socket, peer, pace, house.clone(), service.clone()))),
        }
    };
    let mut waiting = FuturesUnordered::new();
    let accepting = async {
        let (mut turn, mut failing) = (0, false);
        loop {
            let accepted = tokio::select! {
                biased;
                Some((stream, peer, pace, place)) = waiting.next() => {
                    admit(stream, peer, pace, place);
                    continue;
                }
                accepted = accept(&sockets, &mut turn), if waiting.len() < MOST_WAITING => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) if concerns_one_connection(&error) => continue,
                Err(error) => {
                    if !failing {
                        tracing::error!(%error, "cannot accept connections, trying again every 100 ms");
                    }
                    failing = true;
                    tokio::time::sleep(BACK_OFF).await;
                    continue;
                }
            };
            if failing {
                tracing::info!("accepting connections again");
                failing = false;
            }
            // Responses are small and streams are slow, so Nagle's algorithm would only add latency.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "cannot set TCP_NODELAY");
            }
            let pace = Arc::new(Pace::new(house.timeouts()));
            if let Some(place) = house.places.try_take(peer.ip(), &pace) {
                admit(stream, peer, pace, Some(place));
            } else {
                waiting.push(async move {
                    let place = house.places.take(peer.ip(), &pace).await;
                    (stream, peer, pace, place)
                });
            }
        }
    };
    tokio::select! {
        biased;
        () = house.draining.cancelled() => {}
        () = accepting => {}
    }
    drop(sockets);
    // Their requests may be under way, like those of idle connections.
    let admitting = async {
        while let Some((stream, peer, pace, place)) = waiting.next().await {
            admit(stream, peer, pace, place);
        }
    };
    let _ = tokio::time::timeout(LAST_CHANCE, admitting).await;
}

/// Accepts connections of a Unix socket until draining begins, then closes it. Its clients count as loopback clients.
#[cfg(unix)]
pub(super) async fn unix_until_draining<S, B>(socket: Option<UnixSocket>, house: &House, service: &S)
where
    S: hyper::service::Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Some(socket) = socket else { return };
    let accepting = async {
        loop {
            let stream = match socket.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) if concerns_one_connection(&error) => continue,
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections of the Unix socket, trying again");
                    tokio::time::sleep(BACK_OFF).await;
                    continue;
                }
            };
            let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let pace = Arc::new(Pace::new(house.timeouts()));
            let Some(place) = house.places.take(peer.ip(), &pace).await else { continue };
            let socket = Socket::new(stream, Arc::clone(&pace), place, house.open.token());
            house.open.spawn(connection::serve(socket, peer, pace, house.clone(), service.clone()));
        }
    };
    tokio::select! {
        biased;
        () = house.draining.cancelled() => {}
        () = accepting => {}
    }
}

/// Returns whether the client runs on this machine: both ends of the connection have the same address, or the client has
/// a loopback address.
fn is_local(stream: &TcpStream, peer: SocketAddr) -> bool {
    let peer = peer.ip().to_canonical();
    peer.is_loopback() || stream.local_addr().is_ok_and(|local| local.ip().to_canonical() == peer)
}

/// Sends a 503 to a client whose address has too many connections, without waiting.
fn refuse(stream: &TcpStream) {
    const ANSWER: &str = concat!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n",
        "content-length: 138\r\n\r\n",
        r#"{"error":{"message":"Your address has too many connections open; close some.","type":"overloaded_error","param":null,"code":"overloaded"}}"#,
    );
    // Best effort: the client may not read it.
    let _ = stream.try_write(ANSWER.as_bytes());
}

/// Bounds the send buffer of each connection. Accepted sockets inherit the size, so it costs nothing per connection. By
/// default the kernel grows the buffer to megabytes, which a client that stops reading pins.
pub(super) fn bound_send_buffers(socket: &TcpListener, size: Size) -> io::Result<()> {
    SockRef::from(socket).set_send_buffer_size(size.as_usize())
}

/// Accepts the next connection of any socket. The socket that is polled first rotates.
async fn accept(sockets: &[TcpListener], turn: &mut usize) -> io::Result<(TcpStream, SocketAddr)> {
    *turn = turn.wrapping_add(1);
    poll_fn(|cx: &mut Context<'_>| {
        for offset in 0..sockets.len() {
            let socket = &sockets[turn.wrapping_add(offset) % sockets.len()];
            if let Poll::Ready(accepted) = socket.poll_accept(cx) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    })
    .await
}

/// Returns `true` if the error concerns only the accepted connection, so that the loop can continue at once.
pub(super) fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}
