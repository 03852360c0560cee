//! Reads a segment behind its writer.

use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};

use super::{
    pool::Pool,
    record::{Decoded, JournalRecord, decode, decoded, plausible},
    recovery,
    segment::Segment,
    segment_file::HEADER_LEN,
};

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;
/// Limit of the checksum work during a search for the next record after damage, as a multiple of the remaining bytes.
const MAX_SEARCH_FACTOR: usize = 64;

/// Position of a record in a segment: offset and length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordPosition {
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

/// Buffer of the bytes read last. Most requests end shortly after they begin, so their records need not be read twice.
#[derive(Debug, Default)]
pub(crate) struct ReadBuffer {
    bytes: Vec<u8>,
    /// Generation of the segment, and offset in it; `None` after a failed read.
    of: Option<(u64, u64)>,
}

/// A segment, and the position up to which it has been read.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    pub(crate) segment: Arc<Segment>,
    position: u64,
    /// Number of requests with records here that are not in the database yet.
    pub(crate) refs: usize,
    /// Whether something here could not be read or loaded; the file is then set aside instead of reused.
    pub(crate) keep: bool,
}

impl SegmentReader {
    pub(crate) fn new(segment: Arc<Segment>) -> Self {
        Self { segment, position: HEADER_LEN, refs: 0, keep: false }
    }

    /// Reads the next chunk into `buffer` and calls `each` for every record in it. Returns whether everything written
    /// so far has been read. The records stay in the buffer: see [`ReadBuffer`].
    pub(crate) fn read(
        &mut self,
        buffer: &mut ReadBuffer,
        mut each: impl FnMut(JournalRecord<'_>, RecordPosition),
    ) -> io::Result<bool> {
        let mut needed = READ_BYTES;
        loop {
            let rest = self.segment.written() - self.position;
            if rest == 0 {
                return Ok(true);
            }
            self.fill(buffer, self.position, usize::try_from(rest).unwrap_or(needed).min(needed))?;
            let mut at = 0;
            let incomplete = loop {
                match decode(&buffer.bytes[at..], self.segment.generation) {
                    Decoded::JournalRecord(record, len) => {
                        each(record, RecordPosition { offset: self.position + at as u64, len });
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
                // The record is larger than a chunk: read again, all of it.
                Some(needs) if needs as u64 <= rest => needed = needs,
                // Damage, a torn tail, or the remains of an earlier use of the file.
                _ => {
                    self.skip(buffer)?;
                    needed = READ_BYTES;
                }
            }
        }
    }

    /// Skips to the next valid record, or to the end. A record after damage means that data was lost; the file is then
    /// kept.
    fn skip(&mut self, buffer: &mut ReadBuffer) -> io::Result<()> {
        let (from, to) = (self.position, self.segment.written());
        self.position = to;
        self.fill(buffer, from, usize::try_from(to - from).unwrap_or(usize::MAX))?;
        let mut work = buffer.bytes.len().saturating_mul(MAX_SEARCH_FACTOR);
        let found = next_record(&buffer.bytes, self.segment.generation, &mut work);
        if let Some(at) = found {
            self.position = from + at as u64;
        }
        self.keep |= found.is_some() || !self.segment.abandoned;
        Ok(())
    }

    /// Skips the rest of the segment, and keeps its file.
    pub(crate) fn give_up(&mut self) {
        self.position = self.segment.written();
        self.keep = true;
    }

    /// Returns a record again: from `buffer` if it is still there, otherwise read into `spare`.
    pub(crate) fn reread<'a>(
        &self,
        buffer: &'a ReadBuffer,
        spare: &'a mut ReadBuffer,
        position: RecordPosition,
    ) -> io::Result<JournalRecord<'a>> {
        // A left-behind segment may have the same generation as one of this process.
        if !self.segment.abandoned
            && let Some(record) = buffer.at(self.segment.generation, position).and_then(decoded)
        {
            return Ok(record);
        }
        self.fill(spare, position.offset, position.len)?;
        match decode(&spare.bytes, self.segment.generation) {
            Decoded::JournalRecord(record, _) => Ok(record),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Returns the number of bytes of records that have been read.
    pub(crate) const fn passed(&self) -> u64 {
        self.position - HEADER_LEN
    }

    /// Returns whether the segment is sealed and has been read to its end.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.segment.is_sealed() && self.position == self.segment.written()
    }

    /// Returns the exhausted segment's file to `pool`, or removes it, or sets it aside.
    pub(crate) fn discard(&self, pool: &Pool) {
        let segment = &*self.segment;
        let file =
            if segment.abandoned { Some(segment.file.clone()) } else { pool.used.remove(segment, self.keep, pool) };
        // Nothing is left of a file that was deleted meanwhile.
        let Some(file) = file else { return };
        let path = file.path.clone();
        let result = if self.keep {
            recovery::set_aside(&path)
        } else if segment.abandoned {
            std::fs::remove_file(&path)
        } else {
            pool.put(file).or_else(|file| std::fs::remove_file(file.path))
        };
        if let Err(error) = result {
            tracing::warn!(
                %error,
                path = %path.display(),
                "cannot remove a loaded segment, loading it again has no effect"
            );
        }
    }

    fn fill(&self, buffer: &mut ReadBuffer, offset: u64, len: usize) -> io::Result<()> {
        buffer.of = None;
        buffer.bytes.resize(len, 0);
        let mut file = &*self.segment.file.reader;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut buffer.bytes)?;
        buffer.of = Some((self.segment.generation, offset));
        Ok(())
    }
}

/// Finds the next record after damage. Each candidate has to be checksummed, and any bytes of a body can look like a
/// candidate, so `work` bounds the total. Once it is used up, only short records are found.
fn next_record(bytes: &[u8], generation: u64, work: &mut usize) -> Option<usize> {
    (1..bytes.len()).find(|&at| {
        let Some(len) = plausible(&bytes[at..]).filter(|&len| len <= *work) else { return false };
        *work -= len;
        matches!(decode(&bytes[at..], generation), Decoded::JournalRecord(..))
    })
}

// === impl ReadBuffer ===

impl ReadBuffer {
    fn at(&self, generation: u64, position: RecordPosition) -> Option<&[u8]> {
        let (_, offset) = self.of.filter(|(of, _)| *of == generation)?;
        let from = usize::try_from(position.offset.checked_sub(offset)?).ok()?;
        self.bytes.get(from..from.checked_add(position.len)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::journal::{
        record::{Kind, encode, seal},
        segment::AbandonedSegment,
        segment_file::header,
    };

    const GENERATION: u64 = 9;

    fn records(bodies: &[&[u8]], generation: u64) -> Vec<u8> {
        let (mut file, mut scratch) = (Vec::new(), Vec::new());
        for body in bodies {
            encode(&mut scratch, Kind::Part, Uuid::nil(), None::<&()>, body).unwrap();
            seal(&mut scratch, body, generation);
            file.extend_from_slice(&scratch);
            file.extend_from_slice(body);
        }
        file
    }

    fn reader(records: &[u8]) -> (tempfile::TempDir, SegmentReader) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.seg");
        std::fs::write(&path, [header(GENERATION).as_slice(), records].concat()).unwrap();
        let AbandonedSegment::Segment(segment) = Segment::abandoned(path).unwrap() else { panic!("a segment") };
        (dir, SegmentReader::new(Arc::new(segment)))
    }

    fn read_all(reader: &mut SegmentReader) -> Vec<Vec<u8>> {
        let (mut bodies, mut buffer) = (Vec::new(), ReadBuffer::default());
        while !reader.read(&mut buffer, |record, _| bodies.push(record.body.to_vec())).unwrap() {}
        bodies
    }

    #[test]
    fn records_across_read_chunks_are_parsed() {
        let big = vec![7; READ_BYTES * 2];
        let small = vec![1; READ_BYTES / 3];
        let bodies: Vec<&[u8]> = vec![&small, &small, &small, &big, b"end"];
        let (_dir, mut reader) = reader(&records(&bodies, GENERATION));
        assert_eq!(read_all(&mut reader), bodies);
        assert!(reader.is_exhausted() && !reader.keep);
    }

    #[test]
    fn a_torn_tail_and_older_generations_are_skipped() {
        let former = records(&[b"old", b"older"], GENERATION - 1);
        for rest in [b"\x20\0\0\0".as_slice(), &[0xFF; 40], &[40, 0, 0, 0, 1, 2, 3, 4, 5], &former, &former[20..]] {
            let (_dir, mut reader) = reader(&[&records(&[b"whole"], GENERATION), rest].concat());
            assert_eq!(read_all(&mut reader), [b"whole"]);
            assert!(reader.is_exhausted() && !reader.keep);
        }
    }

    #[test]
    fn searching_after_damage_takes_linear_time() {
        // A record of one megabyte seems to begin every twelve bytes.
        let trap: Vec<u8> = [0x00, 0x00, 0x10, 0x00, 1, 1, 1, 1, 1, 1, 1, 1].repeat(200_000);
        let bytes = [trap.as_slice(), &records(&[b"behind"], GENERATION)].concat();
        let mut work = 4 << 20;
        assert_eq!(next_record(&bytes, GENERATION, &mut work), Some(trap.len()));
        // The candidates used up four megabytes of work instead of 200,000, and left enough for a short record.
        assert!(work < 1 << 20, "{work}");
        let (_dir, mut reader) = reader(&bytes);
        assert_eq!(read_all(&mut reader), [b"behind"]);
    }

    #[test]
    fn a_record_can_be_reread() {
        let (_dir, mut reader) = reader(&records(&[b"first", b"second"], GENERATION));
        let (mut positions, mut buffer, mut spare) = (Vec::new(), ReadBuffer::default(), ReadBuffer::default());
        reader.read(&mut buffer, |_, position| positions.push(position)).unwrap();
        assert_eq!(reader.reread(&buffer, &mut spare, positions[1]).unwrap().body, b"second");
        assert_eq!(reader.reread(&ReadBuffer::default(), &mut spare, positions[0]).unwrap().body, b"first");
    }

    #[test]
    fn a_window_returns_only_its_own_bytes() {
        let (_dir, mut reader) = reader(&records(&[b"first", b"second"], GENERATION));
        let (mut positions, mut buffer) = (Vec::new(), ReadBuffer::default());
        reader.read(&mut buffer, |_, position| positions.push(position)).unwrap();
        assert_eq!(buffer.at(GENERATION, positions[1]).and_then(decoded).unwrap().body, b"second");
        assert_eq!(buffer.at(GENERATION + 1, positions[1]), None);
        assert_eq!(buffer.at(GENERATION, RecordPosition { offset: positions[1].offset + 1, ..positions[1] }), None);
        assert_eq!(buffer.at(GENERATION, RecordPosition { offset: 0, ..positions[1] }), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_flipped_byte_loses_at_most_one_record(at in any::<prop::sample::Index>(), flip in 1_u8..) {
            let bodies: Vec<Vec<u8>> = (0..8).map(|n| vec![n; 20 + usize::from(n)]).collect();
            let slices: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
            let mut file = records(&slices, GENERATION);
            let at = at.index(file.len());
            file[at] ^= flip;
            let (_dir, mut reader) = reader(&file);
            let read = read_all(&mut reader);
            prop_assert!(read.len() == 7 && read.iter().all(|body| bodies.contains(body)), "{} read", read.len());
        }
    }
}
