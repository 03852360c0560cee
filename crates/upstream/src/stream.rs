//! The byte stream of a connection, plain or encrypted.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_rustls::client::TlsStream;

/// A connected socket that counts the received bytes.
///
/// A provider that refuses a request early sends its response and closes the connection while the request is still
/// being written. The failed write must not hide that response, so it is taken as the end of writing only: all further
/// bytes are dropped, and reading goes on. A connection that is lost altogether fails when it is read.
pub(crate) struct Stream {
    socket: Socket,
    received: Received,
    /// Whether the peer takes no more bytes.
    is_write_closed: bool,
}

/// An enum, because a boxed trait object would cost an indirect call per read.
enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// The number of bytes received from a stream so far.
#[derive(Clone, Default)]
pub(crate) struct Received(Arc<AtomicU64>);

// === impl Stream ===

impl Stream {
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self { socket: Socket::Plain(stream), received: Received::default(), is_write_closed: false }
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self { socket: Socket::Tls(Box::new(stream)), received: Received::default(), is_write_closed: false }
    }

    #[cfg(unix)]
    pub(crate) fn unix(stream: UnixStream) -> Self {
        Self { socket: Socket::Unix(stream), received: Received::default(), is_write_closed: false }
    }

    pub(crate) fn received(&self) -> Received {
        self.received.clone()
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let poll = match &mut this.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Socket::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(unix)]
            Socket::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        this.received.add(buf.filled().len() - before);
        poll
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_write_closed {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = match &mut this.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Socket::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            #[cfg(unix)]
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        this.written(written, buf.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let len = || bufs.iter().map(|buf| buf.len()).sum::<usize>();
        if this.is_write_closed {
            return Poll::Ready(Ok(len()));
        }
        let written = match &mut this.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Socket::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            #[cfg(unix)]
            Socket::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        this.written(written, len())
    }

    /// Returns `true`: all variants support vectored writes. Otherwise hyper would copy head and body into one buffer.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_write_closed {
            return Poll::Ready(Ok(()));
        }
        let flushed = match &mut this.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Socket::Tls(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(unix)]
            Socket::Unix(stream) => Pin::new(stream).poll_flush(cx),
        };
        this.written(flushed, ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(unix)]
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl Stream {
    /// Takes the result of a write. A closed connection counts as if `all` had been written.
    fn written<T>(&mut self, written: Poll<io::Result<T>>, all: T) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(Err(error)) if is_closed(&error) => {
                self.is_write_closed = true;
                Poll::Ready(Ok(all))
            }
            written => written,
        }
    }
}

/// Returns whether a write failed because the peer takes no more bytes.
fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

// === impl Received ===

impl Received {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds to the counter. Only the stream writes to it, so no atomic read-modify-write operation is needed, which
    /// would cost more.
    fn add(&self, bytes: usize) {
        self.0.store(self.bytes() + bytes as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_came_before_a_failed_write_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut theirs, _) = listener.accept().await.unwrap();
        let mut ours = Stream::plain(ours);
        ours.write_all(b"request").await.unwrap();
        theirs.readable().await.unwrap();
        theirs.write_all(b"refused").await.unwrap();
        // The request has not been read, so closing the connection resets it.
        drop(theirs);
        for _ in 0..100 {
            ours.write_all(&[0; 1 << 16]).await.unwrap();
            ours.flush().await.unwrap();
        }
        assert!(ours.is_write_closed);
        let (mut answer, mut buf) = (Vec::new(), [0; 16]);
        while let Ok(len @ 1..) = ours.read(&mut buf).await {
            answer.extend_from_slice(&buf[..len]);
        }
        assert_eq!(answer, b"refused");
    }
}
