//! The management API on the router's port: providers, models, settings, logins and the request log.
//!
//! # Theory
//! An api-server that runs in the same data directory is the only writer of the configuration, so requests are
//! forwarded to it, with the address of the caller for its audit log. If none is running, the same handlers
//! ([`signalbox_management`]) answer from the store in this process. In both cases the router's own snapshot is
//! refreshed before a write is answered. What concerns this process alone, such as the providers that it has loaded, it
//! answers itself ([`Managed::Own`]), to the same callers.
//!
//! # Invariants
//! - A client key never authorises these routes. If api-server requires the control token, api-server checks it. If
//!   this router requires it (see [`Token`]), it is checked here first.
//! - Web pages are admitted by their exact origin only: `*` in `server.allowed_origins` does not apply here.
//! - A supervised router never answers from the store: while its api-server is away, it is unknown whether that
//!   requires the control token.
//! - A request is forwarded at most once: a request that arrives marked as forwarded is refused.

mod forward;
mod in_effect;
mod own;
mod paths;
pub mod refused;
mod unknown;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::{Router, body::Body};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use signalbox_daemon::forwarded::FORWARDED;
use signalbox_daemon::instance::{self, InstanceRecord};
use signalbox_daemon::{
    ClientKeys, Context, Denied, Entry, HostOriginGuard, PeerAddr, RequestBody, RequestContext, ServiceSigner,
    control_token,
};
use signalbox_management::{
    Pending, Runtime, Statuses,
    live::{Cancellation, InFlightRequest, StartedWith, Swept},
};
use signalbox_store::audit::{self, Actor, RequestLine, with_actor};
use signalbox_store::{Sealer, Store};
use signalbox_upstream::Client;
use tower::ServiceExt;
use uuid::Uuid;

pub use self::paths::Managed;
use self::paths::is_of_process;
use self::{in_effect::refreshed, refused::ManagementError};
use crate::{
    api::error::ApiError,
    body::ResponseBody,
    cache::AnswerCache,
    catalog::{Catalog, Refresher},
    clock::unix_ms,
    config::Config,
    entry::RouterPolicy,
    live::LiveRequests,
    provider::Adapter,
    sweep,
};

/// Maximum bytes of a request body that is handled in this process.
const MAX_BODY: usize = 1 << 20;

/// Maximum characters of a path in the audit log.
const MAX_AUDITED_PATH: usize = 500;

/// Handler of the management routes.
#[derive(Debug)]
pub struct Management {
    local: Router,
    store: Store,
    refresher: Arc<Refresher>,
    client: Client,
    entry: Entry<RouterPolicy>,
    token: Token,
    /// Verifies requests of api-server for what this process answers itself.
    services: ServiceSigner,
    data_dir: PathBuf,
    supervised: bool,
    max_body: usize,
}

/// Whether callers need the control token. It is required beyond loopback, if there are client keys, and if the
/// configuration says so.
#[derive(Debug)]
enum Token {
    NotRequired,
    Required(ClientKeys),
    /// Required but unreadable: every caller is refused.
    Unreadable(String),
}

/// State of this router, as management shows it.
#[derive(Debug)]
struct OwnState {
    catalog: Arc<Catalog>,
    live: Arc<LiveRequests>,
    cache: Arc<AnswerCache>,
    has_hook: bool,
}

impl Management {
    /// Creates the handler, with local routes on `store`.
    #[must_use]
    pub fn new(
        config: &Config,
        context: &Context,
        (store, sealer, services): (Store, Sealer, ServiceSigner),
        ((catalog, refresher), live): ((Arc<Catalog>, Arc<Refresher>), Arc<LiveRequests>),
        (client, cache): (Client, Arc<AnswerCache>),
    ) -> Self {
        let server = &context.common.server;
        let state = signalbox_management::App {
            store: store.clone(),
            sealer,
            runtime: Arc::new(OwnState { catalog, live, cache, has_hook: config.guard.has_hook() }),
            router_host: server.host.clone(),
            router_port: server.port,
            body_limit: MAX_BODY,
            guarded: !context.common.auth.client_keys.is_empty() || context.common.auth.insecure_no_auth,
        };
        let local = signalbox_management::routes::<signalbox_management::App>()
            .split_for_parts()
            .0
            .fallback(no_route)
            .method_not_allowed_fallback(no_method)
            .with_state(state);
        let origins: Vec<String> = server.allowed_origins.iter().filter(|origin| *origin != "*").cloned().collect();
        let guard = HostOriginGuard::of(&server.host, &server.allowed_hosts, &origins);
        Self {
            local,
            store,
            refresher,
            client,
            entry: Entry::new(Arc::new(guard), Arc::new(ClientKeys::of(&[])), RouterPolicy { catalog: None }),
            token: Token::new(config, context),
            services,
            data_dir: context.common.data_dir.clone(),
            supervised: context.supervised,
            max_body: config.limits.max_body.as_usize(),
        }
    }

    /// Returns the entry of these routes. It asks for no client key.
    #[must_use]
    pub fn entry(&self) -> &Entry<RouterPolicy> {
        &self.entry
    }

    /// Answers a request that has passed [`Self::entry`]. `path` is its path below `/api`.
    pub async fn answer(&self, request: Request<RequestBody>, path: &str) -> Response<ResponseBody> {
        let id = RequestContext::of(request.extensions()).id().to_string();
        self.answered(request, path, &id).await.unwrap_or_else(|error| error.response())
    }

    async fn answered(
        &self,
        request: Request<RequestBody>,
        path: &str,
        id: &str,
    ) -> Result<Response<ResponseBody>, ApiError> {
        if request.headers().contains_key(FORWARDED) {
            return Err(ManagementError::ForwardingLoop.into());
        }
        let server = self.api_server().await?;
        // An api-server asks all router processes that it runs; this one is none of them if it was started on its own.
        if !self.supervised && is_of_process(path) && request.method() == Method::POST {
            let (request, refusal) = self.checked(server.as_ref(), request).await?;
            return match refusal {
                Some(refusal) => Ok(refusal),
                None => self.local(request, path, id).await,
            };
        }
        // An api-server that requires the token checks it itself, after forwarding.
        if server.as_ref().is_none_or(|server| !server.requires_token) {
            self.token.admit(request.headers(), request.extensions().get())?;
        }
        let path = path_and_query(path, request.uri());
        let asked = (request.method().clone(), request.uri().path().to_owned());
        let writes = !is_read(request.method());
        let response = match server {
            Some(server) => self.forward(&server, request, &path).await?,
            None if self.supervised => return Err(ManagementError::Unavailable("it is restarting".to_owned()).into()),
            None => self.local(request, &path, id).await?,
        };
        let response = unknown::with_clients_path(response, &asked).await;
        if writes && response.status().is_success() {
            return Ok(refreshed(&self.refresher, response).await?);
        }
        Ok(response)
    }

    /// Returns the record of the api-server that runs in this data directory, if any.
    async fn api_server(&self) -> Result<Option<InstanceRecord>, ManagementError> {
        let data_dir = self.data_dir.clone();
        let looked = tokio::task::spawn_blocking(move || instance::running(&data_dir)).await;
        looked
            .map_err(|error| ManagementError::Unavailable(error.to_string()))?
            .map_err(|error| ManagementError::Unavailable(error.to_string()))
    }

    /// Answers from the store. Writes are recorded in the audit log with the caller's address.
    async fn local(
        &self,
        mut request: Request<RequestBody>,
        path: &str,
        id: &str,
    ) -> Result<Response<ResponseBody>, ApiError> {
        let actor = actor(&request, id);
        *request.uri_mut() = path.parse().map_err(|_| not_found(&request))?;
        let reads = is_read(request.method());
        let answer = self.local.clone().oneshot(request.map(Body::new));
        let answered = if reads { answer.await } else { with_actor(actor.clone(), answer).await };
        let response = answered.unwrap_or_else(|never| match never {});
        if !reads {
            self.record(&actor, response.status()).await;
        }
        Ok(response.map(ResponseBody::Api))
    }

    /// Records the outcome of a write in the audit log.
    async fn record(&self, actor: &Actor, status: StatusCode) {
        if let Err(error) = audit::log_request(&self.store, actor, status.as_u16(), unix_ms()).await {
            tracing::warn!(%error, "a request is missing in the audit log; its table changes are recorded");
        }
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn not_found<B>(request: &Request<B>) -> ApiError {
    ApiError::NotFound(request.method().clone(), request.uri().path().to_owned())
}

async fn no_route(method: Method, uri: Uri) -> signalbox_management::Error {
    signalbox_management::Error::NoRoute(method, uri.path().to_owned())
}

async fn no_method(method: Method) -> signalbox_management::Error {
    signalbox_management::Error::NoMethod(method)
}

fn path_and_query(path: &str, uri: &Uri) -> String {
    uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

fn actor<B>(request: &Request<B>, id: &str) -> Actor {
    let peer = request.extensions().get::<PeerAddr>();
    let name =
        peer.map_or_else(|| "router".to_owned(), |PeerAddr(peer)| format!("router:{}", peer.ip().to_canonical()));
    let path = request.uri().path().chars().take(MAX_AUDITED_PATH).collect();
    Actor { name, request: Some(RequestLine { id: id.to_owned(), method: request.method().to_string(), path }) }
}

// === impl Token ===

impl Token {
    fn new(config: &Config, context: &Context) -> Self {
        let beyond = !context.listener.local_addr().ip().is_loopback();
        if !beyond && !config.management.require_token && context.common.auth.client_keys.is_empty() {
            return Self::NotRequired;
        }
        Self::of(&context.common.data_dir)
    }

    /// Requires the control token of a data directory.
    fn of(data_dir: &Path) -> Self {
        match control_token(data_dir) {
            Ok((token, _)) => Self::Required(ClientKeys::of(&[token])),
            Err(exit) => {
                tracing::warn!(error = %exit, "management routes are closed, the control token cannot be read");
                Self::Unreadable(exit.to_string())
            }
        }
    }

    fn admit(&self, headers: &HeaderMap, peer: Option<&PeerAddr>) -> Result<(), ApiError> {
        match self {
            Self::NotRequired => Ok(()),
            Self::Unreadable(reason) => Err(ManagementError::NoToken(reason.clone()).into()),
            Self::Required(keys) => keys.admit(headers, peer).map_err(|denied| match denied {
                Denied::TooMany { .. } => denied.into(),
                // The control token neither expires nor is bound to an address.
                Denied::Unknown | Denied::Expired | Denied::Revoked | Denied::Address(_) => {
                    ManagementError::Unauthorized.into()
                }
            }),
        }
    }
}

/// Returns what this process has swept away.
fn of_this(count: usize) -> Swept {
    Swept { count: count as u64, routers: 1 }
}

// === impl OwnState ===

impl Runtime for OwnState {
    fn statuses(&self) -> Pending<'_, Statuses> {
        let status = |adapter: &Adapter| match adapter {
            Adapter::Misconfigured(_) => "error",
            Adapter::Remote(_) | Adapter::Echo(_) => "loaded",
        };
        let snapshot = self.catalog.current();
        let statuses =
            snapshot.providers().iter().map(|one| (one.id.clone(), status(&one.adapter).to_owned())).collect();
        Box::pin(std::future::ready(statuses))
    }

    /// Returns `None`: only a router that api-server starts follows the settings.
    fn started_with(&self) -> Option<StartedWith> {
        None
    }

    fn has_hook(&self) -> Option<bool> {
        Some(self.has_hook)
    }

    fn in_flight(&self) -> Pending<'_, Result<Vec<InFlightRequest>, String>> {
        Box::pin(std::future::ready(Ok(self.live.list())))
    }

    fn cancel(&self, id: Uuid) -> Pending<'_, Result<Cancellation, String>> {
        Box::pin(std::future::ready(Ok(self.live.cancel(id))))
    }

    fn clear_cache(&self) -> Pending<'_, Result<Swept, String>> {
        Box::pin(std::future::ready(Ok(of_this(sweep::clear_cache(&self.cache)))))
    }

    fn reset_breakers(&self) -> Pending<'_, Result<Swept, String>> {
        Box::pin(std::future::ready(Ok(of_this(sweep::reset_breakers(&self.catalog)))))
    }
}
