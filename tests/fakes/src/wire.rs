//! The bytes of one connection, in and out.

use std::{io, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

/// Bytes of a next request that are kept while an answer is being written.
const READ_AHEAD: usize = 64 << 10;

/// One accepted connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    /// What came and has not been understood yet.
    pub(crate) input: BytesMut,
    /// When set, every byte is a write of its own, and this long apart.
    pub(crate) drip: Option<Duration>,
    /// Requests that were read from it.
    pub(crate) requests: u64,
}

/// The client closed the connection, or it broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

// === impl Wire ===

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        // Each write is to leave at once: the point of a streamed event.
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: BytesMut::with_capacity(4096), drip: None, requests: 0 })
    }

    /// Whether a request came before the one that is being answered.
    pub(crate) const fn is_reused(&self) -> bool {
        self.requests > 1
    }

    /// Reads more input; the number of bytes, 0 at its end.
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

    /// Waits for `event`, but no longer than the client stays.
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

    /// Closes with a reset instead of an end.
    pub(crate) fn reset(self) -> io::Result<()> {
        self.stream.set_zero_linger()
    }

    /// Closes properly: what was written still arrives, even when the client has sent more than was read.
    pub(crate) async fn close(mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}
