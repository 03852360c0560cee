//! Finding the end-of-stream event without understanding anything else.

use memchr::memchr2;

const FIELD: &[u8] = b"data:";
const VALUE: &[u8] = b"[DONE]";

/// Looks for a line `data: [DONE]` in a stream, chunk by chunk.
#[derive(Debug)]
pub struct DoneScanner {
    /// Whether the next byte begins a line.
    line_start: bool,
    /// How long the current line is already, in bytes.
    line_len: usize,
}

/// What a chunk means for the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// The whole chunk may go.
    Pass,
    /// From this offset on the chunk may turn out to be the end event: keep it, and put it before the next chunk.
    Hold(usize),
    /// The end event begins at this offset.
    Done(usize),
}

impl Default for DoneScanner {
    fn default() -> Self {
        Self { line_start: true, line_len: 0 }
    }
}

impl DoneScanner {
    /// Looks at the next chunk. After [`Scan::Hold`] the next chunk has to begin with the bytes that were held.
    pub fn scan(&mut self, chunk: &[u8]) -> Scan {
        let mut pos = 0;
        while pos < chunk.len() {
            if self.line_start {
                match is_done(&chunk[pos..]) {
                    Some(true) => return Scan::Done(pos),
                    None => return Scan::Hold(pos),
                    Some(false) => self.line_start = false,
                }
            }
            match memchr2(b'\n', b'\r', &chunk[pos..]) {
                Some(at) => {
                    pos += at + 1;
                    self.line_start = true;
                    self.line_len = 0;
                }
                None => {
                    self.line_len += chunk.len() - pos;
                    break;
                }
            }
        }
        Scan::Pass
    }

    /// The length of the unfinished line in bytes, so that an endless line can be refused.
    #[must_use]
    pub const fn line_len(&self) -> usize {
        self.line_len
    }
}

/// Whether `line`, the rest of a chunk, begins with the end event; `None` when only more bytes can tell.
fn is_done(line: &[u8]) -> Option<bool> {
    let Some(value) = line.strip_prefix(FIELD) else {
        return if FIELD.starts_with(line) { None } else { Some(false) };
    };
    let value = value.strip_prefix(b" ").unwrap_or(value);
    if value.len() < VALUE.len() {
        return if VALUE.starts_with(value) { None } else { Some(false) };
    }
    Some(value.starts_with(VALUE))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Relays `pieces` as the relay does: what went out before the end event, and the end event with what follows it.
    fn relay(pieces: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
        let (mut scanner, mut held) = (DoneScanner::default(), Vec::new());
        let (mut out, mut done) = (Vec::new(), None::<Vec<u8>>);
        for piece in pieces {
            if let Some(done) = &mut done {
                done.extend_from_slice(piece);
                continue;
            }
            let chunk = [std::mem::take(&mut held).as_slice(), piece].concat();
            match scanner.scan(&chunk) {
                Scan::Pass => out.extend_from_slice(&chunk),
                Scan::Hold(at) => {
                    out.extend_from_slice(&chunk[..at]);
                    held = chunk[at..].to_vec();
                }
                Scan::Done(at) => {
                    out.extend_from_slice(&chunk[..at]);
                    done = Some(chunk[at..].to_vec());
                }
            }
        }
        out.extend(held);
        (out, done.unwrap_or_default())
    }

    #[test]
    fn finds_the_end_event_only_at_the_start_of_a_line() {
        let (out, done) = relay(&[b"data: {\"text\":\"data: [DONE]\"}\n\ndata: [DONE]\n\n"]);
        assert_eq!(out, b"data: {\"text\":\"data: [DONE]\"}\n\n");
        assert_eq!(done, b"data: [DONE]\n\n");
    }

    #[test]
    fn delays_nothing_else() {
        let mut scanner = DoneScanner::default();
        assert_eq!(scanner.scan(b"data: {\"a\":1}\n\n"), Scan::Pass);
        assert_eq!(scanner.scan(b"data: {\"a\":"), Scan::Pass);
        assert_eq!(scanner.scan(b"2}\n\nda"), Scan::Hold(4));
    }

    #[test]
    fn counts_the_bytes_of_an_endless_line() {
        let mut scanner = DoneScanner::default();
        scanner.scan(b"data: 1\ndata: 23");
        scanner.scan(b"456");
        assert_eq!(scanner.line_len(), 11);
    }

    proptest! {
        #[test]
        fn every_cut_finds_the_same_end(
            lines in proptest::collection::vec(prop_oneof![
                Just("data: [DONE]\n\n"), Just("data: {}\n\n"), Just("data:[DONE]\r\n\r\n"), Just("da\n"), Just("data: [DO\n"), Just("\n"),
            ], 0..8),
            size in 1_usize..7,
        ) {
            let stream = lines.concat().into_bytes();
            let pieces: Vec<&[u8]> = stream.chunks(size).collect();
            prop_assert_eq!(relay(&pieces), relay(&[&stream]));
        }
    }
}
