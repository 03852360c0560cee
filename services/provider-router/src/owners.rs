//! The targets that made answers of Responses, which later requests continue.
//!
//! A provider that speaks Responses keeps its answers under ids of its own, and no other provider knows them. The newest
//! answers are known here, as they need not be in the request log yet; all others are looked up there.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
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
/// Maximum number of encrypted items.
const MAX_SEALED: usize = 65_536;
/// Maximum bytes of the last event of a stream, the same as of a whole answer.
const MAX_ANSWER: usize = 64 << 20;

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

/// The targets of the newest answers, and the accounts that made the newest encrypted items.
#[derive(Debug, Default)]
pub struct Owners {
    known: Mutex<Known>,
    makers: Mutex<Makers>,
}

/// The accounts that made encrypted items, by the hash of the content.
#[derive(Debug, Default)]
struct Makers {
    by_content: HashMap<u64, u64>,
    /// The hashes, oldest first.
    order: VecDeque<u64>,
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

/// Returns a hash of the content of an encrypted item.
#[must_use]
pub fn hash_of(content: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
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

impl Owners {
    /// Records that an account made the encrypted items of an answer: a whole one, or the last event of a stream.
    pub fn note_sealed(&self, answer: &[u8], account: u64) {
        if memchr::memmem::find(answer, b"\"encrypted_content\"").is_none() {
            return;
        }
        let contents = sealed_in(answer);
        let mut makers = self.makers.lock().unwrap_or_else(PoisonError::into_inner);
        for content in contents {
            if makers.by_content.insert(content, account).is_none() {
                makers.order.push_back(content);
            }
            if makers.order.len() > MAX_SEALED
                && let Some(oldest) = makers.order.pop_front()
            {
                makers.by_content.remove(&oldest);
            }
        }
    }

    /// Returns the account that made an encrypted item, by the hash of its content.
    #[must_use]
    pub fn maker_of(&self, content: u64) -> Option<u64> {
        self.makers.lock().unwrap_or_else(PoisonError::into_inner).by_content.get(&content).copied()
    }
}

/// Returns the hashes of the encrypted contents in an answer of Responses, or in an event that has it.
fn sealed_in(answer: &[u8]) -> Vec<u64> {
    let mut splitter = Splitter::new(MAX_ANSWER);
    let is_event = !answer.trim_ascii_start().starts_with(b"{");
    if is_event {
        splitter.push(Bytes::copy_from_slice(answer));
    }
    let data = if is_event { splitter.finish().and_then(|frame| Some(frame.data()?.into_owned())) } else { None };
    let mut found = Vec::new();
    let _ = Reader::lenient(data.as_deref().unwrap_or(answer)).fields(|name, value| match &*name {
        "response" => {
            value.fields(|name, value| if name == "output" { contents(value, &mut found) } else { value.skip() })
        }
        "output" => contents(value, &mut found),
        _ => value.skip(),
    });
    found
}

/// Reads the encrypted contents of a list of items.
fn contents(items: &mut Reader<'_>, found: &mut Vec<u64>) -> Option<()> {
    if items.peek()? != b'[' {
        return items.skip();
    }
    items.array(|item| {
        if item.peek()? != b'{' {
            return item.skip();
        }
        item.fields(|name, value| {
            let raw = value.raw()?;
            if name == "encrypted_content" {
                found.extend(Reader::lenient(raw).string().filter(|text| !text.is_empty()).map(|text| hash_of(&text)));
            }
            Some(())
        })
    })
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
    fn the_makers_of_encrypted_items_are_known() {
        let owners = Owners::default();
        let item = |text: &str| format!(r#"{{"type":"reasoning","encrypted_content":"{text}"}}"#);
        owners.note_sealed(format!(r#"{{"id":"r","output":[{},{}]}}"#, item("a"), item("b")).as_bytes(), 1);
        let event = format!(
            "event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{{\"output\":[{}]}}}}\n\n",
            item("c")
        );
        owners.note_sealed(event.as_bytes(), 2);
        for odd in [
            r#"{"output":{"encrypted_content":"d"}}"#,
            r#""encrypted_content""#,
            "{",
            "data: \"encrypted_content\"\n\n",
        ] {
            owners.note_sealed(odd.as_bytes(), 3);
        }
        let made = |text| owners.maker_of(hash_of(text));
        assert_eq!(["a", "b", "c", "d", ""].map(made), [Some(1), Some(1), Some(2), None, None]);
        for n in 0..MAX_SEALED {
            owners.note_sealed(format!(r#"{{"output":[{}]}}"#, item(&n.to_string())).as_bytes(), 4);
        }
        assert_eq!((made("a"), owners.makers.lock().unwrap().by_content.len()), (None, MAX_SEALED));
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
