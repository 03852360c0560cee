//! Folds the answer of any API for the log.

use bytes::Bytes;
use signalbox_core::{
    Api,
    openai::{self, FoldedAnswer},
    typed,
};

/// Folds the bytes of an answer of `api`; `None` if a whole answer cannot be read.
pub(super) fn fold(api: Api, raw: &Bytes, streamed: bool) -> Option<FoldedAnswer> {
    match (api, streamed) {
        (Api::Chat, true) => Some(openai::fold_stream(raw)),
        (Api::Chat, false) => openai::fold_completion(raw),
        (api, true) => Some(typed::fold_stream(api, raw)),
        (api, false) => typed::fold_answer(api, raw),
    }
}
