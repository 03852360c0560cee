//! Reading a segment behind its writer.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};

use super::{
    record::{Decoded, Record, decode},
    segment::Segment,
};

/// How much is read at once.
const CHUNK: usize = 1 << 20;

/// A place in a segment: offset and length of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

/// A segment and how far it has been read.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) segment: Arc<Segment>,
    file: File,
    position: u64,
    /// Requests with a record here that are not in the database yet.
    pub(crate) pins: usize,
    /// Something here could not be read, or could not be loaded: the file is kept for a person to look at.
    pub(crate) keep: bool,
}

impl Tail {
    pub(crate) fn open(segment: Arc<Segment>) -> io::Result<Self> {
        let file = File::open(&segment.path)?;
        Ok(Self { segment, file, position: 0, pins: 0, keep: false })
    }

    /// Reads the next chunk of what has been written into `buffer` and calls `each` per record. Returns whether there is
    /// nothing more for now.
    pub(crate) fn read(&mut self, buffer: &mut Vec<u8>, mut each: impl FnMut(Record<'_>, Place)) -> io::Result<bool> {
        let mut needed = CHUNK;
        loop {
            let rest = self.segment.written() - self.position;
            if rest == 0 {
                return Ok(true);
            }
            self.fill(buffer, self.position, usize::try_from(rest).unwrap_or(needed).min(needed))?;
            let mut at = 0;
            let incomplete = loop {
                match decode(&buffer[at..]) {
                    Decoded::Record(record, len) => {
                        each(record, Place { offset: self.position + at as u64, len });
                        at += len;
                    }
                    Decoded::Incomplete(needs) => break Some(needs),
                    Decoded::Invalid => break None,
                }
            };
            self.position += at as u64;
            let rest = rest - at as u64;
            match incomplete {
                _ if rest == 0 => return Ok(true),
                Some(needs) if needs as u64 <= rest && at > 0 => return Ok(false),
                // A record larger than a chunk: read again, all of it.
                Some(needs) if needs as u64 <= rest => needed = needs,
                // A torn tail, or damage: nothing behind it can be told from noise.
                _ => {
                    self.position += rest;
                    self.keep = true;
                    return Ok(true);
                }
            }
        }
    }

    /// Reads one record again.
    pub(crate) fn reread(&mut self, buffer: &mut Vec<u8>, place: Place) -> io::Result<()> {
        self.fill(buffer, place.offset, place.len)
    }

    /// Whether the file has given all it will ever give.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.segment.is_sealed() && self.position == self.segment.written()
    }

    fn fill(&mut self, buffer: &mut Vec<u8>, offset: u64, len: usize) -> io::Result<()> {
        buffer.resize(len, 0);
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(buffer)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::journal::record::{Kind, encode};

    fn segment(bodies: &[&[u8]], tail: &[u8]) -> (tempfile::TempDir, Tail) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.seg");
        let (mut file, mut scratch) = (Vec::new(), Vec::new());
        for body in bodies {
            encode(&mut scratch, Kind::Part, Uuid::nil(), None::<&()>, body);
            file.extend_from_slice(&scratch);
            file.extend_from_slice(body);
        }
        file.extend_from_slice(tail);
        std::fs::write(&path, file).unwrap();
        (dir, Tail::open(Arc::new(Segment::left_behind(path).unwrap())).unwrap())
    }

    fn read_all(tail: &mut Tail) -> Vec<Vec<u8>> {
        let (mut bodies, mut buffer) = (Vec::new(), Vec::new());
        while !tail.read(&mut buffer, |record, _| bodies.push(record.body.to_vec())).unwrap() {}
        bodies
    }

    #[test]
    fn records_across_and_beyond_chunks_are_read() {
        let big = vec![7; CHUNK * 2];
        let small = vec![1; CHUNK / 3];
        let bodies: Vec<&[u8]> = vec![&small, &small, &small, &big, b"end"];
        let (_dir, mut tail) = segment(&bodies, b"");
        assert_eq!(read_all(&mut tail), bodies);
        assert!(tail.is_exhausted() && !tail.keep);
    }

    #[test]
    fn a_torn_tail_is_left_out() {
        for tail_bytes in [b"\x20\0\0\0".as_slice(), &[0xFF; 40], &[40, 0, 0, 0, 1, 2, 3, 4, 5]] {
            let (_dir, mut tail) = segment(&[b"whole"], tail_bytes);
            assert_eq!(read_all(&mut tail), [b"whole"]);
            assert!(tail.is_exhausted() && tail.keep);
        }
    }

    #[test]
    fn a_record_can_be_read_again() {
        let (_dir, mut tail) = segment(&[b"first", b"second"], b"");
        let (mut places, mut buffer) = (Vec::new(), Vec::new());
        tail.read(&mut buffer, |_, place| places.push(place)).unwrap();
        tail.reread(&mut buffer, places[1]).unwrap();
        assert!(matches!(decode(&buffer), Decoded::Record(record, _) if record.body == b"second"));
    }
}
