//! The HTTP client for provider requests.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::Full;
use tokio::time::Instant;

use crate::body::Body;
use crate::connect;
use crate::connection::{Connection, ExchangeError, OpenGuard};
use crate::deadline::{Clock, Deadlines, Timer};
use crate::error::{ConfigError, Error, ProxyError};
use crate::headers::strip_hop_by_hop;
use crate::pool::Pool;
use crate::proxy::{EnvironmentProxies, Proxy};
use crate::target::Target;
use crate::tls::Connectors;

/// The HTTP client. Use one per process: clones share connections. When the last clone is dropped, idle connections are
/// closed; responses that are still being read continue.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

/// Settings of a [`Client`].
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Maximum number of idle connections per target; 256 by default. Connections in use are not limited.
    pub max_idle_per_target: usize,
    /// Maximum time that a connection stays idle; 60 s by default. It should be shorter than the providers' own limit,
    /// so that this client closes idle connections first.
    pub idle_timeout: Duration,
    /// A PEM file with certificate authorities that are trusted in addition to the built-in ones and those of the
    /// operating system.
    pub extra_ca_file: Option<PathBuf>,
    /// The proxies for targets that choose none; none by default.
    pub proxies: EnvironmentProxies,
    /// The addresses that this process listens on. They are never called, because such a request would loop.
    pub own_addresses: Vec<SocketAddr>,
}

struct Inner {
    pool: Arc<Pool>,
    open: Arc<AtomicUsize>,
    own: Vec<SocketAddr>,
    /// Number of requests that were sent a second time.
    resent: AtomicU64,
    tls: Arc<Connectors>,
    proxies: EnvironmentProxies,
}

/// Maximum age of a request that is sent again after its connection was lost. A provider that closes an idle connection
/// does so within a round trip of the request that crosses the close; a provider that works longer before it fails may
/// have done the work.
const RESEND_WINDOW: Duration = Duration::from_secs(5);

// === impl ClientConfig ===

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            max_idle_per_target: 256,
            idle_timeout: Duration::from_secs(60),
            extra_ca_file: None,
            proxies: EnvironmentProxies::default(),
            own_addresses: Vec::new(),
        }
    }
}

// === impl Client ===

impl Client {
    /// Creates a client without connections. Reads the certificates of the operating system, so create it only once.
    ///
    /// # Errors
    /// [`ConfigError`] if the extra certificates cannot be used.
    pub fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(Inner {
            pool: Arc::new(Pool::new(config.max_idle_per_target, config.idle_timeout)),
            open: Arc::new(AtomicUsize::new(0)),
            own: config.own_addresses.clone(),
            resent: AtomicU64::new(0),
            tls: Arc::new(Connectors::new(config.extra_ca_file.as_deref())?),
            proxies: config.proxies.clone(),
        })))
    }

    /// Sends one request and returns when the head of the response has been received. Dropping the future cancels the
    /// request by closing its connection.
    ///
    /// Only path and query of the request's URI are used: create them with [`Target::path`]. The client sets `Host`,
    /// `Content-Length` and `Accept-Encoding: identity`, and removes hop-by-hop headers from the request and from the
    /// response. A response that is compressed nevertheless is decoded. The body of the request is not copied.
    /// Redirects are returned like other responses and never followed.
    ///
    /// # Errors
    /// [`Error::may_retry`] tells whether the provider may have begun to work.
    ///
    /// A request is sent a second time, on a new connection, in one case only: its pooled connection ended before the
    /// first byte of a response, either unnoticed while idle or within 5 s of the request. Providers close idle
    /// connections without notice, and a request that crosses the close is lost. Timeouts and failures of new
    /// connections are never retried.
    pub async fn send(
        &self,
        target: &Target,
        request: Request<Bytes>,
        deadlines: &Deadlines,
    ) -> Result<Response<Body>, Error> {
        let clock = Clock::start(deadlines);
        let mut timer = Timer::default();
        // The proxy of an encrypted connection does not see the request.
        let forwarding = if target.origin().tls.is_none() { self.0.proxies.of(target.origin()) } else { None };
        let mut request = outgoing(target, request, forwarding);
        let mut pooled = self.0.pool.take(target.origin());
        let answered = loop {
            let (connection, copy) = match pooled.take() {
                Some(connection) => (connection, Some(request.clone())),
                // Boxed, because it is rare and large: the handshake would enlarge the future of every request.
                None => (Box::pin(self.connect(target, &clock)).await?, None),
            };
            let sent = Instant::now();
            request = match (connection.exchange(request, &clock, &mut timer).await, copy) {
                (Ok(answered), _) => break answered,
                (Err(ExchangeError::Unsent { request: unsent, .. }), Some(_)) => *unsent,
                (Err(ExchangeError::Unsent { source, .. }), None) => return Err(Error::Unsent { source }),
                (Err(ExchangeError::Lost(_)), Some(copy)) if sent.elapsed() < RESEND_WINDOW => {
                    self.0.resent.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(
                        authority = target.authority(),
                        "a pooled connection ended without a response; sending the request again"
                    );
                    copy
                }
                (Err(ExchangeError::Lost(error) | ExchangeError::Failed(error)), _) => return Err(error),
            };
        };
        match (answered.response.status(), forwarding) {
            (StatusCode::SWITCHING_PROTOCOLS, _) => return Err(Error::SwitchedProtocols),
            (StatusCode::PROXY_AUTHENTICATION_REQUIRED, Some(proxy)) => {
                return Err(Error::Proxy { proxy: proxy.to_string(), source: ProxyError::Credentials });
            }
            _ => {}
        }
        Ok(Body::attach(answered, Arc::downgrade(&self.0.pool), clock, timer))
    }

    /// Returns the number of idle connections.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.0.pool.len()
    }

    /// Returns the number of connections, idle or in use.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// Returns the number of requests that were sent a second time because their pooled connection ended before the
    /// first byte of a response.
    #[must_use]
    pub fn resent_requests(&self) -> u64 {
        self.0.resent.load(Ordering::Relaxed)
    }

    async fn connect(&self, target: &Target, clock: &Clock) -> Result<Box<Connection>, Error> {
        let due = clock.connect_due();
        let origin = target.origin();
        let proxy = self.0.proxies.of(origin);
        let stream = tokio::time::timeout_at(due, connect::open(origin, proxy, &self.0.own, &self.0.tls, due))
            .await
            .unwrap_or_else(|_| Err(clock.connect_timeout(proxy)))?;
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

/// Returns the request as it is sent: in origin form, or in absolute form to a forwarding proxy, with the connection
/// headers replaced.
fn outgoing(target: &Target, request: Request<Bytes>, forwarding: Option<&Proxy>) -> Request<Full<Bytes>> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    head.uri = match forwarding {
        Some(_) => target.absolute(path),
        None => Uri::from(path),
    };
    head.version = Version::HTTP_11;
    strip_hop_by_hop(&mut head.headers);
    // The client does not wait for `100 Continue`.
    head.headers.remove(EXPECT);
    head.headers.insert(HOST, target.host_header());
    if let Some(value) = forwarding.and_then(Proxy::authorization) {
        head.headers.insert(PROXY_AUTHORIZATION, value.clone());
    }
    // Relayed data must be readable, because the usage and the log are extracted from them.
    head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if body.is_empty() && !matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
        head.headers.remove(CONTENT_LENGTH);
    } else {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    Request::from_parts(head, Full::new(body))
}
