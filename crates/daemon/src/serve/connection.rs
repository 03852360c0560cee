//! The life of one connection.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep};

use super::ServerState;
use super::connection_timeouts::ConnectionActivity;
use super::request_body::RequestBody;
use super::response_guard::Guard;

/// Maximum size of hyper's read buffer, which it uses for heads and bodies. A smaller one would cost a system call per
/// few kilobytes.
const BUFFER_BYTES: usize = 64 << 10;

/// Time in which a request that is already under way when the drain begins may arrive. Closing the connection at once
/// would look like a failure to its client.
pub(super) const DRAIN_GRACE: Duration = Duration::from_millis(500);

/// Reason why a connection ended.
enum End {
    /// Client, service or hyper closed it.
    Closed(hyper::Result<()>),
    /// The client exceeded a timeout.
    Overdue,
    /// It was still open after the cut.
    ForceClosed,
}

/// Serves the requests of one HTTP/1.1 connection.
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
    let head = state.server.max_header_bytes.as_usize();
    let mut http = http1::Builder::new();
    // Keep hyper's default of at most 100 headers, which, unlike a configured number, needs no allocation per request.
    http.timer(TokioTimer::new()).header_read_timeout(None).max_header_size(head).max_buf_size(head.max(BUFFER_BYTES));

    let guard = Guard::new(service, peer, &state);
    let service = service_fn({
        let activity = Arc::clone(&activity);
        move |request| guard.answer(request, &activity, None)
    });
    let connection = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    run(connection, |connection| connection.graceful_shutdown(), peer, &activity, &state).await;
}

/// Drives a connection to its end. When draining begins, the running exchanges are the last ones; on an idle
/// connection, the next one that arrives within [`DRAIN_GRACE`].
pub(super) async fn run<C>(
    mut connection: Pin<&mut C>,
    shut_down: impl Fn(Pin<&mut C>),
    peer: SocketAddr,
    activity: &ConnectionActivity,
    state: &ServerState,
) where
    C: Future<Output = hyper::Result<()>>,
{
    let mut timer = pin!(activity.timer());
    // Child tokens per connection avoid contention on the lock of a shared token.
    let (draining, force_close) = (state.draining.child_token(), state.force_close.child_token());
    let (mut draining, mut force_close) = (pin!(draining.cancelled()), pin!(force_close.cancelled()));
    let mut last = false;
    let mut chance: Option<Pin<Box<Sleep>>> = None;

    let end = poll_fn(|cx| {
        if !last && draining.as_mut().poll(cx).is_ready() {
            let chance = chance.get_or_insert_with(|| Box::pin(sleep(DRAIN_GRACE)));
            last = activity.is_busy() || chance.as_mut().poll(cx).is_ready();
            if last {
                shut_down(connection.as_mut());
            }
        }
        if !last && activity.must_close() {
            last = true;
            shut_down(connection.as_mut());
        }
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            return Poll::Ready(End::Closed(result));
        }
        if !last && chance.is_some() && activity.is_busy() {
            // A request has arrived: poll again to announce in its response that the connection will close.
            cx.waker().wake_by_ref();
        }
        if last && force_close.as_mut().poll(cx).is_ready() {
            return Poll::Ready(End::ForceClosed);
        }
        activity.poll_overdue(timer.as_mut(), cx).map(|()| End::Overdue)
    })
    .await;

    match end {
        End::Closed(Ok(())) => {}
        // Disconnects and malformed requests are normal, so they are logged at debug level.
        End::Closed(Err(error)) => tracing::debug!(%peer, %error, "connection ended"),
        End::Overdue => tracing::debug!(%peer, "connection closed, the client was too slow"),
        End::ForceClosed => tracing::debug!(%peer, "connection dropped at the end of the drain"),
    }
}
