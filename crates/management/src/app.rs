//! State of the handlers.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use signalbox_core::schema::GuardRules;
use signalbox_store::{Sealer, Store};
use uuid::Uuid;

use crate::Error;
use crate::live::{Cancellation, InFlightRequest, StartedWith, Swept};

/// State of the handlers. Clones share everything.
#[derive(Clone, Debug)]
pub struct App {
    /// The database.
    pub store: Store,
    /// Encrypts secrets before they are stored.
    pub sealer: Sealer,
    /// Reports what a running router does.
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

/// A future of a [`Runtime`].
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Reports what a running router does.
pub trait Runtime: Debug + Send + Sync {
    /// Returns the status of every provider that the router has loaded; empty if no router responds.
    fn statuses(&self) -> Pending<'_, Statuses>;

    /// Returns the host and the port that the router was started with; `None` if it does not run, or if settings do not
    /// determine them.
    fn started_with(&self) -> Option<StartedWith>;

    /// Returns the requests in flight, or the reason why they are not known.
    fn in_flight(&self) -> Pending<'_, Result<Vec<InFlightRequest>, String>>;

    /// Returns whether the guardrails of the router have a hook; `None` if that is not known here.
    fn has_hook(&self) -> Option<bool> {
        None
    }

    /// Cancels a request. Returns what that has done, or the reason why it is not known.
    fn cancel(&self, id: Uuid) -> Pending<'_, Result<Cancellation, String>>;

    /// Removes the cached answers of all router processes. Fails with the reason if one of them was not reached; those
    /// of the others are removed then, too.
    fn clear_cache(&self) -> Pending<'_, Result<Swept, String>>;

    /// Closes the breakers of all router processes. Fails as [`Runtime::clear_cache`] does.
    fn reset_breakers(&self) -> Pending<'_, Result<Swept, String>>;
}

// === impl App ===

impl App {
    /// Checks that there is a hook if the rules of a route or a key ask for it.
    ///
    /// # Errors
    /// [`Error::Validation`] if the router is known to have none: it would refuse each request with 503.
    pub(crate) fn check_guard(&self, guard: Option<&GuardRules>) -> Result<(), Error> {
        if guard.is_some_and(|guard| guard.hook) && self.runtime.has_hook() == Some(false) {
            let told =
                "guard.hook must be false: the router has no hook; set guard.hook_url in its configuration first";
            return Err(Error::invalid(told.to_owned()));
        }
        Ok(())
    }
}
