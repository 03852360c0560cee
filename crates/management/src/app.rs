//! State of the handlers.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use signalbox_store::{Sealer, Store};

/// State of the handlers. Clones share everything.
#[derive(Clone, Debug)]
pub struct App {
    /// The database.
    pub store: Store,
    /// Encrypts secrets before they are stored.
    pub sealer: Sealer,
    /// Reports the providers that a running router has loaded.
    pub runtime: Arc<dyn Runtime>,
    /// Address of the router where the setting `server.host` is absent.
    pub router_host: String,
    /// Port of the router where the setting `server.port` is absent.
    pub router_port: u16,
    /// Maximum bytes of a request body.
    pub body_limit: usize,
    /// Whether services may listen on addresses that other machines can reach: a client key is set, or the user has
    /// agreed to run without one.
    pub guarded: bool,
}

/// Statuses of providers by id: `loaded` or `error`.
pub type Statuses = HashMap<String, String>;

/// Reports the providers that a running router has loaded.
pub trait Runtime: Debug + Send + Sync {
    /// Returns the status of every provider that the router has loaded; empty if no router responds.
    fn statuses(&self) -> Pin<Box<dyn Future<Output = Statuses> + Send + '_>>;
}
