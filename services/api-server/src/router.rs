//! What provider-router says of its providers. The tables hold the plan; what has become of it, only the router knows.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::AUTHORIZATION;
use http::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use signalbox_core::secret::Secret;
use signalbox_management::{Runtime, Statuses};

use crate::fleet::{Fleet, Now};
use crate::loopback::{self, Unanswered};

/// What it knows by heart comes at once; a list must not wait for a router that hangs.
const BY_HEART: Duration = Duration::from_millis(500);
/// Of a provider that is in use.
const LOADED: &str = "loaded";
/// A test asks the provider, and the router bounds that.
const TEST: Duration = Duration::from_secs(20);
/// Some providers after the others, each for 15 s at most.
const SYNC: Duration = Duration::from_secs(120);

/// The way to the router, wherever it runs at the moment.
#[derive(Clone, Debug)]
pub struct RouterClient {
    fleet: Fleet,
    /// Where it listens if we have not started it.
    otherwise: SocketAddr,
    key: Option<Secret<String>>,
}

/// An answer: its status and its JSON, null if it was none.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Value,
}

// === impl RouterClient ===

impl RouterClient {
    /// `host` and `port` are where it listens if it was not started by `fleet`; `key` is a client key, if it wants one.
    #[must_use]
    pub fn new(fleet: Fleet, host: &str, port: u16, key: Option<Secret<String>>) -> Self {
        let host = host.parse().ok().filter(|host: &IpAddr| !host.is_unspecified());
        let otherwise = SocketAddr::new(host.unwrap_or_else(|| Ipv4Addr::LOCALHOST.into()), port);
        Self { fleet, otherwise, key }
    }

    /// What it says of each provider it has loaded: `loaded` or `error`. Empty if it does not answer.
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
        let asked = self.each().into_iter().map(|addr| self.ask_at(addr, Method::GET, "/v1/providers", BY_HEART));
        let mut statuses = HashMap::new();
        for answer in join_all(asked).await {
            let list = answer.ok().and_then(|answer| serde_json::from_value::<List>(answer.body).ok());
            for provider in list.map(|list| list.providers).unwrap_or_default() {
                let status = statuses.entry(provider.id).or_insert_with(|| provider.runtime_status.clone());
                // One worker in which something is wrong is more worth telling than another one in which it is not.
                if provider.runtime_status != LOADED {
                    *status = provider.runtime_status;
                }
            }
        }
        statuses
    }

    /// Has it test a provider. `provider` is an id of the tables: nothing in it needs escaping.
    ///
    /// # Errors
    /// When the router does not answer.
    pub async fn test(&self, provider: &str) -> Result<Answer, Unanswered> {
        self.ask(Method::POST, &format!("/v1/providers/{provider}/test"), TEST).await
    }

    /// Has it read its catalogue now; every worker of it, of whose answers the worst counts.
    ///
    /// # Errors
    /// When the router does not answer.
    pub async fn reload(&self, provider: &str) -> Result<Answer, Unanswered> {
        let path = format!("/v1/providers/{provider}/reload");
        let asked = self.each().into_iter().map(|addr| self.ask_at(addr, Method::POST, &path, TEST));
        let mut answers = join_all(asked).await;
        let worst = answers.iter().position(|answer| !answer.as_ref().is_ok_and(|answer| answer.status.is_success()));
        answers.swap_remove(worst.unwrap_or_default())
    }

    /// Has it ask a provider which models there are: OpenAI's list.
    ///
    /// # Errors
    /// When the router does not answer.
    pub async fn models(&self, provider: &str) -> Result<Answer, Unanswered> {
        self.ask(Method::GET, &format!("/v1/models?provider={provider}"), TEST).await
    }

    /// Has it ask one provider, or all, which models there are, and add those that are new.
    ///
    /// # Errors
    /// When the router does not answer.
    pub async fn sync_models(&self, provider: Option<&str>) -> Result<Answer, Unanswered> {
        let path = provider.map_or_else(|| "/v1/models/sync".to_owned(), |id| format!("/v1/models/sync/{id}"));
        self.ask(Method::POST, &path, SYNC).await
    }

    async fn ask(&self, method: Method, path: &str, patience: Duration) -> Result<Answer, Unanswered> {
        let addr = self.fleet.now().router.addr.unwrap_or(self.otherwise);
        self.ask_at(addr, method, path, patience).await
    }

    /// Where each worker answers for itself; where it listens, if there is only one. Never empty.
    fn each(&self) -> Vec<SocketAddr> {
        let Now { router, workers, .. } = self.fleet.now();
        let own: Vec<SocketAddr> = workers.iter().filter_map(|worker| worker.snapshot.own_addr).collect();
        if own.len() > 1 { own } else { vec![router.addr.unwrap_or(self.otherwise)] }
    }

    async fn ask_at(
        &self,
        addr: SocketAddr,
        method: Method,
        path: &str,
        patience: Duration,
    ) -> Result<Answer, Unanswered> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, format!("Bearer {}", key.expose()));
        }
        let request = request.body(Bytes::new()).map_err(|error| Unanswered::Unreachable(error.to_string()))?;
        let answer = loopback::ask(addr, request, patience).await?;
        let body = serde_json::from_slice(answer.body()).unwrap_or_default();
        Ok(Answer { status: answer.status(), body })
    }
}

impl Runtime for RouterClient {
    fn statuses(&self) -> Pin<Box<dyn Future<Output = Statuses> + Send + '_>> {
        Box::pin(self.each_status())
    }
}

// === impl Answer ===

impl Answer {
    /// The code of an error, empty if it is none.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// The sentence of an error.
    #[must_use]
    pub fn message(&self) -> String {
        let error = &self.body["error"];
        error["message"]
            .as_str()
            .or_else(|| error.as_str())
            .map_or_else(|| format!("it answered {}", self.status), str::to_owned)
    }
}
