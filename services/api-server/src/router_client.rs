//! Client of provider-router's API: the tables hold the configuration of providers, but only the router knows their
//! state.

mod live;

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use signalbox_core::secret::Secret;
use signalbox_daemon::clock::unix_ms;
use signalbox_daemon::{RequestContext, ServiceSigner};
use signalbox_management::live::{Cancellation, InFlightRequest, StartedWith, Swept};
use signalbox_management::{Pending, Runtime, Statuses};
use signalbox_upstream::loopback::{self, ExchangeError, MAX_BODY, OpenError, Streamed};

use uuid::Uuid;

pub use self::live::{LiveEvents, RouterEvent};
use crate::fleet::{Fleet, Now};

/// Timeout for answers from memory, so that a list does not wait for a router that hangs.
const STATUS_TIMEOUT: Duration = Duration::from_millis(500);
/// Status of a provider that is in use.
const LOADED: &str = "loaded";
/// Timeout for the connection of a chat, whose answer may take any time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of a test, during which the router sends a bounded request to the provider.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Timeout of a synchronisation, which queries providers in turn, for at most 15 s each.
const SYNC_TIMEOUT: Duration = Duration::from_secs(120);

tokio::task_local! {
    /// The request on whose behalf this task asks the router.
    static ASKED_BY: RequestContext;
}

/// Runs `work` on behalf of a request: what it asks of the router belongs to the same trace.
pub async fn on_behalf_of<T>(context: RequestContext, work: impl Future<Output = T>) -> T {
    ASKED_BY.scope(context, work).await
}

/// Client that follows the router to its present address.
#[derive(Clone, Debug)]
pub struct RouterClient {
    fleet: Fleet,
    /// Address of a router that was not started by us.
    fallback_addr: SocketAddr,
    key: Option<Secret<String>>,
    signer: ServiceSigner,
}

/// A response with its status and its JSON body, null if it had none.
#[derive(Clone, Debug)]
pub struct RouterResponse {
    /// Status.
    pub status: StatusCode,
    /// Body.
    pub body: Value,
}

// === impl RouterClient ===

impl RouterClient {
    /// Creates a client. `host` and `port` are the address of a router that was not started by `fleet`; `key` is a
    /// client key, if there is one in the configuration. `signer` signs the requests, so that a router of this
    /// installation needs none.
    #[must_use]
    pub fn new(fleet: Fleet, host: &str, port: u16, key: Option<Secret<String>>, signer: ServiceSigner) -> Self {
        let host = host.parse().ok().filter(|host: &IpAddr| !host.is_unspecified());
        let fallback_addr = SocketAddr::new(host.unwrap_or_else(|| Ipv4Addr::LOCALHOST.into()), port);
        Self { fleet, fallback_addr, key, signer }
    }

    /// Returns the status of each loaded provider: `loaded` or `error`. Empty if the router does not answer.
    async fn each_status(&self) -> Statuses {
        #[derive(Deserialize)]
        struct List {
            providers: Vec<Loaded>,
        }
        #[derive(Deserialize)]
        struct Loaded {
            id: String,
            runtime_status: String,
        }
        let asked = self.each().into_iter().map(|addr| self.ask_at(addr, Method::GET, "/v1/providers", STATUS_TIMEOUT));
        let mut statuses = HashMap::new();
        for answer in join_all(asked).await {
            let list = answer.ok().and_then(|answer| serde_json::from_value::<List>(answer.body).ok());
            for provider in list.map(|list| list.providers).unwrap_or_default() {
                let status = statuses.entry(provider.id).or_insert_with(|| provider.runtime_status.clone());
                // The status of a worker with an error takes precedence over that of one without.
                if provider.runtime_status != LOADED {
                    *status = provider.runtime_status;
                }
            }
        }
        statuses
    }

    /// Tests a provider. `provider` is an id of the tables, which needs no escaping.
    ///
    /// # Errors
    /// When the router does not answer.
    pub async fn test(&self, provider: &str) -> Result<RouterResponse, ExchangeError> {
        self.ask(Method::POST, &format!("/v1/providers/{provider}/test"), TEST_TIMEOUT).await
    }

    /// Reloads the catalogue in every worker, and returns the first failed response, if any.
    ///
    /// # Errors
    /// When the router does not answer.
    pub async fn reload(&self, provider: &str) -> Result<RouterResponse, ExchangeError> {
        let path = format!("/v1/providers/{provider}/reload");
        let asked = self.each().into_iter().map(|addr| self.ask_at(addr, Method::POST, &path, TEST_TIMEOUT));
        let mut answers = join_all(asked).await;
        let worst = answers.iter().position(|answer| !answer.as_ref().is_ok_and(|answer| answer.status.is_success()));
        // Without a failure the first response stands for all; `each` is never empty.
        answers.swap_remove(worst.unwrap_or_default())
    }

    /// Requests the model list of a provider, in OpenAI's format.
    ///
    /// # Errors
    /// When the router does not answer.
    pub async fn models(&self, provider: &str) -> Result<RouterResponse, ExchangeError> {
        self.ask(Method::GET, &format!("/v1/models?provider={provider}"), TEST_TIMEOUT).await
    }

    /// Fetches the model list of one provider, or of all, and adds new models.
    ///
    /// # Errors
    /// When the router does not answer.
    pub async fn sync_models(&self, provider: Option<&str>) -> Result<RouterResponse, ExchangeError> {
        let path = provider.map_or_else(|| "/v1/models/sync".to_owned(), |id| format!("/v1/models/sync/{id}"));
        self.ask(Method::POST, &path, SYNC_TIMEOUT).await
    }

    /// Sends a request for a model to `path`, and returns when the head of the answer has arrived. Dropping the future or the body
    /// cancels the request.
    ///
    /// # Errors
    /// [`OpenError`] if the router does not answer.
    pub async fn infer(
        &self,
        path: &str,
        body: Bytes,
        accept: Option<HeaderValue>,
    ) -> Result<Response<Streamed>, OpenError> {
        let addr = self.fleet.now().router.addr.unwrap_or(self.fallback_addr);
        let mut request = self.request(Method::POST, path, body)?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // The answer of the provider is asked for, not one that the router keeps.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(accept.map(|accept| (ACCEPT, accept)));
        loopback::open_stream(addr, request, CONNECT_TIMEOUT).await
    }

    async fn ask(&self, method: Method, path: &str, timeout: Duration) -> Result<RouterResponse, ExchangeError> {
        let addr = self.fleet.now().router.addr.unwrap_or(self.fallback_addr);
        self.ask_at(addr, method, path, timeout).await
    }

    /// Returns the own address of each worker, or the listening address if there is only one. Never empty.
    fn each(&self) -> Vec<SocketAddr> {
        let Now { router, workers, .. } = self.fleet.now();
        let own: Vec<SocketAddr> = workers.iter().filter_map(|worker| worker.snapshot.own_addr).collect();
        if own.len() > 1 { own } else { vec![router.addr.unwrap_or(self.fallback_addr)] }
    }

    async fn ask_at(
        &self,
        addr: SocketAddr,
        method: Method,
        path: &str,
        timeout: Duration,
    ) -> Result<RouterResponse, ExchangeError> {
        self.ask_for(addr, method, path, MAX_BODY, timeout).await
    }

    /// Asks for a response of at most `limit` bytes.
    async fn ask_for(
        &self,
        addr: SocketAddr,
        method: Method,
        path: &str,
        limit: usize,
        timeout: Duration,
    ) -> Result<RouterResponse, ExchangeError> {
        let request = self.request(method, path, Bytes::new())?;
        let answer = loopback::send_request(addr, request, limit, timeout).await?;
        let body = serde_json::from_slice(answer.body()).unwrap_or_default();
        Ok(RouterResponse { status: answer.status(), body })
    }

    /// Returns a signed request with the client key, if there is one, in the trace of the request on whose behalf it is sent.
    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Bytes>, ExchangeError> {
        let signed = self.signer.sign(&method, path, unix_ms());
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, format!("Bearer {}", key.expose()));
        }
        if let Some((name, value)) = signed {
            request = request.header(name, value);
        }
        if let Some(headers) = request.headers_mut() {
            // Fails outside a request, where there is no trace.
            let _ = ASKED_BY.try_with(|context| context.add_trace(context.span(), headers));
        }
        request.body(body).map_err(|error| ExchangeError::Unreachable(error.to_string()))
    }
}

impl Runtime for RouterClient {
    fn statuses(&self) -> Pending<'_, Statuses> {
        Box::pin(self.each_status())
    }

    fn started_with(&self) -> Option<StartedWith> {
        self.fleet.router_start()
    }

    fn in_flight(&self) -> Pending<'_, Result<Vec<InFlightRequest>, String>> {
        Box::pin(self.requests_in_flight())
    }

    fn cancel(&self, id: Uuid) -> Pending<'_, Result<Cancellation, String>> {
        Box::pin(self.cancel_request(id))
    }

    fn clear_cache(&self) -> Pending<'_, Result<Swept, String>> {
        Box::pin(self.sweep(live::CLEAR_CACHE))
    }

    fn reset_breakers(&self) -> Pending<'_, Result<Swept, String>> {
        Box::pin(self.sweep(live::RESET_BREAKERS))
    }
}

// === impl RouterResponse ===

impl RouterResponse {
    /// Reads the body.
    ///
    /// # Errors
    /// A sentence if it has another format.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, String> {
        serde_json::from_value(self.body).map_err(|error| format!("its answer has an unknown format: {error}"))
    }

    /// Returns the code of an error; empty if it has none.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// Returns the message of an error.
    #[must_use]
    pub fn message(&self) -> String {
        let error = &self.body["error"];
        error["message"]
            .as_str()
            .or_else(|| error.as_str())
            .map_or_else(|| format!("it answered {}", self.status), str::to_owned)
    }
}
