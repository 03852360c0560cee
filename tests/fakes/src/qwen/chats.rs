//! The chats of the site, and what each answer remembers.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use uuid::Uuid;

/// All chats there are.
#[derive(Debug, Default)]
pub(super) struct Chats(Mutex<HashMap<String, Chat>>);

/// The answers of one chat.
#[derive(Debug, Default)]
struct Chat {
    /// By the id that the next turn has to name.
    answers: HashMap<String, Arc<Exchange>>,
    /// The ids of the answers as messages: a turn may name one, but then nothing is remembered.
    messages: HashSet<String>,
}

/// One turn: what the user said, and what was answered. It hangs on the turn before it.
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
    /// What the next turn has to name.
    pub(super) parent: String,
    pub(super) message: String,
}

/// Why there is nothing to hang a turn on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    Chat,
    Parent(String),
}

// === impl Chats ===

impl Chats {
    /// A new, empty chat: its id.
    pub(super) fn open(&self) -> String {
        let id = new_id();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), Chat::default());
        id
    }

    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The turn that a new one hangs on: none at the beginning of a chat, and none if its parent is a mere message.
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

    /// Keeps a turn: the ids of its answer.
    pub(super) fn keep(&self, chat: &str, exchange: Exchange) -> Ids {
        let ids = Ids { parent: new_id(), message: new_id() };
        // A chat that was forgotten meanwhile stays forgotten.
        if let Some(chat) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(chat) {
            chat.answers.insert(ids.parent.clone(), Arc::new(exchange));
            chat.messages.insert(ids.message.clone());
        }
        ids
    }
}

/// An id that no other run of the fake gives away.
pub(super) fn new_id() -> String {
    Uuid::now_v7().to_string()
}

// === impl Exchange ===

impl Exchange {
    /// The turns from the first one up to `last`.
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
    fn a_turn_remembers_what_it_hangs_on() {
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
    fn what_does_not_exist_is_named() {
        let chats = Chats::default();
        let (chat, other) = (chats.open(), chats.open());
        let one = say(&chats, &chat, None, "one");
        assert_eq!(chats.before(&other, Some(&one.parent)).unwrap_err(), Lost::Parent(one.parent.clone()));
        assert_eq!(chats.before("nowhere", None).unwrap_err(), Lost::Chat);
        chats.forget();
        assert_eq!(chats.before(&chat, Some(&one.parent)).unwrap_err(), Lost::Chat);
    }
}
