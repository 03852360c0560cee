//! The state shared by all requests, created once at start-up.

use std::sync::Arc;

use signalbox_daemon::{RequestSigner, Shutdown, admin::ShutdownControl};
use signalbox_store::Store;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    conversation::Conversations, credentials::Logins, error_log::ErrorLog, log_access::LogAccess,
    log_policy::LogPolicy, metrics::Metrics, model_cache::ModelCache, qwen::Qwen, record::Log,
};

/// State shared by all requests.
#[derive(Debug)]
pub struct App {
    /// Database shared by all services.
    pub store: Store,
    /// Client of chat.qwen.ai.
    pub qwen: Arc<Qwen>,
    /// Logins at chat.qwen.ai.
    pub logins: Logins,
    /// Conversations at chat.qwen.ai.
    pub conversations: Conversations,
    /// Cached list of models.
    pub models: ModelCache,
    /// Check of those who read the request log over HTTP.
    pub log_access: LogAccess,
    /// Settings that control how much of a request is logged.
    pub log_policy: Arc<LogPolicy>,
    /// Log of direct requests.
    pub log: Log,
    /// Reports of errors.
    pub errors: ErrorLog,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Tracker of tasks that outlive their request.
    pub tasks: TaskTracker,
    /// Maximum size of a request body in bytes.
    pub max_body: usize,
    /// Permits for requests in flight.
    pub in_flight: Arc<Semaphore>,
    /// Cancelled when streams have to end at once.
    pub abort_streams: CancellationToken,
    /// Shutdown signal.
    pub shutdown: Shutdown,
    /// Authorisation check for shutdown requests.
    pub control: ShutdownControl,
    /// Verifier of requests from provider-router, which logs them itself.
    pub signer: RequestSigner,
    /// Id of this run of the service.
    pub instance: String,
    /// Start of the service.
    pub started: Instant,
}
