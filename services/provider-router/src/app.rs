//! What every request needs, made once at start.

use std::sync::Arc;

use signalbox_daemon::{ClientKeys, Doors, RequestSigner, Shutdown, admin::Control};
use signalbox_store::Store;
use signalbox_upstream::{Client, Deadlines};
use tokio::{
    sync::Semaphore,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::{Catalog, Refresher},
    journal::Journal,
    metrics::Metrics,
    private_keys::PrivateKeys,
};

/// The parts of the router that requests share.
#[derive(Debug)]
pub struct App {
    /// Who can answer what.
    pub catalog: Arc<Catalog>,
    /// What brings the catalogue up to date when somebody cannot wait.
    pub refresher: Arc<Refresher>,
    /// The way out.
    pub client: Client,
    /// The request log.
    pub journal: Journal,
    /// The database, for what is told about it.
    pub store: Store,
    /// Signs what is asked of other services of this installation.
    pub signer: RequestSigner,
    /// By which names, and from which pages.
    pub doors: Doors,
    /// Who may ask.
    pub keys: ClientKeys,
    /// Who of them is logged with less.
    pub private_keys: PrivateKeys,
    /// How long providers may take, where neither they nor a setting says so; see [`App::deadlines`].
    pub configured: Deadlines,
    /// How long the comments before the first event of a stream are held back.
    pub max_preamble: Duration,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How many requests may be in flight.
    pub max_in_flight: usize,
    /// One permit per request in flight, held to the end of its answer.
    pub in_flight: Arc<Semaphore>,
    /// The largest request body, in bytes.
    pub max_body: usize,
    /// Cancelled when streams have to end now.
    pub cut: CancellationToken,
    /// When to leave.
    pub shutdown: Shutdown,
    /// Who may ask for that.
    pub control: Control,
    /// This run of the service.
    pub instance: String,
    /// When it began.
    pub started: Instant,
}

impl App {
    /// How long providers may take at the moment, where they do not say so themselves.
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        self.catalog.current().settings().deadlines(self.configured)
    }
}
