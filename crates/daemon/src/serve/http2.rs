//! HTTP/2 connections. They are offered with TLS only, by ALPN.
//!
//! # Theory
//! Each request runs in a task of its own, with a [`ConnectionActivity`] of its own. The timeouts of bodies are those
//! of HTTP/1.1. Whether a client reads its response cannot be seen at the socket, because each response has a window of
//! its own: hyper asks for the next part of a body only when the client has room for it, so a part that was handed over
//! and not asked for again means that the client is not reading ([`Flow`]). The pace of the connection is busy while
//! there is any request.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Poll;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::TaskTracker;

use super::ServerState;
use super::connection::run;
use super::connection_timeouts::{ConnectionActivity, InFlightGuard, Timeouts};
use super::request_body::RequestBody;
use super::response_guard::{Flow, Guard};

/// Maximum requests of one connection at the same time; further ones are refused by the protocol.
const MAX_STREAMS: u32 = 100;

/// Bytes of a request body that a client may send before the service reads them, per request and per connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// Maximum bytes of a response that wait for the window of the client.
const SEND_BUFFER: usize = 64 << 10;

/// One request, from its head to the end of its response.
struct Stream {
    activity: Arc<ConnectionActivity>,
    flow: Arc<Flow>,
    /// Keeps the connection busy.
    _connection: Arc<InFlightGuard>,
}

/// Spawns the tasks of the requests. hyper calls the service for a request and spawns its task directly afterwards, so
/// that the task gets the stream which the service has left here.
#[derive(Clone)]
struct Streams {
    next: Arc<Mutex<Option<Stream>>>,
    open: TaskTracker,
    peer: SocketAddr,
}

/// Serves the requests of one HTTP/2 connection.
pub(super) async fn serve<T, S, B>(
    stream: T,
    peer: SocketAddr,
    activity: Arc<ConnectionActivity>,
    state: ServerState,
    service: S,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    activity.multiplex();
    let streams = Streams { next: Arc::default(), open: state.open.clone(), peer };
    let mut http = http2::Builder::new(streams.clone());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(state.server.max_header_bytes.bytes()).unwrap_or(u32::MAX));

    let guard = Guard::new(service, peer, &state);
    let busy: Mutex<Weak<InFlightGuard>> = Mutex::default();
    let timeouts = state.timeouts();
    let service = service_fn({
        let activity = Arc::clone(&activity);
        move |request| {
            let stream = Stream::new(&activity, &busy, timeouts);
            let answer = guard.answer(as_http1(request), &stream.activity, Some(Arc::clone(&stream.flow)));
            *streams.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
            answer
        }
    });
    let connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    run(connection, |connection| connection.graceful_shutdown(), peer, &activity, &state).await;
}

/// Returns the request in the form of HTTP/1.1: with a `Host` header, and a path as its target.
fn as_http1(mut request: Request<Incoming>) -> Request<Incoming> {
    let host = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(host) = host {
        request.headers_mut().insert(header::HOST, host);
    }
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(path);
    }
    request
}

// === impl Stream ===

impl Stream {
    /// Creates the stream of a new request; `busy` is the guard of all requests of the connection.
    fn new(connection: &Arc<ConnectionActivity>, busy: &Mutex<Weak<InFlightGuard>>, timeouts: Timeouts) -> Self {
        let mut shared = busy.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = shared.upgrade().unwrap_or_else(|| Arc::new(connection.begin_request()));
        *shared = Arc::downgrade(&busy);
        Self { activity: Arc::new(ConnectionActivity::new(timeouts)), flow: Arc::default(), _connection: busy }
    }

    /// Drives `answering`, and gives it up when the client takes too long. Dropping it resets the stream.
    async fn run(self, answering: impl Future<Output = ()>, peer: SocketAddr) {
        let mut answering = Box::pin(answering);
        let mut timer = pin!(self.activity.timer());
        let is_overdue = poll_fn(|cx| {
            if answering.as_mut().poll(cx).is_ready() {
                return Poll::Ready(false);
            }
            // A response that always has a next part is handed over after each poll, also if its client reads.
            let has_progressed = self.flow.take_progress();
            if has_progressed || !self.flow.is_handed_over() {
                self.activity.on_write();
            }
            if self.flow.is_handed_over() {
                self.activity.on_write_blocked();
            }
            self.activity.poll_overdue(timer.as_mut(), cx).map(|()| true)
        })
        .await;
        if is_overdue {
            tracing::debug!(%peer, "request given up: the client took too long");
        }
    }
}

// === impl Streams ===

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, answering: F) {
        let stream = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        match stream {
            Some(stream) => drop(self.open.spawn(stream.run(answering, self.peer))),
            None => drop(self.open.spawn(answering)),
        }
    }
}
