//! One request and its response. A panic of the service is caught here, so that it affects a single request.

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use signalbox_core::openai::ErrorBody;
use tracing::Instrument;

use super::House;
use super::arrival::RequestBody;
use super::pace::{Busy, Pace};
use super::path;
use crate::peer::PeerAddr;
use crate::request::{AccessEntry, REQUEST_ID, RequestContext};

/// Header of a response to the supervisor, present when clients have to wait for a connection.
pub const CLIENTS_WAIT: HeaderName = HeaderName::from_static("x-signalbox-clients-wait");

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pin_project_lite::pin_project! {
    /// Body of a response. Its drop ends the exchange.
    pub(super) struct Answer<B> {
        #[pin]
        body: Either<B, Full<Bytes>>,
        _busy: Busy,
        _access: Option<AccessEntry>,
    }
}

/// Wraps a service: adds the client's address to each request, bounds its body, converts a panic into a 500, joins
/// doubled slashes in the path, gives each request its context and each response its `x-request-id`, and keeps the pace
/// informed.
pub(super) fn guard<S, B>(
    service: S,
    peer: SocketAddr,
    pace: Arc<Pace>,
    house: &House,
) -> impl Service<
    Request<Incoming>,
    Response = Response<Answer<B>>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Answer<B>>, Infallible>> + Send,
>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let arrivals = Arc::clone(&house.arrivals);
    // The slots differ from those of clients only on the sockets of the supervisor.
    let of_clients = (!Arc::ptr_eq(&house.places, &house.of_clients)).then(|| Arc::clone(&house.of_clients));
    let access = house.access;
    service_fn(move |request: Request<Incoming>| {
        let busy = pace.busy();
        let mut request = request.map(|body| RequestBody::new(body, Arc::clone(&pace), Arc::clone(&arrivals)));
        path::join_slashes(request.uri_mut());
        let context = RequestContext::new(access);
        tracing::debug!(parent: context.span(), method = %request.method(), path = request.uri().path(), "request");
        let mut entry = AccessEntry::begin(&context, request.method(), request.uri(), PeerAddr(peer));
        request.extensions_mut().insert(PeerAddr(peer));
        request.extensions_mut().insert(context.clone());
        // Any state the panic leaves inconsistent belongs to the service, which is responsible for sharing it safely.
        let called = catch_unwind(AssertUnwindSafe(|| service.call(request)));
        let full = of_clients.as_ref().is_some_and(|places| places.is_full());
        let (id, span) = (context.id(), context.span().clone());
        let answer = async move {
            let answered = match called {
                Ok(answer) => AssertUnwindSafe(answer).catch_unwind().await,
                Err(panic) => Err(panic),
            };
            let mut response = match answered {
                Ok(Ok(response)) => response.map(Either::Left),
                Err(panic) => after_panic(&panic).map(Either::Right),
            };
            if busy.is_last() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            if full {
                response.headers_mut().insert(CLIENTS_WAIT, HeaderValue::from_static("1"));
            }
            if !response.headers().contains_key(REQUEST_ID)
                && let Ok(id) = HeaderValue::from_str(&id.to_string())
            {
                response.headers_mut().insert(REQUEST_ID, id);
            }
            if let Some(entry) = &mut entry {
                entry.answered(response.status().as_u16());
            }
            Ok(response.map(|body| Answer { body, _busy: busy, _access: entry }))
        };
        answer.instrument(span)
    })
}

/// Returns the response for a request whose handler panicked. The hook has already logged the panic and its location.
fn after_panic(_: &Box<dyn Any + Send>) -> Response<Full<Bytes>> {
    let error = ErrorBody::new("server_error", "internal_error", "Internal error. See the log of the server.");
    let mut response = Response::new(Full::from(error.to_json()));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

// === impl Answer ===

impl<B> Body for Answer<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
