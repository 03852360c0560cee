//! Withholds unfinished lines and events, and decides about them at the end of the provider's stream.

use bytes::Bytes;
use http_body::Frame;
use signalbox_core::{
    openai::{StreamEvent, read_event},
    sse::Splitter,
};

use super::{BoxError, Broken, Phase, Relay, join};

impl Relay {
    /// Withholds the unfinished end of `bytes`, and returns the rest for the client.
    pub(super) fn withhold(&mut self, mut bytes: Bytes) -> Option<Result<Frame<Bytes>, BoxError>> {
        let unfinished = self.scanner.event_len();
        let may_quote = self.scanner.take_may_quote() && !self.exchange.masker().is_empty();
        // Nearly all pieces are whole events.
        if unfinished == 0 && self.withheld.is_empty() {
            if may_quote {
                bytes = self.masked(bytes);
            }
            self.exchange.answer(&bytes);
            return (!bytes.is_empty()).then(|| Ok(Frame::data(bytes)));
        }
        let kept = match unfinished {
            0 => 0,
            _ if !self.exchange.masker().is_empty() && self.scanner.may_be_error() => unfinished,
            _ => self.scanner.unfinished_line(),
        };
        let withheld = self.withheld.len();
        if kept >= withheld + bytes.len() {
            self.withheld.extend_from_slice(&bytes);
            return None;
        }
        let end = bytes.split_off(bytes.len().saturating_sub(kept));
        if self.scanner.is_long() && withheld > 0 {
            // The event is too long to be withheld any further. A key in the part withheld so far is masked.
            let released = self.released(bytes);
            let masked = self.masked(released);
            return self.passed(masked, None);
        }
        let begun = self.withheld.split_to(withheld.min(withheld + bytes.len() + end.len() - kept)).freeze();
        self.withheld.extend_from_slice(&end);
        match (begun.is_empty(), may_quote) {
            (true, false) => self.passed(bytes, None),
            (true, true) => self.passed(self.masked(bytes), None),
            (false, true) => self.passed(self.masked(join(&begun, &bytes)), None),
            // Two frames instead of one copy.
            (false, false) => self.passed(begun, (!bytes.is_empty()).then_some(bytes)),
        }
    }

    /// Records bytes that are passed on, and returns them; those in `after` are returned by the next poll.
    fn passed(&mut self, bytes: Bytes, after: Option<Bytes>) -> Option<Result<Frame<Bytes>, BoxError>> {
        if !bytes.is_empty() {
            self.exchange.answer(&bytes);
        }
        if let Some(after) = &after {
            self.exchange.answer(after);
        }
        self.queued = after;
        (!bytes.is_empty()).then(|| Ok(Frame::data(bytes)))
    }

    /// Masks the credentials of the provider. They are found because lines are complete here, unless they are too long.
    pub(super) fn masked(&self, bytes: Bytes) -> Bytes {
        self.exchange.masker().mask(&bytes).map_or(bytes, Bytes::from)
    }

    /// Returns the withheld bytes, followed by `bytes`.
    pub(super) fn released(&mut self, bytes: Bytes) -> Bytes {
        if self.withheld.is_empty() { bytes } else { join(&std::mem::take(&mut self.withheld), &bytes) }
    }

    /// Handles the end of the provider's stream; `why` is how it ended. Some providers never send `[DONE]`, and some
    /// connections break before it arrives; the finish reasons then show whether the response is complete. Returns
    /// `None` if only the bytes in `last` remain to be sent.
    pub(super) fn ended(&mut self, why: Broken) -> Option<Result<Frame<Bytes>, BoxError>> {
        let held = std::mem::take(&mut self.held);
        // Clients drop an event without its blank line.
        let blank_line = if held.is_empty() && self.scanner.event_len() == 0 { "" } else { "\n\n" };
        // With the lines of the event that have been passed on.
        let event = [self.scanner.unfinished_event(), &held].concat();
        let has_data = memchr::memmem::find(&event, b"data:").is_some();
        let may_quote = !self.exchange.masker().is_empty() && (!has_data || self.scanner.may_be_error());
        let failed = self.scanner.end(&held);
        let mut tail = self.released(held);
        let is_closed = matches!(why, Broken::Unfinished);
        let is_whole = tail.is_empty() || is_event(event.into());
        if let Some(failed) = failed
            && (is_whole || is_closed)
        {
            return Some(self.failed(&tail, blank_line, &failed));
        }
        if self.scanner.take_may_quote() {
            tail = self.masked(tail);
        }
        // Half an event may have half a key, which cannot be found, so it is not even kept for the log.
        if is_whole || !may_quote {
            self.exchange.answer(&tail);
        }
        if !is_whole {
            tail = Bytes::new();
        }
        let last = if tail.is_empty() { tail } else { join(&tail, blank_line.as_bytes()) };
        self.exchange.observe(self.scanner.ending());
        if !self.scanner.is_complete() {
            let failure = self.scanner.ending().failure.as_deref();
            let failure = failure.map(|failure| self.exchange.masker().mask_text(failure).into_owned());
            let why = match (why, failure) {
                (Broken::Unfinished, Some(failure)) => Broken::Failed(failure),
                (why, _) => why,
            };
            return Some(self.broken(&why, &last));
        }
        // The blank line is missing even if the event's last line has been passed on.
        self.complete(if last.is_empty() { Bytes::from_static(blank_line.as_bytes()) } else { last });
        self.phase = Phase::Over;
        None
    }
}

/// Returns whether the end of a stream is an event that clients understand, only without its blank line.
fn is_event(event: Bytes) -> bool {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(event);
    let frame = splitter.finish();
    let data = frame.as_ref().and_then(|frame| frame.data());
    data.is_some_and(|data| !matches!(read_event(&data), StreamEvent::Unknown))
}
