//! Withholds unfinished lines and events, and decides about them at the end of the provider's stream.

use bytes::Bytes;
use http_body::Frame;
use serde::de::IgnoredAny;
use signalbox_core::{
    openai::{Quotation, StreamEvent, read_event},
    sse::Splitter,
};

use super::{BoxError, Broken, Phase, Relay, join};

/// Bytes at the end of a part of a long event that may be the beginning of a secret, which the next part completes. No
/// spelling of a key is longer.
const MAX_SECRET: usize = 4 << 10;

impl Relay {
    /// Withholds the unfinished end of `bytes`, and returns the rest for the client.
    pub(super) fn withhold(&mut self, mut bytes: Bytes) -> Option<Result<Frame<Bytes>, BoxError>> {
        let unfinished = self.scanner.event_len();
        let mut quotations = self.quotations();
        let is_long_quoting = !self.exchange.masker().is_empty() && self.scanner.is_long_quoting();
        if is_long_quoting {
            quotations.push(Quotation { end: bytes.len(), len: unfinished });
        }
        // Nearly all pieces are whole events of text.
        if unfinished == 0 && self.withheld.is_empty() {
            bytes = self.masked(bytes, 0, &quotations);
            self.exchange.answer(&bytes);
            return (!bytes.is_empty()).then(|| Ok(Frame::data(bytes)));
        }
        let kept = match self.scanner.is_long() {
            true if is_long_quoting => MAX_SECRET,
            true => 0,
            false if !self.exchange.masker().is_empty() && self.scanner.may_quote() => unfinished,
            false => self.scanner.unfinished_line(),
        };
        let withheld = self.withheld.len();
        if quotations.is_empty() && kept >= withheld + bytes.len() {
            self.withheld.extend_from_slice(&bytes);
            return None;
        }
        if !quotations.is_empty() {
            let joined = self.released(bytes);
            let mut masked = self.masked(joined, withheld, &quotations);
            let end = masked.split_off(masked.len().saturating_sub(kept));
            self.withheld.extend_from_slice(&end);
            return self.passed(masked, None);
        }
        let end = bytes.split_off(bytes.len().saturating_sub(kept));
        let begun = self.withheld.split_to(withheld.min(withheld + bytes.len() + end.len() - kept)).freeze();
        self.withheld.extend_from_slice(&end);
        // Two frames instead of one copy.
        if begun.is_empty() {
            self.passed(bytes, None)
        } else {
            self.passed(begun, (!bytes.is_empty()).then_some(bytes))
        }
    }

    /// Takes the events of the last piece that may quote a credential of the provider.
    pub(super) fn quotations(&mut self) -> Vec<Quotation> {
        let quotations = self.scanner.take_quotations();
        if self.exchange.masker().is_empty() { Vec::new() } else { quotations }
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

    /// Masks the credentials of the provider in the events that may quote them. `bytes` are the last piece, after
    /// `withheld` bytes of earlier ones.
    pub(super) fn masked(&self, bytes: Bytes, withheld: usize, quotations: &[Quotation]) -> Bytes {
        let (mut out, mut copied) = (Vec::new(), 0);
        for quotation in quotations {
            let end = (withheld + quotation.end).min(bytes.len());
            let start = end.saturating_sub(quotation.len).max(copied);
            if let Some(masked) = bytes.get(start..end).and_then(|event| self.exchange.masker().mask(event)) {
                out.extend_from_slice(&bytes[copied..start]);
                out.extend_from_slice(&masked);
                copied = end;
            }
        }
        if out.is_empty() {
            return bytes;
        }
        out.extend_from_slice(&bytes[copied..]);
        out.into()
    }

    /// Returns the withheld bytes, followed by `bytes`.
    pub(super) fn released(&mut self, bytes: Bytes) -> Bytes {
        if self.withheld.is_empty() { bytes } else { join(&std::mem::take(&mut self.withheld), &bytes) }
    }

    /// Returns the withheld bytes, followed by `bytes`, the last piece, with the credentials of the provider masked.
    pub(super) fn released_masked(&mut self, bytes: Bytes) -> Bytes {
        let (withheld, quotations) = (self.withheld.len(), self.quotations());
        let joined = self.released(bytes);
        self.masked(joined, withheld, &quotations)
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
        let may_quote =
            !self.exchange.masker().is_empty() && (self.scanner.may_quote() || self.scanner.is_long_quoting());
        let event = Bytes::from(event);
        // Half an event may have half a key, which cannot be found.
        let is_half = may_quote && !is_json(event.clone());
        let failed = if is_half { None } else { self.scanner.end(&held) };
        let mut tail = self.released(held);
        let is_closed = matches!(why, Broken::Unfinished);
        let is_whole = tail.is_empty() || !is_half && is_event(event);
        if !self.quotations().is_empty() {
            tail = self.masked(tail.clone(), tail.len(), &[Quotation { end: 0, len: tail.len() }]);
        }
        if let Some(failed) = failed
            && (is_whole || is_closed)
        {
            return Some(self.failed(&tail, blank_line, &failed));
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

/// Returns whether the data of an event are complete.
fn is_json(event: Bytes) -> bool {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(event);
    let frame = splitter.finish();
    let data = frame.as_ref().and_then(|frame| frame.data());
    data.is_some_and(|data| serde_json::from_slice::<IgnoredAny>(&data).is_ok())
}

/// Returns whether the end of a stream is an event that clients understand, only without its blank line.
fn is_event(event: Bytes) -> bool {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(event);
    let frame = splitter.finish();
    let data = frame.as_ref().and_then(|frame| frame.data());
    data.is_some_and(|data| !matches!(read_event(&data), StreamEvent::Unknown))
}
