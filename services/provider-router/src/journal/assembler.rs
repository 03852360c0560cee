//! Reassembles the records of the segments into complete exchanges.
//!
//! For a request in flight, the positions of its records are kept, and its beginning as long as there is room; all
//! other bytes stay in the segments until the end arrives.

mod open;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    io,
    sync::Arc,
};

use open::Open;
use signalbox_store::exchanges::{Base, Exchange};
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::{
    dedup_cache::{DedupCache, Shared},
    pool::Pool,
    record::{End, Kind},
    segment::Segment,
    segment_reader::{ReadBuffer, RecordPosition, SegmentReader},
};
use crate::prices::Prices;

/// Time after which a request in flight is stored as pending. Most requests end earlier, which saves a row write.
const SHOW_PENDING_AFTER: Duration = Duration::from_secs(1);

/// New bytes at which a batch is full. A response is read into memory when its request ends; a thousand may end
/// together, and there are several copies of each while it is folded and written.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// Bytes of request bodies at which a batch is full, new or not. The repeated part of a body is in memory once, and is
/// not written.
const MAX_BATCH_REQUEST_BYTES: usize = 16 << 20;

/// Maximum number of rows in one transaction. A multiple of the number of rows that the store puts into one statement,
/// because a remainder costs as many statements as all the other rows.
pub(crate) const MAX_BATCH: usize = 2048;

/// Number of records processed between two yields to request threads, about 50 µs.
const RECORDS_PER_YIELD: usize = 8;

/// Number of a segment, in order of arrival.
type SegmentNo = u64;

/// All records that have been read and are not in the database yet.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    readers: BTreeMap<SegmentNo, SegmentReader>,
    next: SegmentNo,
    open: HashMap<Uuid, Open>,
    /// Records that were read when the batch was already full.
    deferred: VecDeque<(SegmentNo, Uuid, Event, RecordPosition)>,
    /// Rows to write. `batch_pins` has, for each row, the segments that it releases once it is written.
    batch: Vec<Exchange>,
    batch_pins: Vec<Vec<SegmentNo>>,
    /// New bytes in the batch: responses, and requests without their repeated parts.
    batch_bytes: usize,
    /// Bytes of request bodies in the batch.
    batch_request_bytes: usize,
    /// Bytes of the records behind [`Open::transcript`].
    open_bytes: usize,
    /// Recent request bodies, whose contents the next one may repeat.
    dedup_cache: DedupCache,
    buffer: ReadBuffer,
    /// Buffer for records that are read again.
    scratch: ReadBuffer,
    /// Whether the loader yields to request threads.
    pub(crate) yields: bool,
    /// Number of files that were set aside.
    set_aside: u64,
    /// Prices of the exchanges that end.
    pub(crate) prices: Prices,
}

/// Content of a record, without its bytes.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "an event is used as soon as it is read")]
enum Event {
    Begin,
    Part,
    /// `None` if the head cannot be parsed.
    End(Option<End>),
}

impl Assembler {
    /// Creates an empty assembler that computes costs with these prices.
    pub(crate) fn new(prices: Prices) -> Self {
        Self { prices, ..Self::default() }
    }

    /// Adds a segment.
    pub(crate) fn add(&mut self, segment: Arc<Segment>) {
        self.readers.insert(self.next, SegmentReader::new(segment));
        self.next += 1;
    }

    /// Reads one chunk of the oldest segment with unread records; later segments are read only after it is exhausted,
    /// because a request may begin in one segment and end in the next. Returns whether everything available has been
    /// read; a [full](Self::is_full) batch has to be taken before that can happen.
    pub(crate) fn read(&mut self) -> bool {
        if !self.process_all() {
            return false;
        }
        let numbers: Vec<SegmentNo> = self.readers.keys().copied().collect();
        for number in numbers {
            let mut events = Vec::new();
            let Some(reader) = self.readers.get_mut(&number) else { continue };
            let read = reader.read(&mut self.buffer, |record, position| {
                let event = match record.kind {
                    Kind::Begin => Event::Begin,
                    Kind::Part => Event::Part,
                    Kind::End => Event::End(record.end()),
                };
                events.push((record.id, event, position));
            });
            let all = read.unwrap_or_else(|error| {
                tracing::error!(%error, path = %reader.segment.file.path.display(), "a segment cannot be read");
                // Requests that are open there end as interrupted once their process is known to be dead.
                reader.give_up();
                true
            });
            // Records are processed outside of the closure, because ends read other segments again.
            self.deferred.extend(events.into_iter().map(|(id, event, position)| (number, id, event, position)));
            if !self.process_all() || !all {
                return false;
            }
        }
        true
    }

    /// Handles the end of a request that could not be written to the journal.
    pub(crate) fn lost(&mut self, id: Uuid, end: End) {
        self.end(id, end, None);
    }

    /// Ends the open requests of a dead process as interrupted, until the batch is full. Returns whether all of them
    /// are ended.
    pub(crate) fn interrupt(&mut self) -> bool {
        let ids: Vec<Uuid> = self.open.keys().copied().collect();
        for id in ids {
            if self.is_full() {
                return false;
            }
            let Some(open) = self.open.get(&id) else { continue };
            let begin = open.begin;
            match self.transcript(id, begin) {
                Ok(transcript) => self.end(id, transcript.interrupted(), None),
                Err(error) => self.damaged(id, &error),
            }
        }
        true
    }

    /// Adds pending rows for requests that have been in flight for [`SHOW_PENDING_AFTER`]. Requests beyond a full batch
    /// are added by the next call.
    pub(crate) fn show_pending(&mut self, now: Instant) {
        // Collected first, because adding a row changes the open requests.
        let due: Vec<(Uuid, (SegmentNo, RecordPosition))> = self
            .open
            .iter()
            .filter(|(_, open)| !open.shown && now.duration_since(open.since) >= SHOW_PENDING_AFTER)
            .map(|(id, open)| (*id, open.begin))
            .collect();
        for (id, begin) in due {
            if self.is_full() {
                return;
            }
            let Ok(transcript) = self.transcript(id, begin) else { continue };
            self.push(id, transcript.begun(), Vec::new());
            if let Some(open) = self.open.get_mut(&id) {
                open.shown = true;
            }
        }
    }

    /// Takes the rows to write. [`Self::mark_written`] must be called once they are written.
    pub(crate) fn take_rows(&mut self) -> Vec<Exchange> {
        (self.batch_bytes, self.batch_request_bytes) = (0, 0);
        std::mem::take(&mut self.batch)
    }

    /// Clears the recent bodies, after a while without requests.
    pub(crate) fn clear_dedup_cache(&mut self) {
        self.dedup_cache.clear();
    }

    /// Returns the bytes that have been read of the segments still held.
    pub(crate) fn passed(&self) -> u64 {
        self.readers.values().map(SegmentReader::passed).sum()
    }

    /// Returns the number of files that were set aside because something in them could not be read or loaded.
    pub(crate) const fn set_aside(&self) -> u64 {
        self.set_aside
    }

    /// Returns the number of requests that have begun and not ended.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// Returns the bytes of beginnings kept in memory for requests in flight.
    #[cfg(test)]
    pub(crate) const fn open_bytes(&self) -> usize {
        self.open_bytes
    }

    /// Releases the segments of the written batch. `excluded` has the indices of rows that the database refused
    /// permanently; their segments are kept.
    pub(crate) fn mark_written(&mut self, excluded: &[usize]) {
        for (n, segment_refs) in std::mem::take(&mut self.batch_pins).into_iter().enumerate() {
            for number in segment_refs {
                if let Some(reader) = self.readers.get_mut(&number) {
                    reader.refs -= 1;
                    reader.keep |= excluded.contains(&n);
                }
            }
        }
    }

    /// Releases exhausted segments, to `pool` if it has room, and returns the number of bytes freed.
    pub(crate) fn retire(&mut self, pool: &Pool) -> u64 {
        let mut freed = 0;
        // Records that are not processed yet have not pinned their segment.
        let deferred: HashSet<SegmentNo> = self.deferred.iter().map(|(number, ..)| *number).collect();
        self.readers.retain(|number, reader| {
            let stays = !reader.is_exhausted() || reader.refs > 0 || deferred.contains(number);
            if !stays {
                freed += reader.segment.len();
                self.set_aside += u64::from(reader.keep);
                reader.discard(pool);
            }
            stays
        });
        freed
    }

    /// Adds a row to the batch. Only the part of its request body that no recent body contains counts as new.
    fn push(&mut self, id: Uuid, mut exchange: Exchange, segment_refs: Vec<SegmentNo>) {
        let body = &exchange.begun.request_body;
        let shared = self.dedup_cache.find(id, body);
        self.batch_request_bytes += body.len();
        self.batch_bytes += body.len() - shared.map_or(0, |shared| shared.prefix + shared.suffix);
        self.dedup_cache.remember(id, body, shared);
        exchange.begun.base =
            shared.map(|Shared { with, prefix, suffix }| Base { request_id: with.to_string(), prefix, suffix });
        self.batch.push(exchange);
        self.batch_pins.push(segment_refs);
    }

    /// Returns whether the batch has to be taken before more is read.
    pub(crate) fn is_full(&self) -> bool {
        self.batch.len() >= MAX_BATCH
            || self.batch_bytes >= MAX_BATCH_BYTES
            || self.batch_request_bytes >= MAX_BATCH_REQUEST_BYTES
    }

    /// Processes the records read so far until the batch is full. Returns whether all of them are processed.
    fn process_all(&mut self) -> bool {
        while !self.is_full() {
            let Some((number, id, event, position)) = self.deferred.pop_front() else { return true };
            self.process(number, id, event, position);
            // With few cores, request threads wait for this one.
            if self.yields && self.deferred.len().is_multiple_of(RECORDS_PER_YIELD) {
                std::thread::yield_now();
            }
        }
        self.deferred.is_empty()
    }

    fn process(&mut self, number: SegmentNo, id: Uuid, event: Event, position: RecordPosition) {
        match event {
            Event::Begin => {
                self.add_segment_ref(number);
                let open = Open {
                    begin: (number, position),
                    transcript: self.cache_transcript(id, (number, position)),
                    parts: Vec::new(),
                    segment_refs: vec![number],
                    since: Instant::now(),
                    shown: false,
                };
                self.open.insert(id, open);
            }
            Event::Part => {
                // Without its beginning, a part belongs to a request that ended before, or whose segment is gone.
                let Some(open) = self.open.get_mut(&id) else { return };
                open.parts.push((number, position));
                if !open.segment_refs.contains(&number) {
                    open.segment_refs.push(number);
                    self.add_segment_ref(number);
                }
            }
            Event::End(Some(end)) => self.end(id, end, Some((number, position))),
            Event::End(None) => self.damaged(id, &io::ErrorKind::InvalidData.into()),
        }
    }

    fn add_segment_ref(&mut self, number: SegmentNo) {
        if let Some(reader) = self.readers.get_mut(&number) {
            reader.refs += 1;
        }
    }
}
