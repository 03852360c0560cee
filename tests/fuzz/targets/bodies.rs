//! Request and response bodies, as the request log parses them.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use signalbox_core::conversation::Opening;
use signalbox_core::openai::{fold_completion, fold_stream};
use signalbox_core::body_search::SearchTerm;

fuzz_target!(|bytes: &[u8]| {
    let _ = Opening::of(bytes).hash();
    let _ = fold_completion(bytes);
    let _ = fold_stream(&Bytes::copy_from_slice(bytes));
    if let Ok(text) = std::str::from_utf8(bytes) {
        let (needle, body) = text.split_at(text.floor_char_boundary(4));
        let _ = SearchTerm::new(needle).is_found_in(body);
    }
});
