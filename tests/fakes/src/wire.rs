//! The bytes of one connection, in both directions.

use std::{io, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

/// Maximum bytes of a next request that are buffered while an answer is being written.
const READ_AHEAD: usize = 64 << 10;

/// One accepted connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    /// Bytes received and not parsed yet.
    pub(crate) input: BytesMut,
    /// If set, every byte is a separate write, with this pause after it.
    pub(crate) drip: Option<Duration>,
    /// Number of requests read from the connection.
    pub(crate) requests: u64,
}

/// Error: the client closed the connection, or the connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

// === impl Wire ===

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        // Streamed events must leave without delay.
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: BytesMut::with_capacity(4096), drip: None, requests: 0 })
    }

    /// Returns whether the connection carried a request before the current one.
    pub(crate) const fn is_reused(&self) -> bool {
        self.requests > 1
    }

    /// Reads more input and returns the number of bytes, 0 at the end of input.
    pub(crate) async fn fill(&mut self) -> Result<usize, Gone> {
        self.stream.read_buf(&mut self.input).await.map_err(|_| Gone)
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let Some(pause) = self.drip else {
            return self.stream.write_all(bytes).await.map_err(|_| Gone);
        };
        for byte in bytes {
            self.stream.write_all(std::slice::from_ref(byte)).await.map_err(|_| Gone)?;
            self.unless_gone(sleep(pause)).await?;
        }
        Ok(())
    }

    /// Waits for `event`, but fails as soon as the client disconnects.
    pub(crate) async fn unless_gone<T>(&mut self, event: impl Future<Output = T>) -> Result<T, Gone> {
        let mut event = std::pin::pin!(event);
        while self.input.len() < READ_AHEAD {
            tokio::select! {
                biased;
                done = &mut event => return Ok(done),
                read = self.stream.read_buf(&mut self.input) => match read {
                    Ok(0) | Err(_) => return Err(Gone),
                    Ok(_) => {}
                },
            }
        }
        Ok(event.await)
    }

    /// Closes the connection with a reset (RST).
    pub(crate) fn reset(self) -> io::Result<()> {
        self.stream.set_zero_linger()
    }

    /// Closes the connection properly: written data still arrives, even if the client has sent more than was read.
    pub(crate) async fn close(mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}
