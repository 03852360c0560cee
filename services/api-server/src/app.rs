//! Shared state of the handlers and of the event publishers.

use std::sync::Arc;

use axum::extract::FromRef;
use signalbox_daemon::admin::ShutdownControl;
use signalbox_daemon::{ClientKeys, Shutdown};
use signalbox_store::{Sealer, Store};
use tokio::sync::broadcast;

use crate::console::Sessions;
use crate::doctor::Doctor;
use crate::extensions::Extensions;
use crate::fleet::Fleet;
use crate::logs::LogDir;
use crate::process_stats::ProcessMeter;
use crate::router_client::RouterClient;

/// State of the handlers. Clones share it.
#[derive(Clone, Debug)]
pub struct App {
    /// State of the management API.
    pub management: signalbox_management::App,
    /// Database.
    pub store: Store,
    /// Child services.
    pub fleet: Fleet,
    /// Measures the processes of the child services.
    pub meter: ProcessMeter,
    /// Ids of reloaded providers, for event listeners.
    pub reloads: broadcast::Sender<String>,
    /// Connected browser extensions.
    pub extensions: Extensions,
    /// Client of the router's API.
    pub router: RouterClient,
    /// Encrypts logins before they are stored.
    pub sealer: Sealer,
    /// Examines the installation.
    pub doctor: Doctor,
    /// Log files of the services.
    pub logs: LogDir,
    /// Tokens that clients present.
    pub keys: Arc<ClientKeys>,
    /// Signed-in browsers.
    pub sessions: Sessions,
    /// Names of this process.
    pub about: Arc<About>,
    /// Decides who may request a shutdown.
    pub control: ShutdownControl,
    /// Starts the shutdown.
    pub shutdown: Shutdown,
}

/// Names of this process.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Name of the machine.
    pub instance: String,
    /// Changes with each start.
    pub boot_id: String,
}

impl FromRef<App> for signalbox_management::App {
    fn from_ref(app: &App) -> Self {
        app.management.clone()
    }
}
