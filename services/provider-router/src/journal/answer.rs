//! Folds the answer of any API for the log.

use bytes::Bytes;
use signalbox_core::{
    Api,
    json::Reader,
    openai::{self, FoldedAnswer, Usage},
    typed,
};

/// Folds the bytes of an answer of `api`; `None` if a whole answer cannot be read.
pub(crate) fn fold(api: Api, raw: &Bytes, streamed: bool) -> Option<FoldedAnswer> {
    match (api, streamed) {
        (Api::Chat, true) => Some(openai::fold_stream(raw)),
        (Api::Chat, false) => openai::fold_completion(raw).or_else(|| fold_other(raw)),
        (api, true) => Some(typed::fold_stream(api, raw)),
        (api, false) => typed::fold_answer(api, raw),
    }
}

/// Folds a whole answer of an API that is not translated: it stays as it is. Only its usage is read, because an answer
/// may have megabytes of numbers.
fn fold_other(raw: &Bytes) -> Option<FoldedAnswer> {
    let mut usage = None;
    Reader::lenient(raw).fields(|name, value| {
        let json = value.raw()?;
        if name == "usage" {
            usage = Usage::read(json);
        }
        Some(())
    })?;
    let json = simdutf8::basic::from_utf8(raw).ok()?.to_owned();
    Some(FoldedAnswer { json: Some(json), usage, ..FoldedAnswer::default() })
}
