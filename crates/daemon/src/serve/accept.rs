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

use super::ServerState;
use super::connection::{self, DRAIN_GRACE};
use super::connection_slots::ConnectionSlot;
use super::connection_timeouts::ConnectionActivity;
use super::request_body::RequestBody;
use super::socket::Socket;
use super::tls_connection;

/// Delay after a failed accept, for instance when the process is out of descriptors: each connection that ends frees
/// one.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Maximum number of accepted connections that wait for a slot, so that one whose address has reached its limit does
/// not keep others waiting. Further ones stay in the backlog.
const MOST_WAITING: usize = 16;

/// Accepts connections until draining begins, then closes the sockets.
pub(super) async fn until_draining<S, B>(sockets: Vec<TcpListener>, state: &ServerState, service: &S)
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
        if let Err(error) = bound_send_buffers(socket, state.server.send_buffer) {
            tracing::warn!(
                %error,
                "cannot set the send buffer, kernel memory for clients that do not read is not limited"
            );
        }
    }
    let admit = |stream: TcpStream,
                 peer: SocketAddr,
                 activity: Arc<ConnectionActivity>,
                 slot: Option<ConnectionSlot>| {
        let Some(slot) = slot else {
            return if state.tls.is_none() {
                refuse(&stream)
            };
        };
        let is_local = is_local(&stream, peer);
        let socket = Socket::new(stream, Arc::clone(&activity), slot, state.open.token());
        match &state.tls {
            Some(tls) => {
                let (tls, peer) = (Arc::clone(tls), (peer, is_local));
                state.open.spawn(tls_connection::serve(socket, peer, tls, activity, state.clone(), service.clone()));
            }
            None => drop(state.open.spawn(connection::serve(socket, peer, activity, state.clone(), service.clone()))),
        }
    };
    let mut waiting = FuturesUnordered::new();
    let accepting = async {
        let (mut turn, mut failing) = (0, false);
        loop {
            let accepted = tokio::select! {
                biased;
                Some((stream, peer, activity, slot)) = waiting.next() => {
                    admit(stream, peer, activity, slot);
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
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
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
            let activity = Arc::new(ConnectionActivity::new(state.timeouts()));
            if let Some(slot) = state.slots.try_take(peer.ip(), &activity) {
                admit(stream, peer, activity, Some(slot));
            } else {
                waiting.push(async move {
                    let slot = state.slots.take(peer.ip(), &activity).await;
                    (stream, peer, activity, slot)
                });
            }
        }
    };
    tokio::select! {
        biased;
        () = state.draining.cancelled() => {}
        () = accepting => {}
    }
    drop(sockets);
    // Their requests may be under way, like those of idle connections.
    let admitting = async {
        while let Some((stream, peer, activity, slot)) = waiting.next().await {
            admit(stream, peer, activity, slot);
        }
    };
    let _ = tokio::time::timeout(DRAIN_GRACE, admitting).await;
}

/// Accepts connections of a Unix socket until draining begins, then closes it. Its clients count as loopback clients.
#[cfg(unix)]
pub(super) async fn unix_until_draining<S, B>(socket: Option<UnixSocket>, state: &ServerState, service: &S)
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
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                    continue;
                }
            };
            let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let activity = Arc::new(ConnectionActivity::new(state.timeouts()));
            let Some(slot) = state.slots.take(peer.ip(), &activity).await else { continue };
            let socket = Socket::new(stream, Arc::clone(&activity), slot, state.open.token());
            state.open.spawn(connection::serve(socket, peer, activity, state.clone(), service.clone()));
        }
    };
    tokio::select! {
        biased;
        () = state.draining.cancelled() => {}
        () = accepting => {}
    }
}

/// Returns whether the client runs on this machine: both ends of the connection have the same address, or the client
/// has a loopback address.
fn is_local(stream: &TcpStream, peer: SocketAddr) -> bool {
    let peer = peer.ip().to_canonical();
    peer.is_loopback() || stream.local_addr().is_ok_and(|local| local.ip().to_canonical() == peer)
}

/// Sends a 503 to a client whose address has too many connections, without waiting.
fn refuse(stream: &TcpStream) {
    const OVERLOADED_RESPONSE: &str = concat!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n",
        "content-length: 138\r\n\r\n",
        r#"{"error":{"message":"Your address has too many connections open; close some.","type":"overloaded_error","param":null,"code":"overloaded"}}"#,
    );
    // Best effort: the client may not read it.
    let _ = stream.try_write(OVERLOADED_RESPONSE.as_bytes());
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
