//! One port for several children: the first one to need it binds it, the others get the same sockets.
//!
//! The port is open as long as one child keeps it. The [`StandIn`] does not answer while any child serves: clients then
//! wait for that child.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Mutex as Turn;

use super::Listen;
use super::port::{Port, Refused};
use super::stand_in::StandIn;

/// State shared by the children of a team. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Share(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Locked while the port is bound, so that the other children use the result instead of trying again.
    port: Turn<Weak<Port>>,
    /// Cloned by each child that serves; the reference count is the number of serving children.
    serving: Arc<()>,
    stand_in: Mutex<Option<StandIn>>,
}

/// Guard held by a child that serves.
#[derive(Debug)]
pub(super) struct Serving {
    _mark: Arc<()>,
}

// === impl Share ===

impl Share {
    /// Returns the port for `listen`: the present one if it suits, a new one otherwise.
    pub(super) async fn port(&self, listen: &Listen) -> Result<Arc<Port>, Refused> {
        let mut present = self.0.port.lock().await;
        if let Some(port) = present.upgrade().filter(|port| port.suits(listen)) {
            return Ok(port);
        }
        let port = Arc::new(Port::bind(listen).await?);
        *present = Arc::downgrade(&port);
        Ok(port)
    }

    /// Returns the port of an adopted child: the present one if another child has brought copies of the same sockets
    /// already.
    pub(super) async fn adopted(&self, port: Port) -> Arc<Port> {
        let mut present = self.0.port.lock().await;
        if let Some(same) = present.upgrade().filter(|present| present.addr() == port.addr()) {
            return same;
        }
        let port = Arc::new(port);
        *present = Arc::downgrade(&port);
        port
    }

    /// Returns whether `listen` cannot be bound while the present port is open.
    pub(crate) async fn is_in_the_way_of(&self, listen: &Listen) -> bool {
        self.0.port.lock().await.upgrade().is_some_and(|port| port.is_in_the_way_of(listen))
    }

    /// Registers a serving child, and stops the stand-in.
    pub(super) fn serve(&self) -> Serving {
        let serving = Serving { _mark: Arc::clone(&self.0.serving) };
        self.dismiss();
        serving
    }

    /// Returns whether any other child serves.
    pub(super) fn is_served_by_others(&self, own: Option<&Serving>) -> bool {
        // `Shared` itself holds one reference.
        Arc::strong_count(&self.0.serving) > 1 + usize::from(own.is_some())
    }

    pub(super) fn has_stand_in(&self) -> bool {
        self.stand_in().is_some()
    }

    /// Starts the stand-in, which answers until a child serves.
    pub(super) fn stand_in_at(&self, port: &Port) -> io::Result<()> {
        *self.stand_in() = Some(StandIn::begin(port.sockets())?);
        Ok(())
    }

    pub(super) fn dismiss(&self) {
        *self.stand_in() = None;
    }

    fn stand_in(&self) -> std::sync::MutexGuard<'_, Option<StandIn>> {
        self.0.stand_in.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(port: u16) -> Listen {
        Listen { host: "127.0.0.1".to_owned(), port, auto_port: false }
    }

    #[tokio::test]
    async fn a_shared_port_is_bound_once_and_closed_by_the_last_user() {
        let share = Share::default();
        let first = share.port(&listen(0)).await.unwrap();
        let second = share.port(&listen(0)).await.unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        let addr = first.addr();
        drop(first);
        assert!(std::net::TcpListener::bind(addr).is_err(), "the port is not kept open");
        drop(second);
        std::net::TcpListener::bind(addr).unwrap();
    }

    #[tokio::test]
    async fn a_ready_service_ends_the_stand_in() {
        let share = Share::default();
        let port = share.port(&listen(0)).await.unwrap();
        assert!(!share.is_served_by_others(None));
        share.stand_in_at(&port).unwrap();
        let serving = share.serve();
        assert!(!share.has_stand_in());
        assert!(share.is_served_by_others(None) && !share.is_served_by_others(Some(&serving)));
    }
}
