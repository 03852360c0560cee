//! An address that refuses connections.

use std::io;

use tokio::net::TcpSocket;

/// A port that is bound but never listened on: connections to it are refused, and no other process can take it.
#[derive(Debug)]
pub struct ClosedPort {
    socket: TcpSocket,
}

// === impl ClosedPort ===

impl ClosedPort {
    /// Binds a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Fails if the system has no free port.
    pub fn take() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        Ok(Self { socket })
    }

    /// Returns the base URL of a provider on this port, `http://127.0.0.1:PORT/v1`.
    ///
    /// # Errors
    /// Fails if the system cannot tell the port number.
    pub fn url(&self) -> io::Result<String> {
        Ok(format!("http://{}/v1", self.socket.local_addr()?))
    }
}
