//! The chats of the site, and the conversation that each answer refers to.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use uuid::Uuid;

/// All chats, by id.
#[derive(Debug, Default)]
pub(super) struct Chats(Mutex<HashMap<String, Chat>>);

/// The answers of one chat.
#[derive(Debug, Default)]
struct Chat {
    /// Answers by the id that the next turn has to name.
    answers: HashMap<String, Arc<Exchange>>,
    /// Message ids of the answers. A turn may name one as its parent, but then has no history.
    messages: HashSet<String>,
}

/// One turn: the user's text and the answer, linked to the preceding turn.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    pub(super) before: Option<Arc<Self>>,
    pub(super) system: Option<String>,
    pub(super) user: String,
    pub(super) answer: String,
}

/// The ids of a new answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    /// Id that the next turn has to name.
    pub(super) parent: String,
    pub(super) message: String,
}

/// Reasons why a turn has no predecessor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    Chat,
    Parent(String),
}

// === impl Chats ===

impl Chats {
    /// Creates an empty chat and returns its id.
    pub(super) fn open(&self) -> String {
        let id = new_id();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), Chat::default());
        id
    }

    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns the predecessor of a new turn: `None` at the beginning of a chat, and if the parent is a message id.
    pub(super) fn before(&self, chat: &str, parent: Option<&str>) -> Result<Option<Arc<Exchange>>, Lost> {
        let chats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let chat = chats.get(chat).ok_or(Lost::Chat)?;
        let Some(parent) = parent else { return Ok(None) };
        match chat.answers.get(parent) {
            Some(exchange) => Ok(Some(Arc::clone(exchange))),
            None if chat.messages.contains(parent) => Ok(None),
            None => Err(Lost::Parent(parent.to_owned())),
        }
    }

    /// Stores a turn and returns the ids of its answer.
    pub(super) fn keep(&self, chat: &str, exchange: Exchange) -> Ids {
        let ids = Ids { parent: new_id(), message: new_id() };
        // A chat that was forgotten in the meantime stays forgotten.
        if let Some(chat) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(chat) {
            chat.answers.insert(ids.parent.clone(), Arc::new(exchange));
            chat.messages.insert(ids.message.clone());
        }
        ids
    }
}

/// Returns an id that is unique across runs of the fake.
pub(super) fn new_id() -> String {
    Uuid::now_v7().to_string()
}

// === impl Exchange ===

impl Exchange {
    /// Returns the turns from the first one up to and including `last`.
    pub(super) fn chain(last: Option<&Arc<Self>>) -> Vec<&Self> {
        let mut chain: Vec<&Self> =
            std::iter::successors(last.map(AsRef::as_ref), |exchange| exchange.before.as_deref()).collect();
        chain.reverse();
        chain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(chats: &Chats, chat: &str, parent: Option<&str>, user: &str) -> Ids {
        let before = chats.before(chat, parent).unwrap();
        chats.keep(chat, Exchange { before, user: user.into(), ..Exchange::default() })
    }

    fn said(chats: &Chats, chat: &str, parent: &str) -> Vec<String> {
        let last = chats.before(chat, Some(parent)).unwrap();
        Exchange::chain(last.as_ref()).iter().map(|exchange| exchange.user.clone()).collect()
    }

    #[test]
    fn a_turn_keeps_its_parent() {
        let chats = Chats::default();
        let chat = chats.open();
        let one = say(&chats, &chat, None, "one");
        let two = say(&chats, &chat, Some(&one.parent), "two");
        let other = say(&chats, &chat, Some(&one.parent), "other");
        assert_eq!(said(&chats, &chat, &two.parent), ["one", "two"]);
        assert_eq!(said(&chats, &chat, &other.parent), ["one", "other"]);
        assert_eq!(said(&chats, &chat, &one.message), Vec::<String>::new());
    }

    #[test]
    fn missing_chats_and_parents_are_reported() {
        let chats = Chats::default();
        let (chat, other) = (chats.open(), chats.open());
        let one = say(&chats, &chat, None, "one");
        assert_eq!(chats.before(&other, Some(&one.parent)).unwrap_err(), Lost::Parent(one.parent.clone()));
        assert_eq!(chats.before("nowhere", None).unwrap_err(), Lost::Chat);
        chats.forget();
        assert_eq!(chats.before(&chat, Some(&one.parent)).unwrap_err(), Lost::Chat);
    }
}
