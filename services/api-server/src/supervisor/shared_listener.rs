//! One port for several children: the first one to need it binds it, the others get the same sockets.
//!
//! A port is open as long as one child keeps it. There are several while the children move from one port to another:
//! adopted children may have listened on different ones. The [`FallbackResponder`] does not answer while any child
//! serves: clients then wait for that child.

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
    /// Ports that children keep, and some that are closed by now. Locked while a port is bound, so that the other
    /// children use the result instead of trying again.
    ports: Turn<Vec<Weak<Port>>>,
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
    /// Returns the port for `listen`: an open one if any suits, a new one otherwise.
    pub(super) async fn port(&self, listen: &Listen) -> Result<Arc<Port>, BindError> {
        let mut ports = self.0.ports.lock().await;
        if let Some(port) = open(&ports).find(|port| port.suits(listen)) {
            return Ok(port);
        }
        let port = Port::bind(listen).await?;
        Ok(keep(&mut ports, port))
    }

    /// Returns the port of an adopted child: an open one if another child has brought copies of the same sockets
    /// already.
    pub(super) async fn adopted(&self, port: Port) -> Arc<Port> {
        let mut ports = self.0.ports.lock().await;
        let same = open(&ports).find(|present| present.addr() == port.addr());
        same.unwrap_or_else(|| keep(&mut ports, port))
    }

    /// Returns whether `listen` cannot be bound while the present ports are open.
    pub(crate) async fn is_in_the_way_of(&self, listen: &Listen) -> bool {
        open(&self.0.ports.lock().await).any(|port| port.is_in_the_way_of(listen))
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

fn open(ports: &[Weak<Port>]) -> impl Iterator<Item = Arc<Port>> {
    ports.iter().filter_map(Weak::upgrade)
}

fn keep(ports: &mut Vec<Weak<Port>>, port: Port) -> Arc<Port> {
    let port = Arc::new(port);
    ports.retain(|port| port.strong_count() > 0);
    ports.push(Arc::downgrade(&port));
    port
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

    #[cfg(unix)]
    #[tokio::test]
    async fn a_child_that_was_adopted_on_another_port_can_move_to_that_of_the_others() {
        let shared_listener = SharedListener::default();
        let wanted = shared_listener.port(&listen(0)).await.unwrap();
        let old = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = old.local_addr().unwrap();
        let old = shared_listener.adopted(Port::adopted(listen(addr.port()), vec![old], addr)).await;
        assert_ne!(old.addr(), wanted.addr());
        let moved = shared_listener.port(&listen(wanted.addr().port())).await.unwrap();
        assert!(Arc::ptr_eq(&moved, &wanted));
        // The old port is closed by the last child that leaves it.
        drop(old);
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
