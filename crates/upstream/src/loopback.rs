//! Single HTTP requests to services of this installation. Each uses its own connection, because the services are local
//! and their responses short, or streams that must end with their reader.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Maximum bytes of a response, above those of all endpoints in use.
pub const MAX_BODY: usize = 1 << 20;

/// Reason why there is no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// The connection was refused or closed.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// The timeout has elapsed.
    #[error("it has not answered within {} s", .0.as_secs_f32())]
    Silent(Duration),
}

/// Reason why there is no head of a response.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The request was not sent.
    #[error(transparent)]
    NotSent(#[from] ExchangeError),
    /// The connection broke after the request was sent, which may have had its effect.
    #[error("it broke off: {0}")]
    Broken(String),
}

/// Sends `request`, whose URI is a path, to `addr`, and returns the whole response.
///
/// # Errors
/// [`ExchangeError`], also if the body of the response is longer than `limit` bytes or the response takes longer than
/// `patience`.
pub async fn send_request(
    addr: SocketAddr,
    request: Request<Bytes>,
    limit: usize,
    patience: Duration,
) -> Result<Response<Bytes>, ExchangeError> {
    let answered = tokio::time::timeout(patience, exchange(addr, request, limit)).await;
    answered.unwrap_or(Err(ExchangeError::Silent(patience)))
}

/// The body of a response, as it arrives. Dropping it closes the connection.
#[derive(Debug)]
pub struct Streamed {
    body: Incoming,
    _connection: Connection,
}

/// The task of a connection, which ends with this.
#[derive(Debug)]
struct Connection(JoinHandle<()>);

/// Sends `request`, whose URI is a path, to `addr`, and returns when the head of the response has arrived. Dropping the
/// future closes the connection.
///
/// # Errors
/// [`OpenError`], also if connecting takes longer than `patience`. The response may take any time.
pub async fn open_stream(
    addr: SocketAddr,
    request: Request<Bytes>,
    patience: Duration,
) -> Result<Response<Streamed>, OpenError> {
    let connected = tokio::time::timeout(patience, TcpStream::connect(addr)).await;
    let stream = connected.map_err(|_| ExchangeError::Silent(patience))?.map_err(unreachable)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
    // Its outcome adds nothing to that of the response.
    let connection = Connection(tokio::spawn(async move { drop(connection.await) }));
    let answer = sender.send_request(addressed(addr, request)?).await;
    let (head, body) = answer.map_err(|error| OpenError::Broken(error.to_string()))?.into_parts();
    Ok(Response::from_parts(head, Streamed { body, _connection: connection }))
}

async fn exchange(addr: SocketAddr, request: Request<Bytes>, limit: usize) -> Result<Response<Bytes>, ExchangeError> {
    let stream = TcpStream::connect(addr).await.map_err(unreachable)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
    let request = addressed(addr, request)?;
    let answer = async move {
        let (head, body) = sender.send_request(request).await.map_err(unreachable)?.into_parts();
        let body = Limited::new(body, limit).collect().await.map_err(unreachable)?;
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    // The connection has to be polled as well; its own outcome adds nothing to that of the response.
    let (answer, _) = tokio::join!(answer, connection);
    answer
}

/// Adds the headers of a request on a connection of its own.
fn addressed(addr: SocketAddr, request: Request<Bytes>) -> Result<Request<Full<Bytes>>, ExchangeError> {
    let mut request = request.map(Full::new);
    let host = HeaderValue::try_from(addr.to_string()).map_err(unreachable)?;
    request.headers_mut().insert(HOST, host);
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(request)
}

fn unreachable(error: impl std::fmt::Display) -> ExchangeError {
    ExchangeError::Unreachable(error.to_string())
}

// === impl Streamed ===

impl Body for Streamed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl Connection ===

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_response_is_returned_with_its_status() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
            String::from_utf8_lossy(&request[..length]).to_lowercase()
        };
        let request = Request::post("/v1/x").body(Bytes::from_static(b"{}")).unwrap();
        let (answer, asked) = tokio::join!(send_request(addr, request, 1024, Duration::from_secs(5)), server);
        let answer = answer.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (404, &b"no"[..]));
        assert!(
            asked.starts_with("post /v1/x http/1.1\r\n") && asked.contains(&format!("host: {addr}\r\n")),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_reader() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n").await.unwrap();
            // Returns when the client has closed the connection.
            stream.read(&mut request).await.unwrap_or_default()
        });
        let request = Request::post("/v1/x").body(Bytes::from_static(b"{}")).unwrap();
        let mut answer = open_stream(addr, request, Duration::from_secs(5)).await.unwrap();
        let first = answer.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((answer.status().as_u16(), &first[..]), (200, &b"hi"[..]));
        drop(answer);
        assert_eq!(server.await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_times_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let patience = Duration::from_secs(3);
        let request = || Request::get("/").body(Bytes::new()).unwrap();
        assert_eq!(send_request(addr, request(), 1024, patience).await.unwrap_err(), ExchangeError::Silent(patience));
        drop(listener);
        assert!(matches!(send_request(addr, request(), 1024, patience).await, Err(ExchangeError::Unreachable(_))));
    }
}
