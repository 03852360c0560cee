//! Decodes a body while it is received.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use bytes::{Buf, Bytes};
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};
use tokio::task::coop::poll_proceed;

use super::coding::Coding;
use super::wire::Wire;
use crate::deadline::Clock;
use crate::error::Error;

/// Maximum size of decoded chunks in bytes. A few bytes can expand to gigabytes, so decoding is only as fast as the
/// consumer takes chunks.
const CHUNK_BYTES: usize = 16 * 1024;

/// Maximum zstd window as a power of two: the size that RFC 8878 requires decoders to support. The library's default
/// would allow 128 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Decodes the data of a [`Wire`]. Each chunk is returned as soon as its input has been received.
pub(super) struct Decoding {
    reader: Box<dyn AsyncRead + Send + Sync + Unpin>,
    coding: Coding,
    chunk: Box<[u8]>,
    /// One piece of the wire may decode to any number of chunks, between which the wire checks no deadline.
    clock: Clock,
    ended: bool,
}

/// The encoded bytes as input of a decoder. Connection errors pass through the decoder as the source of its error.
struct Encoded {
    wire: Wire,
    current: Bytes,
}

// === impl Decoding ===

impl Decoding {
    /// Decodes `begun` and the following data of `wire`.
    pub(super) fn new(coding: Coding, begun: Bytes, wire: Wire) -> Self {
        let clock = wire.clock();
        let encoded = Encoded { wire, current: begun };
        let reader: Box<dyn AsyncRead + Send + Sync + Unpin> = match coding {
            Coding::Gzip => {
                let mut decoder = GzipDecoder::new(encoded);
                decoder.multiple_members(true);
                Box::new(decoder)
            }
            Coding::Zstd => {
                let window = DParameter::window_log_max(ZSTD_WINDOW_LOG);
                let mut decoder = ZstdDecoder::with_params(encoded, &[window]);
                decoder.multiple_members(true);
                Box::new(decoder)
            }
            Coding::Brotli => Box::new(BrotliDecoder::new(encoded)),
            Coding::Zlib => Box::new(ZlibDecoder::new(encoded)),
            Coding::Deflate => Box::new(DeflateDecoder::new(encoded)),
        };
        Self { reader, coding, chunk: vec![0; CHUNK_BYTES].into(), clock, ended: false }
    }

    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.clock.is_over() {
            return self.end(Some(self.clock.total_timeout()));
        }
        let budget = ready!(poll_proceed(cx));
        let mut chunk = ReadBuf::new(&mut self.chunk);
        let read = ready!(Pin::new(&mut self.reader).poll_read(cx, &mut chunk));
        let failure = match read {
            Ok(()) if !chunk.filled().is_empty() => {
                budget.made_progress();
                return Poll::Ready(Some(Ok(Bytes::copy_from_slice(chunk.filled()))));
            }
            Ok(()) => None,
            Err(error) => Some(
                error
                    .downcast::<Error>()
                    .unwrap_or_else(|source| Error::Decoding { coding: self.coding.name(), source }),
            ),
        };
        self.end(failure)
    }

    /// Ends the body, and closes its connection unless it has been returned to the pool.
    fn end(&mut self, failure: Option<Error>) -> Poll<Option<Result<Bytes, Error>>> {
        self.ended = true;
        self.reader = Box::new(tokio::io::empty());
        Poll::Ready(failure.map(Err))
    }

    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }
}

// === impl Encoded ===

impl AsyncBufRead for Encoded {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.current.is_empty() {
            match ready!(this.wire.poll_data(cx)) {
                Some(data) => this.current = data.map_err(io::Error::other)?,
                None => break,
            }
        }
        Poll::Ready(Ok(&this.current))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.get_mut().current.advance(amount);
    }
}

impl AsyncRead for Encoded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let available = ready!(self.as_mut().poll_fill_buf(cx))?;
        let taken = available.len().min(buf.remaining());
        buf.put_slice(&available[..taken]);
        self.consume(taken);
        Poll::Ready(Ok(()))
    }
}
