//! Compression of a body while it is sent.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};

use crate::script::Coding;

/// Brotli's buffer size in bytes, quality, and base-2 logarithm of the window size; chosen for speed and little memory.
const BROTLI: (usize, u32, u32) = (4096, 4, 18);

/// Encodes the pieces of one body; without a coding they pass unchanged.
pub(crate) struct Encoder {
    encoder: Option<Box<dyn Write + Send>>,
    encoded: Buffer,
}

/// Encoded bytes that have not been taken yet.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

// === impl Encoder ===

impl Encoder {
    pub(crate) fn new(coding: Option<Coding>) -> io::Result<Self> {
        let encoded = Buffer::default();
        let out = encoded.clone();
        let (size, quality, window) = BROTLI;
        let encoder: Option<Box<dyn Write + Send>> = match coding {
            None => None,
            Some(Coding::Gzip) => Some(Box::new(GzEncoder::new(out, Compression::fast()))),
            Some(Coding::Deflate) => Some(Box::new(ZlibEncoder::new(out, Compression::fast()))),
            Some(Coding::RawDeflate) => Some(Box::new(DeflateEncoder::new(out, Compression::fast()))),
            Some(Coding::Br) => Some(Box::new(brotli::CompressorWriter::new(out, size, quality, window))),
            Some(Coding::Zstd) => Some(Box::new(zstd::Encoder::new(out, 1)?.auto_finish())),
        };
        Ok(Self { encoder, encoded })
    }

    /// Encodes the next piece and returns all of its bytes.
    pub(crate) fn piece(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some(encoder) = &mut self.encoder else { return bytes.to_vec() };
        // Writing to memory cannot fail.
        let _ = encoder.write_all(bytes).and_then(|()| encoder.flush());
        self.encoded.take()
    }

    /// Finishes the coding and returns its last bytes.
    pub(crate) fn end(&mut self) -> Vec<u8> {
        drop(self.encoder.take());
        self.encoded.take()
    }
}

// === impl Buffer ===

impl Buffer {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn decode(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match coding {
            Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
            Coding::Deflate => flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut out),
            Coding::RawDeflate => flate2::read::DeflateDecoder::new(bytes).read_to_end(&mut out),
            Coding::Br => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out),
            Coding::Zstd => zstd::Decoder::new(bytes).unwrap().read_to_end(&mut out),
        }
        .unwrap();
        out
    }

    #[test]
    fn compressed_pieces_decode_to_the_original() {
        for coding in Coding::ALL {
            let mut encoder = Encoder::new(Some(coding)).unwrap();
            let pieces = [&b"data: one\n\n"[..], b"data: two\n\n"];
            let mut encoded: Vec<u8> = pieces.iter().flat_map(|piece| encoder.piece(piece)).collect();
            encoded.extend(encoder.end());
            assert_eq!(decode(coding, &encoded), pieces.concat(), "{coding:?}");
        }
    }
}
