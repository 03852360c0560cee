//! The client: one request in, one response out.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, EXPECT, HOST};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::Full;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::body::Body;
use crate::connect;
use crate::connection::{Connection, OpenGuard, Unanswered};
use crate::deadline::{Clock, Deadlines, Timer};
use crate::error::{ConfigError, Error};
use crate::headers::strip_hop_by_hop;
use crate::pool::Pool;
use crate::target::Target;
use crate::tls;

/// The outgoing client. One per process: clones share connections. When the last clone is dropped, idle connections are
/// closed; responses that are being read go on.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

/// Settings of a [`Client`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// How many idle connections are kept per target; 256 unless changed. Connections in use are not limited here.
    pub max_idle_per_target: usize,
    /// How long a connection may wait for its next request; 60 s unless changed. Less than providers allow is better than
    /// more: it decides who closes first.
    pub idle_timeout: Duration,
    /// A PEM file with certificate authorities that are trusted besides the built-in ones and the operating system's.
    pub extra_ca_file: Option<PathBuf>,
    /// The addresses on which this process listens, which are never called: its answer would be to ask itself again.
    pub own_addresses: Vec<SocketAddr>,
}

struct Inner {
    pool: Arc<Pool>,
    open: Arc<AtomicUsize>,
    own: Vec<SocketAddr>,
    /// Requests that were sent a second time.
    resent: AtomicU64,
    tls: TlsConnector,
}

/// How soon after it was sent a request has to be lost to be sent again. A provider that closes an idle connection does so
/// within a round trip of the request that crosses it; one that works this long and then dies may have done the work.
const RESEND_WITHIN: Duration = Duration::from_secs(5);

// === impl ClientConfig ===

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            max_idle_per_target: 256,
            idle_timeout: Duration::from_secs(60),
            extra_ca_file: None,
            own_addresses: Vec::new(),
        }
    }
}

// === impl Client ===

impl Client {
    /// A client without connections. Reads the certificates of the operating system, so make it once.
    ///
    /// # Errors
    /// [`ConfigError`] when the extra certificates cannot be used.
    pub fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(Inner {
            pool: Arc::new(Pool::new(config.max_idle_per_target, config.idle_timeout)),
            open: Arc::new(AtomicUsize::new(0)),
            own: config.own_addresses.clone(),
            resent: AtomicU64::new(0),
            tls: tls::connector(config.extra_ca_file.as_deref())?,
        })))
    }

    /// Sends one request and returns when the head of the response is there. Dropping the future cancels the request by
    /// closing its connection.
    ///
    /// Of the request's URI, path and query are used: make them with [`Target::path`]. `Host`, `Content-Length` and
    /// `Accept-Encoding: identity` are written here; hop-by-hop headers are removed, from the request as from the
    /// response. A response that is compressed all the same is decoded. The request's body is not copied. Redirects are responses like others, and never followed.
    ///
    /// # Errors
    /// [`Error`] says whether the provider may have begun to work ([`Error::may_retry`]).
    ///
    /// A request is sent a second time, on a new connection, in one case only: its pooled connection ended before a byte of
    /// a response, either unnoticed while idle or within 5 s of the request. Providers close idle connections without a word, and
    /// the request that crosses the close is lost. Time-outs and new connections are never retried.
    pub async fn send(
        &self,
        target: &Target,
        request: Request<Bytes>,
        deadlines: &Deadlines,
    ) -> Result<Response<Body>, Error> {
        let clock = Clock::start(deadlines);
        let mut timer = Timer::default();
        let mut request = outgoing(target, request);
        let mut pooled = self.0.pool.take(target.origin());
        let answered = loop {
            let (connection, copy) = match pooled.take() {
                Some(connection) => (connection, Some(request.clone())),
                // Boxed, because it is rare and large: a handshake would blow up every request's future.
                None => (Box::pin(self.connect(target, &clock)).await?, None),
            };
            let sent = Instant::now();
            request = match (connection.exchange(request, &clock, &mut timer).await, copy) {
                (Ok(answered), _) => break answered,
                (Err(Unanswered::Unsent { request: unsent, .. }), Some(_)) => *unsent,
                (Err(Unanswered::Unsent { source, .. }), None) => return Err(Error::Unsent { source }),
                (Err(Unanswered::Lost(_)), Some(copy)) if sent.elapsed() < RESEND_WITHIN => {
                    self.0.resent.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(
                        authority = target.authority(),
                        "a pooled connection ended without a response; sending the request again"
                    );
                    copy
                }
                (Err(Unanswered::Lost(error) | Unanswered::Failed(error)), _) => return Err(error),
            };
        };
        if answered.response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::SwitchedProtocols);
        }
        Ok(Body::attach(answered, Arc::downgrade(&self.0.pool), clock, timer))
    }

    /// How many connections wait for a request.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.0.pool.len()
    }

    /// How many connections there are, idle or in use.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// Requests that were sent a second time, because their pooled connection ended before a byte of a response.
    #[must_use]
    pub fn resent_requests(&self) -> u64 {
        self.0.resent.load(Ordering::Relaxed)
    }

    async fn connect(&self, target: &Target, clock: &Clock) -> Result<Box<Connection>, Error> {
        let due = clock.connect_due();
        let origin = target.origin();
        let stream = tokio::time::timeout_at(due, connect::open(origin, &self.0.own, &self.0.tls, due))
            .await
            .unwrap_or_else(|_| Err(clock.connect_timeout()))?;
        Connection::handshake(stream, Arc::clone(origin), OpenGuard::new(&self.0.open))
            .await
            .map_err(|source| Error::Unsent { source })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("idle_connections", &self.idle_connections())
            .field("open_connections", &self.open_connections())
            .finish()
    }
}

/// The request as it is written: in origin form, with the headers of this connection instead of another one's.
fn outgoing(target: &Target, request: Request<Bytes>) -> Request<Full<Bytes>> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    head.uri = Uri::from(path);
    head.version = Version::HTTP_11;
    strip_hop_by_hop(&mut head.headers);
    // Nobody waits for the `100 Continue`.
    head.headers.remove(EXPECT);
    head.headers.insert(HOST, target.host_header());
    // What is relayed has to be readable on its way through, for usage and for the log.
    head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if body.is_empty() && !matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
        head.headers.remove(CONTENT_LENGTH);
    } else {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    Request::from_parts(head, Full::new(body))
}
