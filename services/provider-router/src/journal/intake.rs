//! Putting records together again: from segments to whole exchanges.
//!
//! Of a request that goes on, the places of its records are kept, and what it asks while there is room for it; all other
//! bytes stay in the segments until the end comes.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    io,
    sync::Arc,
};

use signalbox_store::exchanges::{Base, Exchange};
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::{
    pool::Pool,
    recent::{Recent, Shared},
    record::{End, Kind, Record},
    recovery,
    segment::Segment,
    tail::{Place, Tail, Window},
    transcript::Transcript,
};

/// A request that goes on is shown as pending after this time; most are over before, and cost one row less.
const SHOW_PENDING_AFTER: Duration = Duration::from_secs(1);

/// Rows of about so many new bytes are held at once: an answer comes into memory when its request ends, and a thousand may
/// end together. While it is folded and written, there are several copies of it.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// Rows of requests of so many bytes are held at once, new or not: what is not new is there once, and is not written.
const MAX_BATCH_ASKED: usize = 16 << 20;

/// How many rows go into one transaction at most; a multiple of what the store puts into one statement, because the few
/// that are left over cost it as many statements as all the others.
pub(crate) const MAX_BATCH: usize = 2048;

/// So many bytes of requests that go on are kept, because most end soon; the others are read again when they end.
const MAX_KEPT_BYTES: usize = 16 << 20;

/// So many records are followed before requests may go first: some 50 µs.
const RECORDS_AT_ONCE: usize = 8;

/// The number of a segment, in the order in which they came.
type SegmentNo = u64;

/// Everything that has been read and is not in the database.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    tails: BTreeMap<SegmentNo, Tail>,
    next: SegmentNo,
    open: HashMap<Uuid, Open>,
    /// What was read when the batch was full already.
    unfollowed: VecDeque<(SegmentNo, Uuid, Event, Place)>,
    /// Rows to write, and for each the segments that may go when it is written.
    batch: Vec<Exchange>,
    batch_pins: Vec<Vec<SegmentNo>>,
    /// What is new in the batch: answers, and requests but for what they repeat.
    batch_bytes: usize,
    /// Its requests.
    batch_asked: usize,
    /// Of the records of [`Open::transcript`].
    kept_bytes: usize,
    /// What the next body may repeat.
    recent: Recent,
    buffer: Window,
    /// What is read again.
    spare: Window,
    /// Requests go before their log.
    pub(crate) courteous: bool,
    /// How many files were set aside.
    set_aside: u64,
}

/// A request that goes on.
#[derive(Debug)]
struct Open {
    begin: (SegmentNo, Place),
    /// What `begin` says, if there was room for it.
    transcript: Option<Transcript>,
    parts: Vec<(SegmentNo, Place)>,
    /// The segments its records are in, each once.
    pins: Vec<SegmentNo>,
    since: Instant,
    shown: bool,
}

/// What a record means, without its bytes.
#[derive(Debug)]
enum Event {
    Begin,
    Part,
    /// `None` if its words are not ours.
    End(Option<End>),
}

impl Intake {
    /// Takes a segment in.
    pub(crate) fn add(&mut self, segment: Arc<Segment>) {
        self.tails.insert(self.next, Tail::new(segment));
        self.next += 1;
    }

    /// Reads a chunk of the oldest segment that has more, and of those behind it only when it has no more: a request may
    /// begin in one segment and end in the next. Returns whether there is nothing more for now; a [full](Self::is_full)
    /// batch has to be taken before there is.
    pub(crate) fn read(&mut self) -> bool {
        if !self.follow_all() {
            return false;
        }
        let numbers: Vec<SegmentNo> = self.tails.keys().copied().collect();
        for number in numbers {
            let mut events = Vec::new();
            let Some(tail) = self.tails.get_mut(&number) else { continue };
            let read = tail.read(&mut self.buffer, |record, place| {
                let event = match record.kind {
                    Kind::Begin => Event::Begin,
                    Kind::Part => Event::Part,
                    Kind::End => Event::End(record.end()),
                };
                events.push((record.id, event, place));
            });
            let all = read.unwrap_or_else(|error| {
                tracing::error!(%error, path = %tail.segment.file.path.display(), "a segment cannot be read");
                tail.give_up();
                true
            });
            self.unfollowed.extend(events.into_iter().map(|(id, event, place)| (number, id, event, place)));
            if !self.follow_all() || !all {
                return false;
            }
        }
        true
    }

    /// The end of a request that could not be written to the journal.
    pub(crate) fn lost(&mut self, id: Uuid, end: End) {
        self.end(id, end, None);
    }

    /// Ends the requests that go on, for their process is dead, until the batch is full. Returns whether none is left.
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

    /// Shows requests that go on for a while as pending; those that a full batch has no room for, the next time.
    pub(crate) fn show_pending(&mut self, now: Instant) {
        let due: Vec<(Uuid, (SegmentNo, Place))> = self
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

    /// The rows that wait to be written; [`Self::settle`] says that they are.
    pub(crate) fn take_rows(&mut self) -> Vec<Exchange> {
        (self.batch_bytes, self.batch_asked) = (0, 0);
        std::mem::take(&mut self.batch)
    }

    /// Forgets what bodies may repeat, when none has come for a while.
    pub(crate) fn rest(&mut self) {
        self.recent.clear();
    }

    /// How many bytes have been read of segments that are not let go of.
    pub(crate) fn passed(&self) -> u64 {
        self.tails.values().map(Tail::passed).sum()
    }

    /// How many files have been set aside, because something in them could not be read or loaded.
    pub(crate) const fn set_aside(&self) -> u64 {
        self.set_aside
    }

    /// How many requests have begun and are not over.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// How much of what was asked is in memory, of requests that go on.
    #[cfg(test)]
    pub(crate) const fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// The rows of the batch are written (`kept_out`: but for these, which the database refused for good).
    pub(crate) fn settle(&mut self, kept_out: &[usize]) {
        for (n, pins) in std::mem::take(&mut self.batch_pins).into_iter().enumerate() {
            for number in pins {
                if let Some(tail) = self.tails.get_mut(&number) {
                    tail.pins -= 1;
                    tail.keep |= kept_out.contains(&n);
                }
            }
        }
    }

    /// Lets go of segments that have given everything, to `pool` if it wants them, and returns how many bytes that freed.
    pub(crate) fn retire(&mut self, pool: &Pool) -> u64 {
        let mut freed = 0;
        // What has not been followed has pinned nothing yet.
        let unfollowed: HashSet<SegmentNo> = self.unfollowed.iter().map(|(number, ..)| *number).collect();
        self.tails.retain(|number, tail| {
            let stays = !tail.is_exhausted() || tail.pins > 0 || unfollowed.contains(number);
            if !stays {
                freed += tail.segment.len();
                self.set_aside += u64::from(tail.keep);
                discard(tail, pool);
            }
            stays
        });
        freed
    }

    fn push(&mut self, id: Uuid, mut exchange: Exchange, pins: Vec<SegmentNo>) {
        let body = &exchange.begun.openai_request;
        let shared = self.recent.find(id, body);
        self.batch_asked += body.len();
        self.batch_bytes += body.len() - shared.map_or(0, |shared| shared.prefix + shared.suffix);
        self.recent.remember(id, body, shared);
        exchange.begun.base =
            shared.map(|Shared { with, prefix, suffix }| Base { request_id: with.to_string(), prefix, suffix });
        self.batch.push(exchange);
        self.batch_pins.push(pins);
    }

    /// Whether the batch has to be taken before more is read.
    pub(crate) fn is_full(&self) -> bool {
        self.batch.len() >= MAX_BATCH || self.batch_bytes >= MAX_BATCH_BYTES || self.batch_asked >= MAX_BATCH_ASKED
    }

    /// Follows what was read until the batch is full. Returns whether nothing is left.
    fn follow_all(&mut self) -> bool {
        while !self.is_full() {
            let Some((number, id, event, place)) = self.unfollowed.pop_front() else { return true };
            self.follow(number, id, event, place);
            // Where cores are few, requests wait behind this thread.
            if self.courteous && self.unfollowed.len().is_multiple_of(RECORDS_AT_ONCE) {
                std::thread::yield_now();
            }
        }
        self.unfollowed.is_empty()
    }

    fn follow(&mut self, number: SegmentNo, id: Uuid, event: Event, place: Place) {
        match event {
            Event::Begin => {
                self.pin(number);
                let open = Open {
                    begin: (number, place),
                    transcript: self.keep(id, (number, place)),
                    parts: Vec::new(),
                    pins: vec![number],
                    since: Instant::now(),
                    shown: false,
                };
                self.open.insert(id, open);
            }
            Event::Part => {
                let Some(open) = self.open.get_mut(&id) else { return };
                open.parts.push((number, place));
                if !open.pins.contains(&number) {
                    open.pins.push(number);
                    self.pin(number);
                }
            }
            Event::End(Some(end)) => self.end(id, end, Some((number, place))),
            Event::End(None) => self.damaged(id, &io::ErrorKind::InvalidData.into()),
        }
    }

    fn pin(&mut self, number: SegmentNo) {
        if let Some(tail) = self.tails.get_mut(&number) {
            tail.pins += 1;
        }
    }

    fn end(&mut self, id: Uuid, end: End, at: Option<(SegmentNo, Place)>) {
        let Some(mut open) = self.open.remove(&id) else { return };
        if let Some((number, _)) = at
            && !open.pins.contains(&number)
        {
            open.pins.push(number);
            self.pin(number);
        }
        match self.exchange(id, &mut open, end, at) {
            Ok(exchange) => self.push(id, exchange, open.pins),
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
        end: End,
        at: Option<(SegmentNo, Place)>,
    ) -> io::Result<Exchange> {
        let mut answer = Vec::new();
        for (number, place) in open.parts.iter().chain(&at) {
            self.batch_bytes += place.len;
            answer.extend_from_slice(self.reread(*number, *place)?.body);
        }
        let transcript = match self.release(open) {
            Some(transcript) => transcript,
            None => self.transcript(id, open.begin)?,
        };
        Ok(transcript.ended(end, answer))
    }

    /// Gives up on a request whose records cannot be read again; their files are kept.
    fn damaged(&mut self, id: Uuid, error: &io::Error) {
        tracing::error!(%id, %error, "a request's records cannot be read; its segments are kept");
        let Some(mut open) = self.open.remove(&id) else { return };
        drop(self.release(&mut open));
        for number in open.pins {
            if let Some(tail) = self.tails.get_mut(&number) {
                tail.pins -= 1;
                tail.keep = true;
            }
        }
    }

    /// Reads a beginning while it is in memory anyway. One that cannot be read is noticed when its end comes.
    fn keep(&mut self, id: Uuid, begin: (SegmentNo, Place)) -> Option<Transcript> {
        if self.kept_bytes + begin.1.len > MAX_KEPT_BYTES {
            return None;
        }
        let transcript = self.transcript(id, begin).ok()?;
        self.kept_bytes += begin.1.len;
        Some(transcript)
    }

    fn release(&mut self, open: &mut Open) -> Option<Transcript> {
        let transcript = open.transcript.take()?;
        self.kept_bytes -= open.begin.1.len;
        Some(transcript)
    }

    fn transcript(&mut self, id: Uuid, (number, place): (SegmentNo, Place)) -> io::Result<Transcript> {
        let record = self.reread(number, place)?;
        let begin = record.begin().ok_or(io::ErrorKind::InvalidData)?;
        Ok(Transcript::new(id, begin, record.body))
    }

    fn reread(&mut self, number: SegmentNo, place: Place) -> io::Result<Record<'_>> {
        let tail = self.tails.get(&number).ok_or(io::ErrorKind::NotFound)?;
        tail.reread(&self.buffer, &mut self.spare, place)
    }
}

fn discard(tail: &Tail, pool: &Pool) {
    let path = &tail.segment.file.path;
    let result = if tail.keep {
        recovery::set_aside(path)
    } else if tail.segment.left_behind {
        std::fs::remove_file(path)
    } else {
        pool.put(tail.segment.file.clone()).or_else(|file| std::fs::remove_file(file.path))
    };
    if let Err(error) = result {
        tracing::warn!(%error, path = %path.display(), "a loaded segment cannot be removed; loading it again changes nothing");
    }
}
