//! The beginning of a connection on a listener with TLS.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::service::Service;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::ServerState;
use super::connection::{self, DRAIN_GRACE};
use super::connection_timeouts::ConnectionActivity;
use super::http2;
use super::request_body::RequestBody;
use super::socket::Socket;
use crate::tls::{Tls, is_handshake, too_slow};

/// Answer to a plain request from another machine.
const HTTPS_ONLY: &str = concat!(
    "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: 143\r\n\r\n",
    r#"{"error":{"message":"This port takes HTTPS. Begin the URL with https://.","type":"invalid_request_error","param":null,"code":"https_required"}}"#,
);

/// Serves a connection: with TLS if it begins with a handshake, and in plain HTTP if it is from this machine
/// (`is_local`). The handshake has to be completed within the time for the first request head.
pub(super) async fn serve<S, B>(
    mut socket: Socket<TcpStream>,
    peer: (SocketAddr, bool),
    tls: Arc<Tls>,
    activity: Arc<ConnectionActivity>,
    state: ServerState,
    service: S,
) where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (peer, is_local) = peer;
    let first = async {
        let mut first = [0];
        socket.get_ref().peek(&mut first).await.map(|read| (read > 0).then_some(first[0]))
    };
    match in_time(&activity, &state, first).await {
        Ok(Some(first)) if is_handshake(first) => {}
        Ok(Some(_)) if is_local => return connection::serve(socket, peer, activity, state, service).await,
        Ok(Some(_)) => {
            let answer = async {
                // Unread bytes would reset the connection before the client reads the answer.
                let _dropped = socket.read(&mut [0; 4096]).await?;
                socket.write_all(HTTPS_ONLY.as_bytes()).await?;
                socket.shutdown().await
            };
            if let Err(error) = in_time(&activity, &state, answer).await {
                tracing::debug!(%peer, %error, "a plain request was not answered");
            }
            return;
        }
        Ok(None) => return,
        Err(error) => return tracing::debug!(%peer, %error, "connection ended before its first byte"),
    }
    let handshake = Box::pin(tls.acceptor().accept(socket));
    let stream = match in_time(&activity, &state, handshake).await {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(%peer, %error, "TLS handshake failed"),
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        http2::serve(stream, peer, activity, state, service).await;
    } else {
        connection::serve(stream, peer, activity, state, service).await;
    }
}

/// Returns the result of `future`, unless the client takes too long, the connection is evicted, or the drain leaves no
/// time for a request.
async fn in_time<T>(
    activity: &ConnectionActivity,
    state: &ServerState,
    future: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let mut timer = pin!(activity.timer());
    let overdue = poll_fn(|cx| activity.poll_overdue(timer.as_mut(), cx));
    let draining = async {
        state.draining.cancelled().await;
        sleep(DRAIN_GRACE).await;
    };
    tokio::select! {
        biased;
        result = future => result,
        () = overdue => Err(too_slow()),
        () = draining => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}
