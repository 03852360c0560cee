//! Encodes and decodes the rows of table `bodies`.

use std::cell::RefCell;
use std::io::{ErrorKind, Read as _};

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

use super::MAX_BODY;

/// Codec, the first byte of a chunk.
const CODEC_RAW: u8 = 0;
const CODEC_ZSTD: u8 = 1;

/// zstd's fastest level: the log is written more often than it is read, and higher levels save little more space.
const ZSTD_LEVEL: i32 = 1;

/// The key of a chunk, ordered like the primary key of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) day: i64,
    pub(crate) request_id: i64,
    pub(crate) part: Part,
}

/// The body of an exchange that a chunk belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Part {
    Request,
    Answer,
}

/// The reason why a chunk cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChunkError {
    #[error("it is empty")]
    Empty,
    #[error("unknown codec {0}")]
    Codec(u8),
    #[error("its length is missing or too large")]
    Length,
    #[error("{0}")]
    Zstd(#[from] std::io::Error),
}

thread_local! {
    /// Reused, because creating a compressor costs more than compressing a body.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = RefCell::new(Compressor::new(ZSTD_LEVEL).ok());
}

/// Encodes a text as stored in the column.
pub(super) fn encode(text: &str) -> Vec<u8> {
    let compressed = COMPRESSOR.with_borrow_mut(|compressor| {
        let mut chunk = vec![CODEC_ZSTD; 1 + zstd::zstd_safe::compress_bound(text.len())];
        let length = compressor.as_mut()?.compress_to_buffer(text.as_bytes(), &mut chunk[1..]).ok()?;
        chunk.truncate(1 + length);
        (length < text.len()).then_some(chunk)
    });
    compressed.unwrap_or_else(|| [&[CODEC_RAW], text.as_bytes()].concat())
}

/// Decodes the content of a column. A damaged chunk allocates no more memory than the maximum length of a body.
pub(super) fn decode(chunk: &[u8]) -> Result<Vec<u8>, ChunkError> {
    match chunk.split_first().ok_or(ChunkError::Empty)? {
        (&CODEC_RAW, data) => Ok(data.to_vec()),
        (&CODEC_ZSTD, data) => {
            let length = get_frame_content_size(data).ok().flatten().ok_or(ChunkError::Length)?;
            let length = usize::try_from(length).ok().filter(|length| *length <= MAX_BODY).ok_or(ChunkError::Length)?;
            Ok(Decompressor::new()?.decompress(data, length)?)
        }
        (codec, _) => Err(ChunkError::Codec(*codec)),
    }
}

/// Number of bytes of a column that suffice for [`decode_start`]: a codec, a frame header, and one block, which holds
/// 128 KiB of text. The reader's SQL statement repeats the number.
#[cfg(test)]
pub(super) const START_BYTES: usize = 1 + 18 + 3 + (128 << 10);

/// Limits the memory that the beginning of a damaged frame can make the decoder allocate to 2^23 bytes.
const MAX_WINDOW_LOG: u32 = 23;

/// Decodes at most the first `limit` bytes from the beginning of a column; also returns whether there are more.
pub(super) fn decode_start(chunk: &[u8], limit: usize) -> Result<(Vec<u8>, bool), ChunkError> {
    match chunk.split_first().ok_or(ChunkError::Empty)? {
        (&CODEC_RAW, data) => Ok((data[..data.len().min(limit)].to_vec(), data.len() > limit)),
        (&CODEC_ZSTD, data) => {
            let length = get_frame_content_size(data).ok().flatten().ok_or(ChunkError::Length)?;
            let length = usize::try_from(length).ok().filter(|length| *length <= MAX_BODY).ok_or(ChunkError::Length)?;
            let mut decoder = zstd::stream::read::Decoder::with_buffer(data)?;
            decoder.window_log_max(MAX_WINDOW_LOG)?;
            let mut bytes = vec![0; limit];
            let mut filled = 0;
            while filled < limit {
                match decoder.read(&mut bytes[filled..]) {
                    Ok(0) => break,
                    Ok(read) => filled += read,
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
                    Err(error) => return Err(error.into()),
                }
            }
            bytes.truncate(filled);
            Ok((bytes, filled < length))
        }
        (codec, _) => Err(ChunkError::Codec(*codec)),
    }
}

/// Returns the number of bytes that [`decode`] would return, given the first bytes of the column and its length.
pub(super) fn decoded_length(start: &[u8], length: usize) -> usize {
    match start.split_first() {
        Some((&CODEC_ZSTD, data)) => {
            let length = get_frame_content_size(data).ok().flatten().and_then(|length| usize::try_from(length).ok());
            length.filter(|length| *length <= MAX_BODY).unwrap_or_default()
        }
        _ => length,
    }
}

// === impl Part ===

impl Part {
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Request => 0,
            Self::Answer => 1,
        }
    }

    /// Returns the part with this number in the table.
    pub(crate) const fn of(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Request),
            1 => Some(Self::Answer),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_chunks_round_trip() {
        for text in ["", "a", &"hello ".repeat(10_000), "\u{10ffff}é"] {
            assert_eq!(decode(&encode(text)).unwrap(), text.as_bytes());
        }
        assert!(encode(&"hello ".repeat(10_000)).len() < 100);
        assert_eq!(encode("ab"), [CODEC_RAW, b'a', b'b']);
    }

    #[test]
    fn the_head_of_a_chunk_is_parsed_from_its_first_bytes() {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'!' + u8::try_from(state >> 58).unwrap())
        };
        let noise: String = (0..600_000).map(|_| random()).collect();
        for text in ["a", &"hello ".repeat(10_000), &"hello ".repeat(1_000_000), &noise] {
            let chunk = encode(text);
            let start = &chunk[..chunk.len().min(START_BYTES)];
            let expected = &text.as_bytes()[..text.len().min(9000)];
            assert!(
                decode_start(start, 9000).unwrap() == (expected.to_vec(), text.len() > 9000),
                "{} bytes",
                text.len()
            );
            assert_eq!(decoded_length(&chunk[..chunk.len().min(19)], chunk.len() - 1), text.len());
        }
        assert!(decode_start(&[], 9).is_err() && decode_start(&[7, 1], 9).is_err());
    }

    #[test]
    fn damage_is_detected_without_allocating() {
        let whole = encode(&"hello ".repeat(10_000));
        assert!(matches!(decode(&[]), Err(ChunkError::Empty)));
        assert!(matches!(decode(&[7, 1]), Err(ChunkError::Codec(7))));
        assert!(decode(&whole[..whole.len() - 1]).is_err());
        assert!(matches!(decode(&whole[..3]), Err(ChunkError::Length)));
        // A frame that claims to hold 2^40 bytes: magic number, flags (8-byte length, no checksum), the length.
        let mut bomb = vec![CODEC_ZSTD, 0x28, 0xb5, 0x2f, 0xfd, 0xe0];
        bomb.extend((1_u64 << 40).to_le_bytes());
        assert!(matches!(decode(&bomb), Err(ChunkError::Length)));
    }
}
