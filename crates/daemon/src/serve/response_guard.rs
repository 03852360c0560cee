//! One request and its response. A panic of the service is caught here, so that it affects a single request.

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::Service;
use signalbox_core::openai::ErrorBody;
use tracing::Instrument;

use super::ServerState;
use super::connection_slots::ConnectionSlots;
use super::connection_timeouts::{ConnectionActivity, InFlightGuard};
use super::path;
use super::request_body::{ArrivalBudget, RequestBody};
use crate::config::AccessLog;
use crate::peer::PeerAddr;
use crate::proxies::TrustedProxies;
use crate::request::{AccessEntry, REQUEST_ID, RequestContext};

/// Header of a response to the supervisor, present when clients have to wait for a connection.
pub const CLIENTS_WAITING: HeaderName = HeaderName::from_static("x-signalbox-clients-wait");

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pin_project_lite::pin_project! {
    /// Body of a response. Its drop ends the exchange.
    pub(super) struct GuardedBody<B> {
        #[pin]
        body: Either<B, Full<Bytes>>,
        // Tells a multiplexed connection whether the client takes the response.
        flow: Option<Arc<Flow>>,
        _busy: InFlightGuard,
        _access: Option<AccessEntry>,
    }
}

/// Wraps a service: adds the client's address to each request, bounds its body, converts a panic into a 500, joins
/// doubled slashes in the path, gives each request its context and each response its `x-request-id`, and keeps the pace
/// informed.
pub(super) struct Guard<S> {
    service: S,
    peer: SocketAddr,
    /// Reverse proxies that name their clients.
    proxies: Arc<TrustedProxies>,
    arrivals: Arc<ArrivalBudget>,
    access: AccessLog,
    /// Whether the spans of requests are exported.
    is_traced: bool,
    /// The slots of clients, for requests on the sockets of the supervisor.
    client_slots: Option<Arc<ConnectionSlots>>,
}

/// Progress of the response to one request of a multiplexed connection.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Whether the connection has a part of the response that it has not sent yet: it asks for the next part when the
    /// client has room for it.
    is_handed_over: AtomicBool,
    /// Whether the connection has asked for a part since [`Flow::take_progress`]: the client had room for all before
    /// it.
    has_progressed: AtomicBool,
}

// === impl Flow ===

impl Flow {
    pub(super) fn is_handed_over(&self) -> bool {
        self.is_handed_over.load(Relaxed)
    }

    /// Returns whether the connection has asked for a part since the last call.
    pub(super) fn take_progress(&self) -> bool {
        self.has_progressed.swap(false, Relaxed)
    }

    fn hand_over(&self, is_handed_over: bool) {
        self.has_progressed.store(true, Relaxed);
        self.is_handed_over.store(is_handed_over, Relaxed);
    }
}

// === impl Guard ===

impl<S> Guard<S> {
    pub(super) fn new(service: S, peer: SocketAddr, state: &ServerState) -> Self {
        let is_probe = !Arc::ptr_eq(&state.slots, &state.client_slots);
        Self {
            service,
            peer,
            proxies: Arc::clone(&state.proxies),
            arrivals: Arc::clone(&state.arrivals),
            access: state.access,
            is_traced: state.is_traced,
            client_slots: is_probe.then(|| Arc::clone(&state.client_slots)),
        }
    }

    /// Answers one request; `flow` is that of a multiplexed connection.
    pub(super) fn answer<B>(
        &self,
        request: Request<Incoming>,
        activity: &Arc<ConnectionActivity>,
        flow: Option<Arc<Flow>>,
    ) -> impl Future<Output = Result<Response<GuardedBody<B>>, Infallible>> + Send + use<S, B>
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
        S::Future: Send + 'static,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let busy = activity.begin_request();
        let mut request = request.map(|body| RequestBody::new(body, Arc::clone(activity), Arc::clone(&self.arrivals)));
        path::join_slashes(request.uri_mut());
        let context = RequestContext::arriving(self.access, request.headers(), self.is_traced);
        tracing::debug!(parent: context.span(), method = %request.method(), path = request.uri().path(), "request");
        let client = PeerAddr(self.proxies.client_of(self.peer, request.headers()));
        let mut entry = AccessEntry::begin(&context, request.method(), request.uri(), client);
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(context.clone());
        // Any state the panic leaves inconsistent belongs to the service, which is responsible for sharing it safely.
        let called = catch_unwind(AssertUnwindSafe(|| self.service.call(request)));
        let full = self.client_slots.as_ref().is_some_and(|slots| slots.is_full());
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
            // HTTP/2 has no such header.
            if busy.is_last() && flow.is_none() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            if full {
                response.headers_mut().insert(CLIENTS_WAITING, HeaderValue::from_static("1"));
            }
            if !response.headers().contains_key(REQUEST_ID)
                && let Ok(id) = HeaderValue::from_str(&id.to_string())
            {
                response.headers_mut().insert(REQUEST_ID, id);
            }
            if let Some(entry) = &mut entry {
                entry.answered(response.status().as_u16());
            }
            if let Some(flow) = &flow {
                flow.hand_over(true);
            }
            Ok(response.map(|body| GuardedBody { body, flow, _busy: busy, _access: entry }))
        };
        answer.instrument(span)
    }
}

/// Returns the response for a request whose handler panicked. The hook has already logged the panic and its location.
fn after_panic(_: &Box<dyn Any + Send>) -> Response<Full<Bytes>> {
    let error = ErrorBody::new("server_error", "internal_error", "Internal error. See the log of the server.");
    let mut response = Response::new(Full::from(error.to_json()));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

// === impl GuardedBody ===

impl<B> Body for GuardedBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let poll = this.body.poll_frame(cx);
        if let Some(flow) = this.flow {
            flow.hand_over(poll.is_ready());
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
