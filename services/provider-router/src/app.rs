//! State shared by all requests, built once at start-up.

use std::sync::Arc;

use signalbox_daemon::{Entry, RequestSigner, ServiceSigner, Shutdown, admin::ShutdownControl};
use signalbox_store::Store;
use signalbox_upstream::{Client, Deadlines};
use tokio::{
    sync::Semaphore,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

use crate::{
    body_memory::BodyMemory,
    cache::AnswerCache,
    catalog::{Catalog, Refresher},
    entry::RouterPolicy,
    guard::Guard,
    journal::Journal,
    ledger::Ledger,
    live::LiveRequests,
    metrics::Metrics,
    owners::Owners,
    prices::Prices,
    random::Seeds,
    reasoning::ReasoningMemory,
    retry_budget::RetryBudget,
    streams::Streams,
};

/// Shared state of the router.
#[derive(Debug)]
pub struct App {
    /// Current snapshot of providers, models and settings.
    pub catalog: Arc<Catalog>,
    /// Refreshes `catalog` on demand, between its periodic checks.
    pub refresher: Arc<Refresher>,
    /// HTTP client for providers and api-server.
    pub client: Client,
    /// Budget of repeated attempts.
    pub retries: RetryBudget,
    /// Random numbers for routing.
    pub seeds: Seeds,
    /// The request log.
    pub journal: Journal,
    /// The database. Requests use it only to report its state.
    pub store: Store,
    /// Signs requests to other services of this installation.
    pub signer: RequestSigner,
    /// Verifies requests of other services of this installation.
    pub services: ServiceSigner,
    /// Checks that requests pass first, except those for management.
    pub entry: Entry<RouterPolicy>,
    /// Limits and budgets of client keys.
    pub ledger: Arc<Ledger>,
    /// Rules for the content of requests and answers.
    pub guard: Guard,
    /// Answers that are given again.
    pub cache: Arc<AnswerCache>,
    /// Thinking and signatures that providers need back with the tool calls of their answers.
    pub reasoning: Arc<ReasoningMemory>,
    /// The targets of the newest answers of Responses, and the makers of what only they can read.
    pub owners: Arc<Owners>,
    /// Streams that can be resumed.
    pub streams: Arc<Streams>,
    /// Prices, by which requests are routed and reserved in budgets.
    pub prices: Prices,
    /// Configured deadlines, used where neither the provider nor a setting overrides them; see [`App::deadlines`].
    pub configured: Deadlines,
    /// Maximum time for which the comments before the first event of a stream are held back.
    pub max_preamble: Duration,
    /// Counters and histograms.
    pub metrics: Arc<Metrics>,
    /// Maximum number of requests in flight.
    pub max_in_flight: usize,
    /// One permit per request in flight, held until the end of its answer.
    pub in_flight: Arc<Semaphore>,
    /// One permit per copy of a request in flight at a mirror.
    pub mirrors: Arc<Semaphore>,
    /// Requests in flight, for operators.
    pub live: Arc<LiveRequests>,
    /// Maximum size of a request body, in bytes.
    pub max_body: usize,
    /// Bound on the memory for the bodies of requests in flight.
    pub body_memory: BodyMemory,
    /// Cancelled when running streams must be cut.
    pub abort_streams: CancellationToken,
    /// Shutdown signal of the process.
    pub shutdown: Shutdown,
    /// Authorises shutdown requests.
    pub control: ShutdownControl,
    /// Identifier of this run of the service.
    pub instance: String,
    /// Time of the start.
    pub started: Instant,
}

impl App {
    /// Returns the current deadlines for providers that configure none of their own.
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        self.catalog.current().settings().deadlines(self.configured)
    }
}
