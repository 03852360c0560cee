//! An address that refuses connections.

use std::io;

use tokio::net::TcpSocket;

/// A port that is taken but never listened on: connecting to it is refused, and nobody else can get it meanwhile.
#[derive(Debug)]
pub struct ClosedPort {
    socket: TcpSocket,
}

// === impl ClosedPort ===

impl ClosedPort {
    /// Takes a port of 127.0.0.1.
    ///
    /// # Errors
    /// When the system has no port left.
    pub fn take() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        Ok(Self { socket })
    }

    /// The base URL of a provider that would live there, `http://127.0.0.1:PORT/v1`.
    ///
    /// # Errors
    /// When the system cannot say which port it is.
    pub fn url(&self) -> io::Result<String> {
        Ok(format!("http://{}/v1", self.socket.local_addr()?))
    }
}
