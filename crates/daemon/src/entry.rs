//! The entry of all three services: the checks that a request passes before a handler sees it, in one order.
//!
//! The accept loop ([`serve`](fn@crate::serve)) has bounded the body and given the request its id and its span. Then:
//!
//! 1. **Host and origin**: the names that are served, and the web pages that may send requests. They come first, so
//!    that no foreign page can try keys through a browser.
//! 2. **Preflights** are answered. They carry no key.
//! 3. **Client key**, except on the paths that the service leaves open. Wrong keys are counted. The [`Caller`] goes with
//!    the request in its extensions.
//! 4. **The service.**
//!
//! A page that may read the response gets the CORS headers on it, refusals included.
//!
//! The differences between the services are in their [`EntryPolicy`]. [`EntryLayer`] is the entry as a tower layer.
//! [`Entry::handle`] is the same for a handler that is not a tower service.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response, StatusCode, request::Parts};
use tower::{Layer, Service};

use crate::auth::{ClientKeys, Denied, IssuedKeys};
use crate::caller::Caller;
use crate::host_origin_guard::{CorsOrigin, Forbidden, HostOriginGuard, is_preflight};

/// Reason why a request does not reach the service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The host or the origin is not allowed.
    #[error(transparent)]
    HostOrigin(#[from] Forbidden),
    /// The client key is missing or wrong.
    #[error(transparent)]
    Key(#[from] Denied),
}

/// The part of the entry that differs between the services.
pub trait EntryPolicy {
    /// Body of the responses. Its default is the empty body.
    type Body: Default;

    /// Whether the span of a request names its key. It does for keys from `auth.client_keys`.
    const NAMES_KEY: bool = true;

    /// Returns whether requests for this path need no client key.
    fn is_open(&self, path: &str) -> bool;

    /// Returns the client keys of the table `api_keys`, if the service accepts them beside those of the configuration.
    fn issued_keys(&self) -> Option<Arc<IssuedKeys>> {
        None
    }

    /// Returns whether a request needs no client key for another reason than its path.
    fn admits<B>(&self, request: &Request<B>) -> bool {
        let _ = request;
        false
    }

    /// Builds the response to a refused request, in the error format of the service.
    fn refused(&self, refusal: Refusal, request: &Parts) -> Response<Self::Body>;

    /// Returns the status for a request that asks only what a page may send, and `None` for all other requests.
    fn preflight_status<B>(&self, request: &Request<B>) -> Option<StatusCode> {
        is_preflight(request).then_some(StatusCode::NO_CONTENT)
    }
}

/// A request that is not refused.
enum Checked {
    /// A preflight, which gets this status.
    Preflight(StatusCode),
    /// A request that passes on, and who sent it.
    Admitted(Option<Caller>),
}

/// The checks of one service.
#[derive(Debug)]
pub struct Entry<P> {
    host_origin_guard: Arc<HostOriginGuard>,
    keys: Arc<ClientKeys>,
    policy: P,
}

/// The entry as a layer.
#[derive(Debug)]
pub struct EntryLayer<P>(Arc<Entry<P>>);

/// A service behind the entry.
#[derive(Debug)]
pub struct EntryService<S, P> {
    inner: S,
    entry: Arc<Entry<P>>,
}

pin_project_lite::pin_project! {
    /// The response of the entry, or of the service behind it.
    pub struct EntryFuture<F, B> {
        #[pin]
        answer: Answer<F, B>,
        cors_origin: Option<CorsOrigin>,
    }
}

pin_project_lite::pin_project! {
    #[project = AnswerProjection]
    enum Answer<F, B> {
        // `None` once it has been returned.
        OfEntry { response: Option<Response<B>> },
        OfService { #[pin] future: F },
    }
}

// === impl Entry ===

impl<P: EntryPolicy> Entry<P> {
    /// Creates the entry. If `keys` is empty and there are no issued keys, no request needs a key.
    #[must_use]
    pub fn new(host_origin_guard: Arc<HostOriginGuard>, keys: Arc<ClientKeys>, policy: P) -> Self {
        Self { host_origin_guard, keys, policy }
    }

    /// Passes an admitted request to `service`, and answers all others.
    pub fn handle<R, F, E>(
        &self,
        mut request: Request<R>,
        service: impl FnOnce(Request<R>) -> F,
    ) -> EntryFuture<F, P::Body>
    where
        F: Future<Output = Result<Response<P::Body>, E>>,
    {
        let cors_origin = self.host_origin_guard.cors_origin(&request);
        let answer = match self.check(&request) {
            Ok(Checked::Admitted(caller)) => {
                if let Some(caller) = caller {
                    request.extensions_mut().insert(caller);
                }
                Answer::OfService { future: service(request) }
            }
            Ok(Checked::Preflight(status)) => {
                let mut response = Response::new(P::Body::default());
                *response.status_mut() = status;
                Answer::OfEntry { response: Some(response) }
            }
            Err(refusal) => {
                let head = request.into_parts().0;
                Answer::OfEntry { response: Some(self.policy.refused(refusal, &head)) }
            }
        };
        EntryFuture { answer, cors_origin }
    }

    fn check<R>(&self, request: &Request<R>) -> Result<Checked, Refusal> {
        self.host_origin_guard.check(request)?;
        if let Some(status) = self.policy.preflight_status(request) {
            return Ok(Checked::Preflight(status));
        }
        if self.policy.is_open(request.uri().path()) || self.policy.admits(request) {
            return Ok(Checked::Admitted(None));
        }
        if !P::NAMES_KEY {
            self.keys.admit(request.headers(), request.extensions().get())?;
            return Ok(Checked::Admitted(None));
        }
        let caller = match self.policy.issued_keys() {
            Some(issued) => self.keys.admit_request(request, &issued)?,
            None => self.keys.admit_request(request, &IssuedKeys::default())?,
        };
        Ok(Checked::Admitted(caller))
    }
}

// === impl EntryLayer ===

impl<P> EntryLayer<P> {
    /// Creates the layer.
    #[must_use]
    pub fn new(entry: Entry<P>) -> Self {
        Self(Arc::new(entry))
    }
}

impl<P> Clone for EntryLayer<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S, P> Layer<S> for EntryLayer<P> {
    type Service = EntryService<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        EntryService { inner, entry: Arc::clone(&self.0) }
    }
}

// === impl EntryService ===

impl<S: Clone, P> Clone for EntryService<S, P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), entry: Arc::clone(&self.entry) }
    }
}

impl<S, P, R> Service<Request<R>> for EntryService<S, P>
where
    P: EntryPolicy,
    S: Service<Request<R>, Response = Response<P::Body>, Error = Infallible>,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = EntryFuture<S::Future, P::Body>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        self.entry.handle(request, |request| self.inner.call(request))
    }
}

// === impl EntryFuture ===

impl<F, B, E> Future for EntryFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = match this.answer.project() {
            AnswerProjection::OfService { future } => ready!(future.poll(cx))?,
            AnswerProjection::OfEntry { response } => match response.take() {
                Some(response) => response,
                // Polled again after it was ready.
                None => return Poll::Pending,
            },
        };
        if let Some(cors_origin) = this.cors_origin.take() {
            cors_origin.apply_cors(response.headers_mut());
        }
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests;
