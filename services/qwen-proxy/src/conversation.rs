//! Conversations: finds the chat at chat.qwen.ai, and the position in it, that a request continues.
//!
//! The site stores each chat as a tree of messages; a new turn names the answer it follows. Clients send no such id,
//! but the whole history. Therefore every answer is recorded with a trace of the history up to it ([`history_hash`]),
//! and a request with the same history continues from there. Conversations with identical histories are
//! interchangeable, but each uses a free chat of its own if there is one. If no chat is found, because it expired, was
//! changed by the client or was lost at the site, the history is replayed as text in a new chat, which costs tokens but
//! is always correct.
//!
//! A chat runs one turn at a time ([`session_locks`]).

pub mod history_hash;
pub mod session_locks;

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use signalbox_core::{conversation::opening_hash, id};
use signalbox_store::{
    Store,
    qwen_turns::{self, EndedTurn},
};
use tokio::time::{Duration, timeout};

use self::{
    history_hash::HistoryHash,
    session_locks::{SessionLock, SessionLocks},
};
use crate::{
    clock,
    convert::{AnswerBuilder, ParsedRequest, Prompt},
    log_policy::LoggedTexts,
    qwen::{
        Events, Failure, Login, Qwen,
        client::checked,
        wire::{Completion, NewChat},
    },
};

/// Maximum time a turn waits for the database. Without it the history is replayed, which is also correct.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum characters of the first message in the list of sessions.
const MAX_PREVIEW_CHARS: usize = 4096;

/// Conversations at chat.qwen.ai.
#[derive(Debug)]
pub struct Conversations {
    store: Store,
    qwen: Arc<Qwen>,
    idle_timeout: Duration,
    locks: SessionLocks,
}

/// A turn whose answer is being received.
#[derive(Debug)]
pub struct Turn {
    /// Chat in which the turn runs.
    pub active_chat: ActiveChat,
    /// Events of the answer.
    pub events: Events,
    /// Request body sent to the site.
    pub sent: Bytes,
}

/// The chat in which a turn runs. No other turn runs in this chat until it is dropped.
#[derive(Debug)]
pub struct ActiveChat {
    /// Id of the session.
    pub session_id: String,
    chat_id: String,
    /// `None` for a new chat in a new session, which no other request can find yet.
    _session_lock: Option<SessionLock>,
}

// === impl Conversations ===

impl Conversations {
    /// Creates the conversations of this database, which can be continued until `idle_timeout` after their last turn.
    #[must_use]
    pub fn new(store: Store, qwen: Arc<Qwen>, idle_timeout: Duration) -> Self {
        Self { store, qwen, idle_timeout, locks: SessionLocks::default() }
    }

    /// Requests the next answer. Returns once the site has begun to answer.
    ///
    /// # Errors
    /// Returns the failure reported by the site.
    pub async fn begin(&self, parsed: &ParsedRequest, login: &Login) -> Result<Turn, Failure> {
        let Some((turn, session_lock)) = self.find(parsed).await else {
            return self.open(parsed, login, id::request_id().to_string(), None).await;
        };
        let prompt = parsed.next_prompt(turn.tools != parsed.tools.fingerprint());
        match self.ask(parsed, login, &turn.chat_id, Some(&turn.parent_id), &prompt).await {
            Ok((events, sent)) => {
                let active_chat = ActiveChat {
                    session_id: turn.session_id,
                    chat_id: turn.chat_id,
                    _session_lock: Some(session_lock),
                };
                Ok(Turn { active_chat, events, sent })
            }
            Err(Failure::ChatLost(details)) => {
                tracing::info!(
                    session = turn.session_id,
                    details,
                    "the chat no longer exists, replaying its history \
                    in a new one"
                );
                self.open(parsed, login, turn.session_id, Some(session_lock)).await
            }
            Err(failure) => Err(failure),
        }
    }

    /// Records the position from which the conversation can be continued; `kept` says which texts are stored. Database
    /// errors are only logged, because they must not withhold the answer.
    pub async fn end(
        &self,
        parsed: &ParsedRequest,
        active_chat: &ActiveChat,
        answer: &AnswerBuilder,
        kept: LoggedTexts,
    ) {
        let Some(parent_id) = answer.parent_id() else { return };
        let now = clock::unix_ms();
        let history_hash = HistoryHash::after(&parsed.messages, answer.text(), &answer.call_ids());
        let shown = if kept.requests { MAX_PREVIEW_CHARS } else { 0 };
        let first_user_message: String = parsed.first_user_text().chars().take(shown).collect();
        let opening = parsed.opening_hash();
        let ended = EndedTurn {
            session_id: &active_chat.session_id,
            chat_id: &active_chat.chat_id,
            first_user_message: &first_user_message,
            opening_hash: &opening.unwrap_or_else(|| opening_hash(parsed.first_user_text(), answer.text())),
            parent_id,
            asked: &history_hash.asked,
            answer: &history_hash.stored_answer(kept),
            instructed: &history_hash.instructed,
            tools: &parsed.tools.fingerprint(),
            ended_at: now,
            expires_at: now.saturating_add(clock::millis(self.idle_timeout)),
        };
        self.with_timeout("cannot store the turn", qwen_turns::put(&self.store, &ended)).await;
    }

    /// Finds the turn that a request continues, and locks its session.
    async fn find(&self, parsed: &ParsedRequest) -> Option<(qwen_turns::Turn, SessionLock)> {
        let history_hash = HistoryHash::of(&parsed.messages)?;
        let find = qwen_turns::find(&self.store, &history_hash.asked, clock::unix_ms());
        let turns = self.with_timeout("cannot look up the conversation", find).await?;
        let mut fitting = history_hash.choose(turns).into_iter();
        let best = fitting.next()?;
        for turn in std::iter::once(&best).chain(fitting.as_slice()) {
            if let Some(session_lock) = self.locks.try_acquire(&turn.session_id) {
                return Some((turn.clone(), session_lock));
            }
        }
        // All candidates are in use, perhaps by a repetition of this request: wait, then continue from the same
        // position.
        let session_lock = self.locks.acquire(&best.session_id).await;
        Some((best, session_lock))
    }

    /// Opens a new chat and sends the whole history.
    async fn open(
        &self,
        parsed: &ParsedRequest,
        login: &Login,
        session_id: String,
        session_lock: Option<SessionLock>,
    ) -> Result<Turn, Failure> {
        let (title, prompt) = match parsed.is_first_turn() {
            true => ("API Chat", parsed.opening_prompt()),
            false => ("API Chat (Recovered)", parsed.replay_prompt()),
        };
        // Check the size before a chat is opened. Chat ids are UUIDs, so a random one has the right length.
        checked(&Completion::new(
            &id::request_id().to_string(),
            &parsed.model,
            None,
            &prompt,
            clock::unix_ms() / 1000,
        ))?;
        let chat_id = self.qwen.new_chat(login, &NewChat::new(title, &parsed.model, clock::unix_ms())).await?;
        let (events, sent) = self.ask(parsed, login, &chat_id, None, &prompt).await?;
        Ok(Turn { active_chat: ActiveChat { session_id, chat_id, _session_lock: session_lock }, events, sent })
    }

    async fn ask(
        &self,
        parsed: &ParsedRequest,
        login: &Login,
        chat_id: &str,
        parent: Option<&str>,
        prompt: &Prompt,
    ) -> Result<(Events, Bytes), Failure> {
        let completion = Completion::new(chat_id, &parsed.model, parent, prompt, clock::unix_ms() / 1000);
        let (mut events, sent) = self.qwen.complete(login, chat_id, &completion).await?;
        // Wait for the first event, because a lost chat may be reported only here.
        events.wait().await?;
        Ok((events, sent))
    }

    async fn with_timeout<T>(
        &self,
        trouble: &str,
        work: impl Future<Output = Result<T, signalbox_store::Error>>,
    ) -> Option<T> {
        match timeout(DATABASE_TIMEOUT, work).await {
            Ok(Ok(done)) => Some(done),
            Ok(Err(error)) => {
                tracing::warn!("{trouble}: {error}");
                None
            }
            Err(_) => {
                tracing::warn!("{trouble}: the database did not respond within {DATABASE_TIMEOUT:?}");
                None
            }
        }
    }
}
