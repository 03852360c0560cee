//! One port for several children: whoever needs it first binds it, the others get the same sockets.
//!
//! The port is open as long as one of them keeps it. Nobody answers in the place of a child (see [`StandIn`]) while
//! another one serves: clients have somebody to wait for.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Mutex as Turn;

use super::Listen;
use super::port::{Port, Refused};
use super::stand_in::StandIn;

/// What the children of a team have in common. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Share(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Locked while somebody binds: the others want the outcome, not a second try.
    port: Turn<Weak<Port>>,
    /// A copy for each child that serves.
    serving: Arc<()>,
    stand_in: Mutex<Option<StandIn>>,
}

/// A child that serves has one.
#[derive(Debug)]
pub(super) struct Serving {
    _mark: Arc<()>,
}

// === impl Share ===

impl Share {
    /// The port that `listen` means: the present one if it suits, a new one otherwise.
    pub(super) async fn port(&self, listen: &Listen) -> Result<Arc<Port>, Refused> {
        let mut present = self.0.port.lock().await;
        if let Some(port) = present.upgrade().filter(|port| port.suits(listen)) {
            return Ok(port);
        }
        let port = Arc::new(Port::bind(listen).await?);
        *present = Arc::downgrade(&port);
        Ok(port)
    }

    /// The port of a child that was adopted. Another one may have brought copies of the same sockets.
    pub(super) async fn adopted(&self, port: Port) -> Arc<Port> {
        let mut present = self.0.port.lock().await;
        if let Some(same) = present.upgrade().filter(|present| present.addr() == port.addr()) {
            return same;
        }
        let port = Arc::new(port);
        *present = Arc::downgrade(&port);
        port
    }

    /// Whether what is asked for cannot be bound as long as the present port is open.
    pub(crate) async fn is_in_the_way_of(&self, listen: &Listen) -> bool {
        self.0.port.lock().await.upgrade().is_some_and(|port| port.is_in_the_way_of(listen))
    }

    /// A child serves: nobody answers in its place any more.
    pub(super) fn serve(&self) -> Serving {
        let serving = Serving { _mark: Arc::clone(&self.0.serving) };
        self.dismiss();
        serving
    }

    /// Whether a child serves beside the one that asks.
    pub(super) fn is_served_by_others(&self, own: Option<&Serving>) -> bool {
        Arc::strong_count(&self.0.serving) > 1 + usize::from(own.is_some())
    }

    pub(super) fn has_stand_in(&self) -> bool {
        self.stand_in().is_some()
    }

    /// Answers in the place of the children, until one serves.
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
    async fn a_port_is_bound_once_and_closed_by_the_last() {
        let share = Share::default();
        let first = share.port(&listen(0)).await.unwrap();
        let second = share.port(&listen(0)).await.unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        let addr = first.addr();
        drop(first);
        assert!(std::net::TcpListener::bind(addr).is_err(), "it is not kept");
        drop(second);
        std::net::TcpListener::bind(addr).unwrap();
    }

    #[tokio::test]
    async fn who_serves_sends_the_stand_in_away() {
        let share = Share::default();
        let port = share.port(&listen(0)).await.unwrap();
        assert!(!share.is_served_by_others(None));
        share.stand_in_at(&port).unwrap();
        let serving = share.serve();
        assert!(!share.has_stand_in());
        assert!(share.is_served_by_others(None) && !share.is_served_by_others(Some(&serving)));
    }
}
