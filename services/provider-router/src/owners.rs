//! The targets that made answers of Responses, which later requests continue.
//!
//! A provider that speaks Responses keeps its answers under ids of its own, and no other provider knows them. The newest
//! answers are known here, as they need not be in the request log yet; all others are looked up there.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use signalbox_core::{json::Reader, sse::Splitter};
use signalbox_daemon::{Caller, CallerKind};

use crate::provider::Provider;

/// Maximum number of answers.
const MAX_ANSWERS: usize = 16_384;
/// Maximum bytes of an id.
const MAX_ID: usize = 256;
/// Maximum bytes of the first event of a stream.
const MAX_EVENT: usize = 16 << 20;

/// The target that made an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Id of the provider.
    pub provider: String,
    /// Name of the model at the provider, if it is known.
    pub model: Option<String>,
    /// Name of the provider's key, if it has several and the key is known.
    pub key: Option<String>,
    /// Whether the provider keeps the answer, so that no other one can continue it by its id.
    pub keeps_answer: bool,
}

/// The targets of the newest answers.
#[derive(Debug, Default)]
pub struct Owners {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_id: HashMap<Arc<str>, Made>,
    /// The ids, oldest first.
    order: VecDeque<Arc<str>>,
}

#[derive(Debug)]
struct Made {
    owner: Owner,
    /// Id of the created key that asked for it.
    key: Option<String>,
}

// === impl Owner ===

impl Owner {
    /// Returns whether this provider made the answer, with the key that it has here. If the key is not known, all are
    /// taken for keys of the same account.
    #[must_use]
    pub fn is(&self, provider: &Provider) -> bool {
        self.provider == provider.id && (self.key.is_none() || self.key.as_deref() == provider.key.as_deref())
    }
}

// === impl Owners ===

impl Owners {
    /// Records the target of an answer.
    pub fn note(&self, id: &str, owner: Owner, caller: Option<&Caller>) {
        if id.is_empty() || id.len() > MAX_ID {
            return;
        }
        let (id, made): (Arc<str>, Made) = (id.into(), Made { owner, key: issued(caller).map(str::to_owned) });
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.by_id.insert(Arc::clone(&id), made).is_none() {
            known.order.push_back(id);
        }
        if known.order.len() > MAX_ANSWERS
            && let Some(oldest) = known.order.pop_front()
        {
            known.by_id.remove(&oldest);
        }
    }

    /// Returns the target of an answer. A created key only knows the answers to its own requests.
    #[must_use]
    pub fn find(&self, id: &str, caller: Option<&Caller>) -> Option<Owner> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let made = known.by_id.get(id)?;
        let key = issued(caller);
        (key.is_none() || made.key.as_deref() == key).then(|| made.owner.clone())
    }
}

fn issued(caller: Option<&Caller>) -> Option<&str> {
    caller.filter(|caller| caller.kind() == CallerKind::Issued).map(Caller::id)
}

/// Returns the id of a whole answer of Responses.
#[must_use]
pub fn id_of_answer(body: &[u8]) -> Option<String> {
    let mut id = None;
    // Reading ends at the id.
    let _ = Reader::lenient(body).fields(|name, value| match &*name {
        "id" => {
            id = value.string();
            None
        }
        _ => value.skip(),
    });
    id.map(std::borrow::Cow::into_owned)
}

/// Returns the id of an answer whose stream begins with these pieces.
#[must_use]
pub fn id_of_stream(begun: &[Bytes]) -> Option<String> {
    let mut splitter = Splitter::new(MAX_EVENT);
    begun.iter().for_each(|piece| splitter.push(piece.clone()));
    while let Some(frame) = splitter.next_frame().ok()? {
        let Some(data) = frame.data() else { continue };
        let mut id = None;
        let _ = Reader::lenient(&data).fields(|name, value| match &*name {
            "response" => {
                id = id_of_answer(value.raw()?);
                None
            }
            _ => value.skip(),
        });
        return id;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(provider: &str) -> Owner {
        Owner { provider: provider.into(), model: None, key: None, keeps_answer: true }
    }

    #[test]
    fn the_newest_answers_are_known() {
        let owners = Owners::default();
        for n in 0..=MAX_ANSWERS {
            owners.note(&format!("resp_{n}"), owner("p"), None);
        }
        assert_eq!(owners.find("resp_0", None), None);
        assert_eq!(owners.find("resp_1", None), Some(owner("p")));
        owners.note("resp_1", owner("q"), None);
        assert_eq!(owners.find("resp_1", None), Some(owner("q")));
        owners.note(&"x".repeat(MAX_ID + 1), owner("p"), None);
        let known = owners.known.lock().unwrap();
        assert_eq!((known.by_id.len(), known.order.len()), (MAX_ANSWERS, MAX_ANSWERS));
    }

    #[test]
    fn ids_are_read_from_bodies_and_streams() {
        assert_eq!(
            id_of_answer(br#"{"object":"response","output":[{"id":"x"}],"id":"resp_1"}"#).as_deref(),
            Some("resp_1")
        );
        assert_eq!(id_of_answer(br#"{"error":{}}"#), None);
        let stream =
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_2\"}}\n\n";
        for cut in 0..stream.len() {
            let pieces = [&stream[..cut], &stream[cut..]].map(|piece| Bytes::from(piece.to_owned()));
            assert_eq!(id_of_stream(&pieces).as_deref(), Some("resp_2"), "{cut}");
            assert_eq!(id_of_stream(&pieces[..1]), None, "{cut}");
        }
        assert_eq!(id_of_stream(&[Bytes::from_static(b": ping\n\ndata: {\"type\":\"error\"}\n\n")]), None);
    }
}
