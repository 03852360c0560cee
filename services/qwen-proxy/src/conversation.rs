//! Conversations: finds the chat at chat.qwen.ai, and the position in it, that a request continues.
//!
//! The site stores each chat as a tree of messages; a new turn names the answer it follows. Clients send no such id,
//! but the whole history. Therefore every answer is recorded with a trace of the history up to it ([`trace`]), and a
//! request with the same history continues from there. Conversations with identical histories are interchangeable, but
//! each uses a free chat of its own if there is one. If no chat is found, because it expired, was changed by the client
//! or was lost at the site, the history is replayed as text in a new chat, which costs tokens but is always correct.
//!
//! A chat runs one turn at a time ([`seats`]).

pub mod seats;
pub mod trace;

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use signalbox_core::{conversation::opening_hash, id};
use signalbox_store::{
    Store,
    qwen_turns::{self, EndedTurn},
};
use tokio::time::{Duration, timeout};

use self::{
    seats::{Seat, Seats},
    trace::Trace,
};
use crate::{
    clock,
    convert::{Answer, Ask, Prompt},
    keeping::Kept,
    qwen::{
        Events, Failure, Login, Qwen,
        client::checked,
        wire::{Completion, NewChat},
    },
};

/// Maximum time a turn waits for the database. Without it the history is replayed, which is also correct.
const PATIENCE: Duration = Duration::from_secs(2);

/// Maximum characters of the first message in the list of sessions.
const SHOWN: usize = 4096;

/// Conversations at chat.qwen.ai.
#[derive(Debug)]
pub struct Conversations {
    store: Store,
    qwen: Arc<Qwen>,
    idle_timeout: Duration,
    seats: Seats,
}

/// A turn whose answer is being received.
#[derive(Debug)]
pub struct Turn {
    /// Chat in which the turn runs.
    pub place: Place,
    /// Events of the answer.
    pub events: Events,
    /// Request body sent to the site.
    pub sent: Bytes,
}

/// The chat in which a turn runs. No other turn runs in this chat until it is dropped.
#[derive(Debug)]
pub struct Place {
    /// Id of the session.
    pub session_id: String,
    chat_id: String,
    /// `None` for a new chat in a new session, which no other request can find yet.
    _seat: Option<Seat>,
}

// === impl Conversations ===

impl Conversations {
    /// Creates the conversations of this database, which can be continued until `idle_timeout` after their last turn.
    #[must_use]
    pub fn new(store: Store, qwen: Arc<Qwen>, idle_timeout: Duration) -> Self {
        Self { store, qwen, idle_timeout, seats: Seats::default() }
    }

    /// Requests the next answer. Returns once the site has begun to answer.
    ///
    /// # Errors
    /// Returns the failure reported by the site.
    pub async fn begin(&self, ask: &Ask, login: &Login) -> Result<Turn, Failure> {
        let Some((turn, seat)) = self.find(ask).await else {
            return self.open(ask, login, id::request_id().to_string(), None).await;
        };
        let prompt = ask.next_prompt(turn.tools != ask.tools.fingerprint());
        match self.ask(ask, login, &turn.chat_id, Some(&turn.parent_id), &prompt).await {
            Ok((events, sent)) => {
                let place = Place { session_id: turn.session_id, chat_id: turn.chat_id, _seat: Some(seat) };
                Ok(Turn { place, events, sent })
            }
            Err(Failure::ChatLost(details)) => {
                tracing::info!(
                    session = turn.session_id,
                    details,
                    "the chat no longer exists, replaying its history \
                    in a new one"
                );
                self.open(ask, login, turn.session_id, Some(seat)).await
            }
            Err(failure) => Err(failure),
        }
    }

    /// Records the position from which the conversation can be continued. Database errors are only logged, because they
    /// must not withhold the answer.
    pub async fn end(&self, ask: &Ask, place: &Place, answer: &Answer, kept: Kept) {
        let Some(parent_id) = answer.parent_id() else { return };
        let now = clock::unix_ms();
        let trace = Trace::after(&ask.messages, answer.text(), &answer.call_ids());
        let shown = if kept.requests { SHOWN } else { 0 };
        let first_user_message: String = ask.first_user_text().chars().take(shown).collect();
        let opening = ask.opening_hash();
        let ended = EndedTurn {
            session_id: &place.session_id,
            chat_id: &place.chat_id,
            first_user_message: &first_user_message,
            opening_hash: &opening.unwrap_or_else(|| opening_hash(ask.first_user_text(), answer.text())),
            parent_id,
            asked: &trace.asked,
            answer: &trace.answer,
            instructed: &trace.instructed,
            tools: &ask.tools.fingerprint(),
            ended_at: now,
            expires_at: now.saturating_add(clock::millis(self.idle_timeout)),
        };
        self.patiently("cannot store the turn", qwen_turns::put(&self.store, &ended)).await;
    }

    /// Finds the turn that a request continues, and takes the seat in its chat.
    async fn find(&self, ask: &Ask) -> Option<(qwen_turns::Turn, Seat)> {
        let trace = Trace::of(&ask.messages)?;
        let find = qwen_turns::find(&self.store, &trace.asked, clock::unix_ms());
        let turns = self.patiently("cannot look up the conversation", find).await?;
        let mut fitting = trace.choose(turns).into_iter();
        let best = fitting.next()?;
        for turn in std::iter::once(&best).chain(fitting.as_slice()) {
            if let Some(seat) = self.seats.try_take(&turn.session_id) {
                return Some((turn.clone(), seat));
            }
        }
        // All candidates are in use, perhaps by a repetition of this request: wait, then continue from the same
        // position.
        let seat = self.seats.take(&best.session_id).await;
        Some((best, seat))
    }

    /// Opens a new chat and sends the whole history.
    async fn open(&self, ask: &Ask, login: &Login, session_id: String, seat: Option<Seat>) -> Result<Turn, Failure> {
        let (title, prompt) = match ask.is_first_turn() {
            true => ("API Chat", ask.opening_prompt()),
            false => ("API Chat (Recovered)", ask.replay_prompt()),
        };
        // Check the size before a chat is opened. Chat ids are UUIDs, so a random one has the right length.
        checked(&Completion::new(&id::request_id().to_string(), &ask.model, None, &prompt, clock::unix_ms() / 1000))?;
        let chat_id = self.qwen.new_chat(login, &NewChat::new(title, &ask.model, clock::unix_ms())).await?;
        let (events, sent) = self.ask(ask, login, &chat_id, None, &prompt).await?;
        Ok(Turn { place: Place { session_id, chat_id, _seat: seat }, events, sent })
    }

    async fn ask(
        &self,
        ask: &Ask,
        login: &Login,
        chat_id: &str,
        parent: Option<&str>,
        prompt: &Prompt,
    ) -> Result<(Events, Bytes), Failure> {
        let completion = Completion::new(chat_id, &ask.model, parent, prompt, clock::unix_ms() / 1000);
        let (mut events, sent) = self.qwen.complete(login, chat_id, &completion).await?;
        // Wait for the first event, because a lost chat may be reported only here.
        events.wait().await?;
        Ok((events, sent))
    }

    async fn patiently<T>(
        &self,
        trouble: &str,
        work: impl Future<Output = Result<T, signalbox_store::Error>>,
    ) -> Option<T> {
        match timeout(PATIENCE, work).await {
            Ok(Ok(done)) => Some(done),
            Ok(Err(error)) => {
                tracing::warn!("{trouble}: {error}");
                None
            }
            Err(_) => {
                tracing::warn!("{trouble}: the database did not respond within {PATIENCE:?}");
                None
            }
        }
    }
}
