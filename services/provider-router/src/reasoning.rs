//! Keeps what the tool calls of an answer have to get back in the next turn, for clients that cannot carry it.
//!
//! Anthropic wants its signed thinking back with the results of tools, OpenAI its encrypted reasoning, Gemini its
//! signatures. A client of another API has no place for them, so they stay here until it sends the results, for the
//! target that made them and for the same conversation only. The memory is bounded, and empty after a restart: without
//! it, a model goes on without its earlier thinking.

mod recorder;

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, PoisonError},
};

use http::HeaderMap;
use signalbox_daemon::Caller;
use signalbox_translate::{
    Losses,
    hub::{Carried, Found, Request, restore_reasoning},
};

pub use self::recorder::Recorder;
use crate::{
    health,
    provider::{Adapter, Provider},
    session,
};

/// Maximum number of answers.
const MAX_ANSWERS: usize = 16_384;
/// Maximum bytes of all answers.
const MAX_BYTES: usize = 64 << 20;
/// Maximum bytes of one answer. Longer thinking is not kept.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Milliseconds for which an answer is kept.
const TTL_MS: u64 = 6 * 3_600_000;

/// The memory of a router.
#[derive(Debug, Default)]
pub struct ReasoningMemory {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_call: HashMap<CallKey, Arc<Entry>>,
    /// The entries, oldest first.
    order: VecDeque<Arc<Entry>>,
    bytes: usize,
}

/// A client, and the id of a call.
type CallKey = (u64, Box<str>);

#[derive(Debug)]
struct Entry {
    origin: Origin,
    carried: Arc<Carried>,
    /// Time of [`crate::health::now`].
    at: u64,
}

/// Where an answer comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Hash of the client: its key and its session.
    pub scope: u64,
    /// Model that made the answer.
    pub maker: Maker,
    /// Hash of the conversation before the answer.
    pub conversation: u64,
}

/// A model, with the account at which it is asked: only these can read their own thinking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maker {
    /// Hash of the address and the credentials of the provider.
    account: u64,
    /// Name of the model at the provider.
    model: Option<String>,
}

/// Returns the hash of the key and the session of a client.
#[must_use]
pub fn scope(caller: Option<&Caller>, headers: &HeaderMap) -> u64 {
    let mut hasher = DefaultHasher::new();
    (caller.map(Caller::id), session::of_client(headers)).hash(&mut hasher);
    hasher.finish()
}

// === impl Maker ===

impl Maker {
    /// Returns the maker of answers of this model; `None` if its provider makes no thinking.
    #[must_use]
    pub fn new(provider: &Provider, model: Option<&str>) -> Option<Self> {
        match &provider.adapter {
            Adapter::Remote(remote) => Some(Self { account: remote.account, model: model.map(str::to_owned) }),
            Adapter::Echo(_) | Adapter::Misconfigured(_) => None,
        }
    }
}

// === impl ReasoningMemory ===

impl ReasoningMemory {
    /// Gives the answers in a request back what `maker` made for them. Returns what is known and cannot be given back,
    /// and the origin of the answer to the request.
    #[must_use]
    pub fn give_back(&self, request: &mut Request, scope: u64, maker: Maker) -> (Losses, Origin) {
        let mut origin = Origin { scope, maker, conversation: 0 };
        let now = health::now();
        let (losses, conversation) = restore_reasoning(request, |call, before| {
            origin.conversation = before;
            self.find(&origin, call, now)
        });
        origin.conversation = conversation;
        (losses, origin)
    }

    /// Returns what the answer with a call has to get back, if `origin` is that of the answer. `now` is the time of
    /// [`crate::health::now`].
    #[must_use]
    pub fn find(&self, origin: &Origin, call: &str, now: u64) -> Found {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.by_call.is_empty() {
            return Found::Unknown;
        }
        let Some(entry) = kept.by_call.get(&(origin.scope, call.into())) else { return Found::Unknown };
        let Entry { origin: known, carried, at } = &**entry;
        if at.saturating_add(TTL_MS) <= now {
            Found::Unknown
        } else if known.maker.account != origin.maker.account {
            Found::Foreign("organization_binding")
        } else if known.maker.model != origin.maker.model {
            Found::Foreign("model_binding")
        } else if known.conversation != origin.conversation {
            Found::Foreign("prefix_binding")
        } else {
            Found::Carried(Arc::clone(carried))
        }
    }

    /// Keeps what an answer has to get back. Forgets the oldest answers for it, and those that are too old.
    pub fn keep(&self, origin: Origin, carried: Carried, now: u64) {
        let len = carried.len();
        if carried.is_empty() || len > MAX_ANSWER_BYTES {
            return;
        }
        let entry = Arc::new(Entry { origin, carried: Arc::new(carried), at: now });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for call in &entry.carried.calls {
            kept.by_call.insert((entry.origin.scope, call.id.as_str().into()), Arc::clone(&entry));
        }
        kept.bytes += len;
        kept.order.push_back(entry);
        kept.trim(now);
    }
}

// === impl Kept ===

impl Kept {
    fn trim(&mut self, now: u64) {
        while let Some(oldest) = self.order.front() {
            let is_old = oldest.at.saturating_add(TTL_MS) <= now;
            if !is_old && self.order.len() <= MAX_ANSWERS && self.bytes <= MAX_BYTES {
                return;
            }
            let Some(oldest) = self.order.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(oldest.carried.len());
            for call in &oldest.carried.calls {
                let key = (oldest.origin.scope, call.id.as_str().into());
                // A later answer may have a call with the same id.
                if self.by_call.get(&key).is_some_and(|known| Arc::ptr_eq(known, &oldest)) {
                    self.by_call.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
