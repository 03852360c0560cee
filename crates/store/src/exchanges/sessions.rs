//! Which row of `sessions` an exchange belongs to.
//!
//! The router's sessions are groups of the log, not chats: they are forgotten a fixed time after their newest request.
//! Sessions of qwen-proxy are never changed here, even if a client names one of them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::{Begun, SessionRef};
use crate::Error;
use crate::row::{Columns, FromRow};
use crate::rows::Rows;
use crate::statement::without_nul;
use crate::transaction::Transaction;

/// How long after its newest request a session is forgotten: 30 days.
const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// The newest session of each opening.
pub(crate) const NEWEST: (&str, usize, &str) = (
    "WITH wanted (hash) AS (VALUES ",
    1,
    ") SELECT wanted.hash, sessions.id, sessions.created_at
     FROM wanted JOIN sessions ON sessions.id =
         (SELECT id FROM sessions WHERE conversation_hash = wanted.hash AND source = 'router'
          ORDER BY created_at DESC, id DESC LIMIT 1)",
);

pub(crate) const LOOK: (&str, usize, &str) = (
    "SELECT id, created_at, conversation_hash IS NULL AND source = 'router' AS unopened
     FROM sessions WHERE id IN (VALUES ",
    1,
    ")",
);

/// The beginning is that of the earliest request, in whatever order they are recorded.
const COUNT: (&str, usize, &str) = (
    "INSERT INTO sessions (id, chat_id, first_user_message, message_count, created_at, last_accessed, expires_at,
         conversation_hash) VALUES ",
    8,
    " ON CONFLICT (id) DO UPDATE SET message_count = sessions.message_count + excluded.message_count,
         first_user_message = CASE WHEN excluded.created_at < sessions.created_at
             THEN excluded.first_user_message ELSE sessions.first_user_message END,
         created_at = CASE WHEN excluded.created_at < sessions.created_at
             THEN excluded.created_at ELSE sessions.created_at END,
         last_accessed = CASE WHEN excluded.last_accessed > sessions.last_accessed
             THEN excluded.last_accessed ELSE sessions.last_accessed END,
         expires_at = CASE WHEN excluded.expires_at > sessions.expires_at
             THEN excluded.expires_at ELSE sessions.expires_at END,
         conversation_hash = COALESCE(sessions.conversation_hash, excluded.conversation_hash)
     WHERE sessions.source = 'router'",
);

pub(crate) const OPEN: (&str, usize, &str) = (
    "WITH opened (id, hash) AS (VALUES ",
    2,
    ") UPDATE sessions SET conversation_hash = opened.hash FROM opened
     WHERE sessions.id = opened.id AND sessions.conversation_hash IS NULL AND sessions.source = 'router'",
);

/// The conversations of a batch.
#[derive(Debug, Default)]
pub(super) struct Sessions<'a> {
    /// What the new requests change.
    counts: BTreeMap<Cow<'a, str>, Count<'a>>,
    /// Sessions that get an opening, but no new request.
    openings: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    /// The newest session of each opening that somebody may continue: when it began, and its id.
    newest: HashMap<Cow<'a, str>, (i64, Cow<'a, str>)>,
    /// When a session began, and whether it has no opening yet. Those that are not here are new.
    states: HashMap<Cow<'a, str>, (i64, bool)>,
}

/// The new requests of one session.
#[derive(Debug)]
struct Count<'a> {
    first_user_message: &'a str,
    messages: i64,
    created_at: i64,
    last_accessed: i64,
    opening: Option<Cow<'a, str>>,
}

struct Newest {
    hash: String,
    id: String,
    created_at: i64,
}

struct State {
    id: String,
    created_at: i64,
    unopened: bool,
}

/// When a session is forgotten whose newest request arrived at that time.
pub(crate) const fn expiry(last_accessed: i64) -> i64 {
    last_accessed.saturating_add(KEPT_MS)
}

// === impl Sessions ===

impl<'a> Sessions<'a> {
    /// Looks up the openings that new requests continue, and the sessions that may get an opening.
    pub(super) async fn load(
        tx: &mut Transaction,
        hashes: impl Iterator<Item = Cow<'a, str>>,
        ids: impl Iterator<Item = Cow<'a, str>>,
    ) -> Result<Self, Error> {
        let mut rows = Rows::new(NEWEST.0, NEWEST.1, NEWEST.2);
        hashes.for_each(|hash| rows.push([hash.into()]));
        let newest: Vec<Newest> = rows.all(tx).await?;
        let mut rows = Rows::new(LOOK.0, LOOK.1, LOOK.2);
        ids.for_each(|id| rows.push([id.into()]));
        let states: Vec<State> = rows.all(tx).await?;
        Ok(Self {
            newest: newest.into_iter().map(|row| (row.hash.into(), (row.created_at, row.id.into()))).collect(),
            states: states.into_iter().map(|row| (row.id.into(), (row.created_at, row.unopened))).collect(),
            ..Self::default()
        })
    }

    /// Counts a new request in its session; answers the session's id.
    pub(super) fn join(&mut self, uuid: &Cow<'a, str>, begun: &'a Begun) -> Cow<'a, str> {
        let id = match &begun.session {
            SessionRef::Named(id) => without_nul(id),
            SessionRef::Opens => uuid.clone(),
            SessionRef::Continues(hash) => {
                let hash = without_nul(hash);
                if let Some((created_at, id)) = self.newest.get(&hash) {
                    let id = id.clone();
                    // A request that was delayed does not move the beginning back.
                    self.counts.entry(id.clone()).or_insert_with(|| Count::new(begun, *created_at)).count(begun);
                    return id;
                }
                self.count(uuid, begun).opening = Some(hash.clone());
                self.states.insert(uuid.clone(), (begun.received_at, false));
                self.newest.insert(hash, (begun.received_at, uuid.clone()));
                return uuid.clone();
            }
        };
        self.count(&id, begun);
        id
    }

    /// Remembers by what opening later requests find the session; the first one counts.
    pub(super) fn open(&mut self, id: Cow<'a, str>, hash: &'a str, received_at: i64) {
        let (created_at, unopened) = self.states.entry(id.clone()).or_insert((received_at, true));
        if !std::mem::take(unopened) {
            return;
        }
        let hash = without_nul(hash);
        match self.counts.get_mut(&id) {
            Some(count) => count.opening = Some(hash.clone()),
            None => drop(self.openings.insert(id.clone(), hash.clone())),
        }
        let this = (*created_at, id);
        let newest = self.newest.entry(hash).or_insert_with(|| this.clone());
        if *newest < this {
            *newest = this;
        }
    }

    /// Writes the sessions.
    pub(super) async fn write(self, tx: &mut Transaction) -> Result<(), Error> {
        let mut rows = Rows::new(COUNT.0, COUNT.1, COUNT.2);
        for (id, count) in self.counts {
            rows.push([
                id.clone().into(),
                id.into(),
                count.first_user_message.into(),
                count.messages.into(),
                count.created_at.into(),
                count.last_accessed.into(),
                expiry(count.last_accessed).into(),
                count.opening.into(),
            ]);
        }
        rows.execute(tx).await?;
        let mut rows = Rows::new(OPEN.0, OPEN.1, OPEN.2);
        for (id, hash) in self.openings {
            rows.push([id.into(), hash.into()]);
        }
        rows.execute(tx).await.map(drop)
    }

    fn count(&mut self, id: &Cow<'a, str>, begun: &'a Begun) -> &mut Count<'a> {
        let count = self.counts.entry(id.clone()).or_insert_with(|| Count::new(begun, begun.received_at));
        if begun.received_at < count.created_at {
            count.created_at = begun.received_at;
            count.first_user_message = &begun.first_user_message;
        }
        count.count(begun);
        count
    }
}

// === impl Count ===

impl<'a> Count<'a> {
    fn new(begun: &'a Begun, created_at: i64) -> Self {
        Self {
            first_user_message: &begun.first_user_message,
            messages: 0,
            created_at,
            last_accessed: begun.received_at,
            opening: None,
        }
    }

    fn count(&mut self, begun: &Begun) {
        self.messages += 1;
        self.last_accessed = self.last_accessed.max(begun.received_at);
    }
}

// === impl Newest, State ===

impl FromRow for Newest {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { hash: row.text("hash")?, id: row.text("id")?, created_at: row.int("created_at")? })
    }
}

impl FromRow for State {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { id: row.text("id")?, created_at: row.int("created_at")?, unopened: row.flag("unopened")? })
    }
}
