//! Event streams, whole and in pieces: the same bytes yield the same events however they are split.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use signalbox_core::openai::{EndScanner, read_event};
use signalbox_core::sse::Splitter;

/// Returns all events of the bytes, fed in pieces of this length, and the rest at the end; `None` if an event is too
/// long.
fn events(bytes: &[u8], piece: usize) -> Option<Vec<Option<Vec<u8>>>> {
    let (mut splitter, mut events) = (Splitter::new(1 << 16), Vec::new());
    for piece in bytes.chunks(piece) {
        splitter.push(Bytes::copy_from_slice(piece));
        loop {
            match splitter.next_frame() {
                Ok(Some(frame)) => events.push(frame.data().map(|data| data.to_vec())),
                Ok(None) => break,
                Err(_) => return None,
            }
        }
    }
    while let Some(frame) = splitter.finish() {
        events.push(frame.data().map(|data| data.to_vec()));
    }
    Some(events)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((piece, bytes)) = bytes.split_first() else { return };
    let piece = usize::from(*piece).max(1);
    // Small pieces detect an overlong event earlier than large ones, so compare only if neither fails.
    if let (Some(pieces), Some(whole)) = (events(bytes, piece), events(bytes, bytes.len().max(1))) {
        assert_eq!(pieces, whole);
    }
    let _ = read_event(bytes);
    let mut scanner = EndScanner::default();
    for piece in bytes.chunks(piece) {
        scanner.scan(piece);
    }
    scanner.end(&[]);
});
