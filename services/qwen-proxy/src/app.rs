//! What every request needs, made once at start.

use std::sync::Arc;

use signalbox_daemon::{ClientKeys, Doors, RequestSigner, Shutdown, admin::Control};
use signalbox_store::Store;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api::models::ModelCache, conversation::Conversations, credentials::Logins, error_log::ErrorLog, keeping::Keeping,
    metrics::Metrics, qwen::Qwen, record::Log,
};

/// The parts of the service that requests share.
#[derive(Debug)]
pub struct App {
    /// The database all services share.
    pub store: Store,
    /// The site.
    pub qwen: Arc<Qwen>,
    /// Who we are there.
    pub logins: Logins,
    /// What is said there.
    pub conversations: Conversations,
    /// The models there are.
    pub models: ModelCache,
    /// What the log keeps.
    pub keeping: Arc<Keeping>,
    /// What was asked here directly.
    pub log: Log,
    /// What went wrong.
    pub errors: ErrorLog,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Work that outlives its request.
    pub tasks: TaskTracker,
    /// Who may ask.
    pub keys: ClientKeys,
    /// By which names, and from which pages.
    pub doors: Doors,
    /// The largest request body, in bytes.
    pub max_body: usize,
    /// A permit for each request that may be answered at the same time.
    pub in_flight: Arc<Semaphore>,
    /// Cancelled when streams have to end now.
    pub cut: CancellationToken,
    /// When to leave.
    pub shutdown: Shutdown,
    /// Who may ask for that.
    pub control: Control,
    /// Knows the requests of provider-router, which are in its log already.
    pub signer: RequestSigner,
    /// This run of the service.
    pub instance: String,
    /// When it began.
    pub started: Instant,
}
