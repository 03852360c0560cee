//! An HTTP/1.1 connection, read and written without an HTTP library.
//!
//! The client and server of a library would cost about as much as the proxy between them. This module implements the
//! part of the protocol that the benchmark needs: `content-length`, chunked bodies without extensions or trailers, and
//! keep-alive.

use std::{io, ops::Range};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Maximum size of a head, and of a line in a chunked body, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// Maximum size of a body in memory, in bytes.
const MAX_BODY: usize = 4 << 20;
const MAX_HEADERS: usize = 48;

/// A connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    input: BytesMut,
}

/// How the end of a body is indicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A length in bytes.
    Length(usize),
    /// Chunked encoding.
    Chunked,
}

/// Head of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Path of a request; empty in a response.
    pub path: String,
    /// Status of a response; 0 in a request.
    pub status: u16,
    /// Framing of the body.
    pub framing: Framing,
}

/// The peer whose messages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The peer sends requests.
    Client,
    /// The peer sends responses.
    Server,
}

// === impl Wire ===

impl Wire {
    /// Takes an open connection and disables Nagle's algorithm.
    ///
    /// # Errors
    /// Fails if the connection is already broken.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: BytesMut::with_capacity(4096) })
    }

    /// Connects to a port of 127.0.0.1.
    ///
    /// # Errors
    /// Fails if no process listens there.
    pub async fn connect(port: u16) -> io::Result<Self> {
        Self::new(TcpStream::connect(("127.0.0.1", port)).await?)
    }

    /// Writes all bytes; several pieces are written in one system call.
    ///
    /// # Errors
    /// Fails if the connection breaks.
    pub async fn write(&mut self, mut bytes: impl Buf) -> io::Result<()> {
        self.stream.write_all_buf(&mut bytes).await
    }

    /// Reads the next head; `None` if the peer has closed the connection.
    ///
    /// # Errors
    /// Fails if the connection breaks, or the input is not valid HTTP.
    pub async fn head(&mut self, peer: Peer) -> io::Result<Option<Head>> {
        loop {
            if let Some((head, len)) = parse(&self.input, peer)? {
                self.input.advance(len);
                return Ok(Some(head));
            }
            if self.input.len() > MAX_HEAD {
                return Err(bad("the head is too large"));
            }
            if self.fill(4096).await? == 0 {
                return if self.input.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// Waits until a body of `len` bytes has been received. It remains in the buffer until [`Self::consume`].
    ///
    /// # Errors
    /// Fails if the connection breaks, or the body is larger than 4 MiB.
    pub async fn body(&mut self, len: usize) -> io::Result<&[u8]> {
        if len > MAX_BODY {
            return Err(bad("the body is too large"));
        }
        while self.input.len() < len {
            self.fill_more(len - self.input.len()).await?;
        }
        Ok(&self.input[..len])
    }

    /// Waits until a chunk has been received; returns its range in the buffer and the number of bytes to pass to
    /// [`Self::consume`] afterwards. The last chunk is empty.
    ///
    /// # Errors
    /// Fails if the connection breaks, or the input is not a chunk.
    pub async fn chunk(&mut self) -> io::Result<(Range<usize>, usize)> {
        let (start, len) = loop {
            if let Some(end) = memchr::memmem::find(&self.input, b"\r\n") {
                let size = std::str::from_utf8(&self.input[..end]).ok();
                let size = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
                break (end + 2, size.filter(|&size| size <= MAX_BODY).ok_or_else(|| bad("invalid chunk size"))?);
            }
            if self.input.len() > MAX_HEAD {
                return Err(bad("no chunk begins"));
            }
            self.fill_more(4096).await?;
        };
        let whole = start + len + 2;
        while self.input.len() < whole {
            self.fill_more(whole - self.input.len()).await?;
        }
        Ok((start..start + len, whole))
    }

    /// Returns the received bytes that have not been consumed.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    /// Drops the first `len` received bytes.
    pub fn consume(&mut self, len: usize) {
        self.input.advance(len);
    }

    async fn fill(&mut self, room: usize) -> io::Result<usize> {
        self.input.reserve(room.max(4096));
        self.stream.read_buf(&mut self.input).await
    }

    async fn fill_more(&mut self, room: usize) -> io::Result<()> {
        match self.fill(room).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn bad(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Parses the head at the beginning of `input` and returns it with its length; `None` if it is incomplete.
fn parse(input: &[u8], peer: Peer) -> io::Result<Option<(Head, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let (parsed, path, status) = match peer {
        Peer::Client => {
            let mut request = httparse::Request::new(&mut headers);
            let parsed = request.parse(input);
            (parsed, request.path.unwrap_or_default().to_owned(), 0)
        }
        Peer::Server => {
            let mut response = httparse::Response::new(&mut headers);
            let parsed = response.parse(input);
            (parsed, String::new(), response.code.unwrap_or_default())
        }
    };
    let len = match parsed {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    };
    let mut framing = Framing::Length(0);
    for header in &headers {
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunked;
        } else if header.name.eq_ignore_ascii_case("content-length") {
            let len = std::str::from_utf8(header.value).ok().and_then(|value| value.trim().parse().ok());
            framing = Framing::Length(len.ok_or_else(|| bad("the content-length is not a number"))?);
        }
    }
    Ok(Some((Head { path, status, framing }, len)))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Wire, Wire) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let client = Wire::connect(listener.local_addr().unwrap().port()).await.unwrap();
        (client, Wire::new(listener.accept().await.unwrap().0).unwrap())
    }

    #[tokio::test]
    async fn consecutive_requests_are_read_from_one_connection() {
        let (mut client, mut server) = pair().await;
        let request = b"POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".as_slice();
        client.write(Buf::chain(request, request)).await.unwrap();
        for _ in 0..2 {
            let head = server.head(Peer::Client).await.unwrap().unwrap();
            assert_eq!(head, Head { path: "/x".into(), status: 0, framing: Framing::Length(3) });
            assert_eq!(server.body(3).await.unwrap(), b"abc");
            server.consume(3);
        }
        drop(client);
        assert_eq!(server.head(Peer::Client).await.unwrap(), None);
    }

    #[tokio::test]
    async fn chunks_are_read_one_by_one() {
        let (mut client, mut server) = pair().await;
        server
            .write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".as_slice())
            .await
            .unwrap();
        let head = client.head(Peer::Server).await.unwrap().unwrap();
        assert_eq!((head.status, head.framing), (200, Framing::Chunked));
        let (at, len) = client.chunk().await.unwrap();
        assert_eq!(&client.input()[at], b"hello");
        client.consume(len);
        let (at, len) = client.chunk().await.unwrap();
        assert!(at.is_empty());
        client.consume(len);
        assert_eq!(client.input(), b"");
    }

    #[tokio::test]
    async fn a_truncated_response_is_an_error() {
        let (mut client, mut server) = pair().await;
        server.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort".as_slice()).await.unwrap();
        drop(server);
        client.head(Peer::Server).await.unwrap().unwrap();
        assert_eq!(client.body(9).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn input_that_is_not_http_is_an_error() {
        let (mut client, mut server) = pair().await;
        server.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n".as_slice()).await.unwrap();
        client.head(Peer::Server).await.unwrap().unwrap();
        assert_eq!(client.chunk().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
