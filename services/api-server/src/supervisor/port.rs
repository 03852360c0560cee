//! Listening sockets of a child: bound here, so that a restart refuses no connection and no other process can take the
//! port in between. Where sockets cannot be passed, the port is only tested here, and the child binds it.

use std::net::{SocketAddr, TcpListener};

use signalbox_daemon::Listener;
use signalbox_daemon::exit::Exit;
use signalbox_daemon::listener::Holder;

use super::Listen;
use super::process::PASSES_SOCKETS;

/// Number of ports tried after a taken one; after that any free port is used.
const NEXT_PORTS: u16 = 100;

/// Bound sockets; empty where they cannot be passed. Dropping them closes them, unless a child holds copies.
#[derive(Debug)]
pub(super) struct Port {
    listen: Listen,
    sockets: Vec<TcpListener>,
    addr: SocketAddr,
}

/// Reason why no socket could be bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// Another process listens on the port.
    #[error("Port {port} is already in use by {}; stop it, or choose another port", name(holder.as_ref()))]
    InUse {
        /// Port number.
        port: u16,
        /// Process that holds it, where the operating system tells.
        holder: Option<Holder>,
    },
    /// The host is unknown, the port needs privileges, …
    #[error("{0}")]
    Impossible(String),
}

// === impl Port ===

impl Port {
    /// Binds the sockets; with `auto_port`, also tries the ports after a taken one.
    pub(super) async fn bind(listen: &Listen) -> Result<Self, BindError> {
        let mut bound = Listener::bind(&listen.host, listen.port).await;
        if listen.auto_port {
            let next = (1..=NEXT_PORTS).filter_map(|offset| listen.port.checked_add(offset));
            for port in next.chain(std::iter::once(0)) {
                if !matches!(bound, Err(Exit::PortInUse { .. })) {
                    break;
                }
                bound = Listener::bind(&listen.host, port).await;
            }
        }
        let listener = bound.map_err(|exit| match exit {
            Exit::PortInUse { port, holder } => BindError::InUse { port, holder },
            other => BindError::Impossible(other.to_string()),
        })?;
        let addr = listener.local_addr();
        let mut sockets = listener.into_std().map_err(|error| BindError::Impossible(error.to_string()))?;
        sockets.retain(|_| PASSES_SOCKETS);
        Ok(Self { listen: listen.clone(), sockets, addr })
    }

    /// Wraps the sockets of an adopted child, which were bound as `listen` says.
    #[cfg(unix)]
    pub(super) fn adopted(listen: Listen, sockets: Vec<TcpListener>, addr: SocketAddr) -> Self {
        Self { listen, sockets, addr }
    }

    /// Returns whether these sockets serve `listen`.
    pub(super) fn suits(&self, listen: &Listen) -> bool {
        self.listen.host == listen.host && (listen.port == self.listen.port || listen.port == self.addr.port())
    }

    /// Returns whether `listen` cannot be bound while these sockets are open: a different host on the same port, or the
    /// same address on a platform where processes cannot share it.
    pub(super) fn is_in_the_way_of(&self, listen: &Listen) -> bool {
        (listen.port == self.addr.port() && !self.suits(listen)) || (!PASSES_SOCKETS && self.suits(listen))
    }

    pub(super) fn sockets(&self) -> &[TcpListener] {
        &self.sockets
    }

    /// Returns the first address, with the port that was actually bound.
    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

fn name(holder: Option<&Holder>) -> String {
    match holder {
        None => "an unknown process".to_owned(),
        // The sockets of all services are open here.
        Some(holder) if holder.pid == std::process::id() => {
            format!("{holder}, which keeps it for itself or for another of its services")
        }
        Some(holder) => holder.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(port: u16, auto_port: bool) -> Listen {
        Listen { host: "127.0.0.1".to_owned(), port, auto_port }
    }

    #[tokio::test]
    async fn fc_12_a_port_in_use_is_refused_and_its_process_named() {
        let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = stranger.local_addr().unwrap().port();
        let Err(BindError::InUse { port, holder }) = Port::bind(&listen(taken, false)).await else { panic!() };
        assert_eq!((port, holder.as_ref().map(|holder| holder.pid)), (taken, Some(std::process::id())));
        let told = BindError::InUse { port, holder }.to_string();
        assert!(told.contains("for itself or for another of its services"), "{told}");
    }

    #[tokio::test]
    async fn fc_12_the_next_free_port_is_bound() {
        let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = stranger.local_addr().unwrap().port();
        let port = Port::bind(&listen(taken, true)).await.unwrap();
        assert_ne!(port.addr().port(), taken);
        assert!(port.suits(&listen(taken, true)));
        assert!(TcpListener::bind(port.addr()).is_err(), "the port is not kept open");
    }
}
