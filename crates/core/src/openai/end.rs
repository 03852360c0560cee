//! Recognises the end of a stream while its bytes are relayed.
//!
//! # Theory
//! Nearly every event of a stream is a chunk with `"finish_reason":null` and without an error, and differs from the one
//! before only in its text. Such an event costs two comparisons; one of another shape costs a search for those names;
//! the few others are parsed exactly as the log parses them. An event that lies within one piece is inspected in place.
//! An event split over several pieces is buffered, up to [`MAX_BUFFERED_EVENT`]; a longer one is parsed token by token.
//!
//! # Invariants
//! No byte is held back unless it may belong to `data: [DONE]`. The result does not depend on how the bytes are cut
//! into pieces.

mod findings;
mod scan;
mod usual;

use findings::{Findings, has_other_lines, is_done, is_ordinary, names_error};
use memchr::memchr2;
pub use scan::{Ending, Failed, Scan};
use usual::Shape;

use super::Usage;
use super::event::{ChunkView, StreamEvent, failing_reason, is_failure, joined_events, read_event};
use super::long_event::LongEvent;
use super::provider_error::{ProviderError, error_field, of_field};
use crate::sse;

const DATA_FIELD: &[u8] = b"data:";

/// Maximum bytes of an unfinished event that are buffered to be parsed as a whole.
const MAX_BUFFERED_EVENT: usize = 1 << 20;

/// Maximum capacity in bytes of a buffer that is reused for the next event.
const MAX_REUSED_CAPACITY: usize = 4 << 10;

/// Maximum number of answers that are tracked, the same as OpenAI's maximum of `n`.
const CHOICES: usize = 128;

/// Scans a stream piece by piece and recognises its end.
#[derive(Debug, Default)]
pub struct EndScanner {
    /// Whether the current line has begun.
    in_line: bool,
    /// Whether the last byte was CR, so that a following LF belongs to it.
    after_cr: bool,
    /// The bytes of the unfinished event, up to [`MAX_BUFFERED_EVENT`].
    buffered: Vec<u8>,
    /// The token parser of an event longer than [`MAX_BUFFERED_EVENT`].
    long: Option<Box<LongEvent>>,
    /// Length of the unfinished event in bytes.
    event_len: usize,
    /// Length of its unfinished line in bytes.
    line_len: usize,
    /// Whether every chunk is parsed, because several answers have to finish.
    is_thorough: bool,
    /// Number of answers that were requested; 0 if it does not matter, or the stream has told its end in another way.
    asked: usize,
    /// The answers that were seen to begin or to finish, and whether they have finished.
    choices: Vec<(u32, bool)>,
    /// The newest usual chunk.
    shape: Shape,
    /// Findings in the buffered bytes of the unfinished event.
    findings: Findings,
    /// Whether the long event may quote a secret.
    is_long_quoting: bool,
    /// See [`EndScanner::take_quotations`].
    quotations: Vec<Quotation>,
    ending: Ending,
}

/// An event that may quote a secret of the provider: it is no chunk, or reports an error in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotation {
    /// Offset of its end in the piece that was scanned.
    pub end: usize,
    /// Maximum length in bytes; it may have begun in an earlier piece.
    pub len: usize,
}

// === impl EndScanner ===

impl EndScanner {
    /// Creates a scanner of a stream with `n` answers.
    #[must_use]
    pub fn new(n: u32) -> Self {
        let is_thorough = n > 1;
        let asked = if is_thorough { usize::try_from(n).unwrap_or(CHOICES).min(CHOICES) } else { 0 };
        Self { is_thorough, asked, ..Self::default() }
    }

    /// Parses every chunk, so that answers beyond the requested number count from their first event on.
    #[must_use]
    pub fn thorough(self) -> Self {
        Self { is_thorough: true, ..self }
    }

    /// Scans the next piece. After [`Scan::Hold`], the next piece must begin with the held bytes.
    pub fn scan(&mut self, piece: &[u8]) -> Scan {
        self.quotations.clear();
        let mut pos = 0;
        while let Some(&byte) = piece.get(pos) {
            if !self.in_line {
                if self.after_cr && byte == b'\n' {
                    self.after_cr = false;
                    pos += 1;
                    // Within an event, the LF counts as part of it.
                    self.event_len += usize::from(self.event_len > 0);
                    continue;
                }
                match is_done(&piece[pos..]) {
                    Some(true) => return Scan::Done(pos),
                    None => return Scan::Hold(pos),
                    Some(false) => {}
                }
                if matches!(byte, b'\n' | b'\r') {
                    pos += 1;
                    self.after_cr = byte == b'\r';
                    if let Some(failed) = self.event_ended(pos) {
                        return failed;
                    }
                    continue;
                }
            }
            let end = memchr2(b'\n', b'\r', &piece[pos..]).map(|at| pos + at);
            // Nearly every event is one line within one piece.
            if let Some(end) = end
                && self.event_len == 0
                && piece.get(end..end + 2) == Some(b"\n\n")
                && let Some(data) = piece[pos..end].strip_prefix(DATA_FIELD)
            {
                self.after_cr = false;
                let event = Quotation { end: end + 2, len: end + 2 - pos };
                pos = event.end;
                if let Some(failed) = self.classify_data(data, event) {
                    return failed;
                }
                continue;
            }
            let next = end.map_or(piece.len(), |end| end + 1);
            self.buffer(&piece[pos..next]);
            self.in_line = end.is_none();
            self.line_len = if self.in_line { self.line_len + next - pos } else { 0 };
            self.after_cr = next > 0 && piece[next - 1] == b'\r';
            pos = next;
            // A comment before the fields of an event does not belong to it, and shows that the provider is alive.
            if !self.in_line && self.long.is_none() && self.buffered.first() == Some(&b':') {
                self.quotations.push(Quotation { end: pos, len: self.event_len });
                self.buffered.clear();
                self.event_len = 0;
            }
        }
        Scan::Pass
    }

    /// Handles the end of the stream, with the bytes that were held. Returns the error if the last event, which lacks
    /// its blank line, is an error event.
    pub fn end(&mut self, held: &[u8]) -> Option<Box<Failed>> {
        if !held.is_empty() {
            self.buffer(held);
        }
        match self.event_ended(0) {
            Some(Scan::Failed(failed)) => Some(failed),
            _ => None,
        }
    }

    /// Returns the information about the end so far.
    #[must_use]
    pub const fn ending(&self) -> &Ending {
        &self.ending
    }

    /// Returns whether the provider has finished all answers that were requested or that it has begun, as far as the
    /// events show it: the usual chunks are parsed only after the first finish reason, or if several answers were
    /// requested.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.ending.finish_reason.is_some()
            && self.choices.len() >= self.asked
            && self.choices.iter().all(|(_, has_finished)| *has_finished)
    }

    /// Returns the length of the unfinished line in bytes; 0 once the event is longer than 1 MiB.
    #[must_use]
    pub const fn unfinished_line(&self) -> usize {
        if self.is_long() { 0 } else { self.line_len }
    }

    /// Returns whether the unfinished event is longer than 1 MiB.
    #[must_use]
    pub const fn is_long(&self) -> bool {
        self.long.is_some()
    }

    /// Returns whether it may quote a secret of the provider, as far as its first MiB shows.
    #[must_use]
    pub const fn is_long_quoting(&self) -> bool {
        self.long.is_some() && self.is_long_quoting
    }

    /// Returns the length of the unfinished event in bytes, so that the caller can refuse an endless event.
    #[must_use]
    pub const fn event_len(&self) -> usize {
        self.event_len
    }

    /// Returns whether the unfinished event may quote a secret of the provider: it has anything but data that look like
    /// a chunk so far. Returns `false` once the event is longer than 1 MiB.
    pub fn may_quote(&mut self) -> bool {
        if self.long.is_some() || self.event_len == 0 {
            return false;
        }
        self.findings.may_be_error(&self.buffered)
            || !self.buffered.starts_with(DATA_FIELD)
            || has_other_lines(&self.buffered)
    }

    /// Returns the events that ended in the last piece and may quote a secret of the provider, in order. Text of a
    /// model is no such quotation.
    pub fn take_quotations(&mut self) -> Vec<Quotation> {
        std::mem::take(&mut self.quotations)
    }

    /// Returns the bytes of the unfinished event; empty once it is longer than 1 MiB.
    #[must_use]
    pub fn unfinished_event(&self) -> &[u8] {
        &self.buffered
    }

    /// Returns whether the last scanned line is complete.
    #[must_use]
    pub const fn is_at_line_start(&self) -> bool {
        !self.in_line
    }

    fn buffer(&mut self, bytes: &[u8]) {
        self.event_len += bytes.len();
        if let Some(long) = &mut self.long {
            long.push(bytes);
        } else if self.buffered.len() + bytes.len() <= MAX_BUFFERED_EVENT {
            self.buffered.extend_from_slice(bytes);
        } else {
            self.is_long_quoting = self.findings.may_be_error(&self.buffered) || has_other_lines(&self.buffered);
            let mut long = Box::<LongEvent>::default();
            long.push(&self.buffered);
            long.push(bytes);
            self.long = Some(long);
            self.buffered = Vec::new();
        }
    }

    /// Parses the completed event from the buffered bytes. `end` is the offset of its end, after its blank line.
    fn event_ended(&mut self, end: usize) -> Option<Scan> {
        if self.event_len == 0 {
            return None;
        }
        // With the blank line.
        let place = Quotation { end, len: self.event_len + 2 };
        self.event_len = 0;
        self.findings = Findings::default();
        if let Some(long) = self.long.take() {
            if self.is_long_quoting {
                self.quotations.push(place);
            }
            return self.long_ended(&long, place);
        }
        let event = std::mem::take(&mut self.buffered);
        let is_error = sse::fields(&event).any(|(name, value)| name == b"event" && value == b"error");
        let failed = match sse::data(&event) {
            Some(data) if is_error => self.failed(&data, place),
            Some(data) => {
                // Its other lines may say anything.
                if has_other_lines(&event) {
                    self.quotations.push(place);
                }
                self.classify_data(&data, place)
            }
            None => {
                self.quotations.push(place);
                None
            }
        };
        // The buffer is reused for the next event, unless it is large.
        if event.capacity() <= MAX_REUSED_CAPACITY {
            self.buffered = event;
            self.buffered.clear();
        }
        failed
    }

    /// Parses the data of an event.
    fn classify_data(&mut self, data: &[u8], place: Quotation) -> Option<Scan> {
        // Only few events follow the finish reason, and one of them may carry the usage.
        if self.ending.finish_reason.is_none() && !self.is_thorough {
            if self.shape.fits(data) {
                return None;
            }
            if is_ordinary(data) {
                self.shape.learn(data);
                return None;
            }
        }
        match read_event(data) {
            StreamEvent::Unknown => {
                let Some(lines) = joined_events(data) else {
                    self.quotations.push(place);
                    return None;
                };
                lines.into_iter().find_map(|line| self.classify_data(line, place))
            }
            // A `[DONE]` in an unusual notation has been relayed already.
            StreamEvent::Done => {
                self.all_finished();
                self.ending.finish_reason.get_or_insert_with(|| "stop".to_owned());
                None
            }
            StreamEvent::Chunk(chunk) => {
                if names_error(data) || chunk.finish_reason().is_some_and(|reason| is_failure(&reason)) {
                    self.quotations.push(place);
                }
                self.note(&chunk);
                None
            }
            StreamEvent::Error(error) => {
                if let Some(chunk) = ChunkView::read(data.trim_ascii())
                    && chunk.choices.iter().any(|choice| choice.error.and_then(of_field).is_some())
                    && chunk.error.and_then(of_field).is_none()
                {
                    // Only one of the answers failed, and clients do not stop for that.
                    self.quotations.push(place);
                    self.note(&chunk);
                    return None;
                }
                Some(self.failed_with(error, has_error_field(data), place))
            }
        }
    }

    /// Handles an event that is declared as an error.
    fn failed(&mut self, data: &[u8], place: Quotation) -> Option<Scan> {
        let error = match read_event(data) {
            StreamEvent::Error(error) => error,
            _ => ProviderError {
                message: String::from_utf8_lossy(data.trim_ascii()).into_owned(),
                ..ProviderError::default()
            },
        };
        Some(self.failed_with(error, has_error_field(data), place))
    }

    fn failed_with(&mut self, error: ProviderError, is_plain: bool, place: Quotation) -> Scan {
        self.ending.failure = Some(error.message.clone());
        self.quotations.push(place);
        Scan::Failed(Box::new(Failed { end: place.end, error, is_plain }))
    }

    fn note(&mut self, chunk: &ChunkView<'_>) {
        self.ending.usage = chunk.usage().or(self.ending.usage);
        if let Some(error) = chunk.reported() {
            self.ending.failure = Some(error.message);
        }
        for choice in &chunk.choices {
            let has_finished = choice.finish_reason.is_some();
            if has_finished || choice.delta.adds() {
                self.note_choice(choice.index.unwrap_or_default(), has_finished);
            }
            if let Some(reason) = choice.finish_reason {
                self.note_reason(&reason.to_str());
            }
        }
    }

    fn note_choice(&mut self, index: u32, has_finished: bool) {
        let has_room = self.choices.len() < CHOICES;
        match self.choices.iter_mut().find(|(known, _)| *known == index) {
            Some((_, known)) => *known |= has_finished,
            None if has_room => self.choices.push((index, has_finished)),
            None => {}
        }
    }

    fn all_finished(&mut self) {
        self.asked = 0;
        self.choices.iter_mut().for_each(|(_, has_finished)| *has_finished = true);
    }

    fn note_reason(&mut self, reason: &str) {
        if self.ending.failure.is_none() {
            self.ending.failure = failing_reason(reason);
        }
        self.ending.finish_reason = Some(reason.to_owned());
    }

    fn long_ended(&mut self, long: &LongEvent, place: Quotation) -> Option<Scan> {
        self.ending.usage = long.usage().and_then(Usage::read).or(self.ending.usage);
        let has_ended = long.finish_reason().is_some_and(|reason| !is_failure(reason));
        if let Some(reason) = long.finish_reason() {
            // The token parser does not read which of the answers has finished.
            self.all_finished();
            self.note_reason(reason);
        }
        if let Some(error) = long.choice_error().and_then(of_field) {
            self.ending.failure = Some(error.message);
        }
        let error = long.error().and_then(of_field)?;
        if has_ended {
            self.ending.failure = Some(error.message);
            return None;
        }
        Some(self.failed_with(error, true, place))
    }
}

/// Returns whether clients recognise an error in these data: they check whether the field `error` is truthy.
fn has_error_field(data: &[u8]) -> bool {
    error_field(data).is_some_and(|error| !matches!(error, b"null" | b"false" | b"0" | b"\"\""))
}

#[cfg(test)]
mod tests;
