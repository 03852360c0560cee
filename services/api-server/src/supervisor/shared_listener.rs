//! One port for several children: the first one to need it binds it, the others get the same sockets.
//!
//! The port is open as long as one child keeps it. The [`FallbackResponder`] does not answer while any child serves:
//! clients then wait for that child.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Mutex as Turn;

use super::Listen;
use super::fallback_responder::FallbackResponder;
use super::port::{BindError, Port};

/// State shared by the children of a worker group. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SharedListener(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Locked while the port is bound, so that the other children use the result instead of trying again.
    port: Turn<Weak<Port>>,
    /// Cloned by each child that serves; the reference count is the number of serving children.
    serving: Arc<()>,
    fallback_responder: Mutex<Option<FallbackResponder>>,
}

/// Guard held by a child that serves.
#[derive(Debug)]
pub(super) struct ServingGuard {
    _mark: Arc<()>,
}

// === impl SharedListener ===

impl SharedListener {
    /// Returns the port for `listen`: the present one if it suits, a new one otherwise.
    pub(super) async fn port(&self, listen: &Listen) -> Result<Arc<Port>, BindError> {
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

    /// Registers a serving child, and stops the fallback responder.
    pub(super) fn serve(&self) -> ServingGuard {
        let serving = ServingGuard { _mark: Arc::clone(&self.0.serving) };
        self.dismiss();
        serving
    }

    /// Returns whether any other child serves.
    pub(super) fn is_served_by_others(&self, own: Option<&ServingGuard>) -> bool {
        // `Shared` itself holds one reference.
        Arc::strong_count(&self.0.serving) > 1 + usize::from(own.is_some())
    }

    pub(super) fn has_fallback(&self) -> bool {
        self.fallback_responder().is_some()
    }

    /// Starts the fallback responder, which answers until a child serves.
    pub(super) fn start_fallback(&self, port: &Port) -> io::Result<()> {
        *self.fallback_responder() = Some(FallbackResponder::begin(port.sockets())?);
        Ok(())
    }

    pub(super) fn dismiss(&self) {
        *self.fallback_responder() = None;
    }

    fn fallback_responder(&self) -> std::sync::MutexGuard<'_, Option<FallbackResponder>> {
        self.0.fallback_responder.lock().unwrap_or_else(PoisonError::into_inner)
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
        let shared_listener = SharedListener::default();
        let first = shared_listener.port(&listen(0)).await.unwrap();
        let second = shared_listener.port(&listen(0)).await.unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        let addr = first.addr();
        drop(first);
        assert!(std::net::TcpListener::bind(addr).is_err(), "the port is not kept open");
        drop(second);
        std::net::TcpListener::bind(addr).unwrap();
    }

    #[tokio::test]
    async fn a_ready_service_ends_the_stand_in() {
        let shared_listener = SharedListener::default();
        let port = shared_listener.port(&listen(0)).await.unwrap();
        assert!(!shared_listener.is_served_by_others(None));
        shared_listener.start_fallback(&port).unwrap();
        let serving = shared_listener.serve();
        assert!(!shared_listener.has_fallback());
        assert!(shared_listener.is_served_by_others(None) && !shared_listener.is_served_by_others(Some(&serving)));
    }
}
