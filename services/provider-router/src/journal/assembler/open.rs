//! Requests in flight, and their ends.

use std::io;

use signalbox_store::exchanges::Exchange;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    super::{
        record::{End, JournalRecord},
        segment_reader::RecordPosition,
        transcript::Transcript,
    },
    Assembler, SegmentNo,
};

/// Maximum bytes of beginnings kept for requests in flight, because most end soon; the others are read again when they
/// end.
const MAX_OPEN_BYTES: usize = 16 << 20;

/// A request in flight.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) begin: (SegmentNo, RecordPosition),
    /// Parsed beginning, if there was room for it.
    pub(super) transcript: Option<Transcript>,
    pub(super) parts: Vec<(SegmentNo, RecordPosition)>,
    /// Segments that contain its records, without duplicates.
    pub(super) segment_refs: Vec<SegmentNo>,
    pub(super) since: Instant,
    pub(super) shown: bool,
}

impl Assembler {
    pub(super) fn end(&mut self, id: Uuid, end: End, at: Option<(SegmentNo, RecordPosition)>) {
        let Some(mut open) = self.open.remove(&id) else { return };
        if let Some((number, _)) = at
            && !open.segment_refs.contains(&number)
        {
            open.segment_refs.push(number);
            self.add_segment_ref(number);
        }
        // The row takes the references along: its segments stay until the database has it.
        match self.exchange(id, &mut open, end, at) {
            Ok(exchange) => self.push(id, exchange, open.segment_refs),
            Err(error) => {
                self.open.insert(id, open);
                self.damaged(id, &error);
            }
        }
    }

    fn exchange(
        &mut self,
        id: Uuid,
        open: &mut Open,
        mut end: End,
        at: Option<(SegmentNo, RecordPosition)>,
    ) -> io::Result<Exchange> {
        if open.parts.len() < end.parts {
            // A record was damaged on the disk: the answer has a gap.
            end.truncated = true;
            end.error.get_or_insert_with(|| "a part of the answer in the request log was damaged".to_owned());
        }
        // Parts are read again instead of being kept: thousands of long answers may be open at the same time.
        let mut answer = Vec::new();
        for (number, position) in open.parts.iter().chain(&at) {
            self.batch_bytes += position.len;
            answer.extend_from_slice(self.reread(*number, *position)?.body);
        }
        let transcript = match self.release(open) {
            Some(transcript) => transcript,
            None => self.transcript(id, open.begin)?,
        };
        Ok(transcript.ended(end, answer, self.prices.current().as_deref()))
    }

    /// Gives up a request whose records cannot be read again; its segments are kept on disk.
    pub(super) fn damaged(&mut self, id: Uuid, error: &io::Error) {
        tracing::error!(%id, %error, "records of a request cannot be read, its segments are kept");
        let Some(mut open) = self.open.remove(&id) else { return };
        drop(self.release(&mut open));
        for number in open.segment_refs {
            if let Some(reader) = self.readers.get_mut(&number) {
                reader.refs -= 1;
                reader.keep = true;
            }
        }
    }

    /// Parses a beginning while its bytes are still in memory. A read error is ignored here, and reported when the end
    /// arrives.
    pub(super) fn cache_transcript(&mut self, id: Uuid, begin: (SegmentNo, RecordPosition)) -> Option<Transcript> {
        if self.open_bytes + begin.1.len > MAX_OPEN_BYTES {
            return None;
        }
        let transcript = self.transcript(id, begin).ok()?;
        self.open_bytes += begin.1.len;
        Some(transcript)
    }

    fn release(&mut self, open: &mut Open) -> Option<Transcript> {
        let transcript = open.transcript.take()?;
        self.open_bytes -= open.begin.1.len;
        Some(transcript)
    }

    pub(super) fn transcript(
        &mut self,
        id: Uuid,
        (number, position): (SegmentNo, RecordPosition),
    ) -> io::Result<Transcript> {
        let record = self.reread(number, position)?;
        let begin = record.begin().ok_or(io::ErrorKind::InvalidData)?;
        Ok(Transcript::new(id, begin, record.body))
    }

    fn reread(&mut self, number: SegmentNo, position: RecordPosition) -> io::Result<JournalRecord<'_>> {
        let reader = self.readers.get(&number).ok_or(io::ErrorKind::NotFound)?;
        reader.reread(&self.buffer, &mut self.scratch, position)
    }
}
