//! Assigns exchanges to rows of `sessions`.
//!
//! The router's sessions are groups in the log, not chats: they expire a fixed time after their newest request.
//! Sessions of qwen-proxy are never changed here, even if a client names one of them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::openings::{self, Opening, Openings};
use super::{ExchangeStart, SessionRef, Source};
use crate::Error;
use crate::row::{Columns, FromRow};
use crate::rows::Rows;
use crate::statement::without_nul;
use crate::transaction::Transaction;

/// Time from the newest request of a session to its expiry: 30 days.
const SESSION_LIFETIME_MS: i64 = 30 * 24 * 60 * 60 * 1000;

pub(crate) const FIND_SESSIONS: (&str, usize, &str) =
    ("SELECT id, created_at FROM sessions WHERE source = 'router' AND id IN (VALUES ", 1, ")");

/// A session begins with its earliest request, regardless of the order in which requests are recorded.
const COUNT: (&str, usize, &str) = (
    "INSERT INTO sessions (id, chat_id, first_user_message, message_count, created_at, last_accessed, expires_at, source)
         VALUES ",
    8,
    " ON CONFLICT (id) DO UPDATE SET message_count = sessions.message_count + excluded.message_count,
         first_user_message = CASE WHEN excluded.created_at < sessions.created_at
             THEN excluded.first_user_message ELSE sessions.first_user_message END,
         created_at = CASE WHEN excluded.created_at < sessions.created_at
             THEN excluded.created_at ELSE sessions.created_at END,
         last_accessed = CASE WHEN excluded.last_accessed > sessions.last_accessed
             THEN excluded.last_accessed ELSE sessions.last_accessed END,
         expires_at = CASE WHEN excluded.expires_at > sessions.expires_at
             THEN excluded.expires_at ELSE sessions.expires_at END
     WHERE sessions.source = 'router'",
);

/// The sessions of a batch.
#[derive(Debug, Default)]
pub(super) struct Sessions<'a> {
    /// The changes made by the new requests.
    counts: BTreeMap<Cow<'a, str>, Count<'a>>,
    /// The new openings to store.
    openings: Vec<Opening>,
    /// The newest session of each opening that a request may continue: when it began, and its id.
    newest: HashMap<Cow<'a, str>, (i64, Cow<'a, str>)>,
    /// The sessions of requests that others follow: those of the batch, and those of the log as far as they are named.
    of_requests: HashMap<Cow<'a, str>, Cow<'a, str>>,
}

/// The new requests of one session.
#[derive(Debug)]
struct Count<'a> {
    first_user_message: &'a str,
    messages: i64,
    created_at: i64,
    last_accessed: i64,
    source: Source,
}

struct SessionRow {
    id: String,
    created_at: i64,
}

/// Returns the hash under which a session is stored that continues something unknown: later requests find it, but it has
/// not got the answer that it continues.
fn unknown(hash: &str) -> String {
    format!("~{hash}")
}

/// Returns the expiry of a session whose newest request arrived at `last_accessed`.
pub(crate) const fn expiry(last_accessed: i64) -> i64 {
    last_accessed.saturating_add(SESSION_LIFETIME_MS)
}

// === impl Sessions ===

impl<'a> Sessions<'a> {
    /// Looks up the openings that new requests continue.
    pub(super) async fn load(
        tx: &mut Transaction,
        openings: &mut Openings,
        hashes: HashSet<Cow<'a, str>>,
    ) -> Result<Self, Error> {
        if hashes.is_empty() {
            return Ok(Self::default());
        }
        openings.catch_up(tx).await?;
        let mut rows = Rows::new(FIND_SESSIONS.0, FIND_SESSIONS.1, FIND_SESSIONS.2);
        let find = |hash: &str| openings.find(hash).or_else(|| openings.find(&unknown(hash)));
        hashes.iter().filter_map(|hash| find(hash)).for_each(|id| rows.push([id.into()]));
        let found: Vec<SessionRow> = rows.all(tx).await?;
        let created: HashMap<&str, i64> = found.iter().map(|row| (&*row.id, row.created_at)).collect();
        let newest = hashes.into_iter().filter_map(|hash| {
            let id = find(&hash)?;
            let created_at = *created.get(id)?;
            Some((hash, (created_at, Cow::Owned(id.to_owned()))))
        });
        Ok(Self { newest: newest.collect(), ..Self::default() })
    }

    /// Remembers the session of a logged request.
    pub(super) fn know(&mut self, uuid: &'a str, session_id: &str) {
        self.of_requests.insert(uuid.into(), session_id.to_owned().into());
    }

    /// Counts a new request in its session; returns the id of the session.
    pub(super) fn join(&mut self, uuid: &Cow<'a, str>, begun: &'a ExchangeStart) -> Cow<'a, str> {
        let id = self.find_or_open(uuid, begun);
        self.of_requests.insert(uuid.clone(), id.clone());
        id
    }

    fn find_or_open(&mut self, uuid: &Cow<'a, str>, begun: &'a ExchangeStart) -> Cow<'a, str> {
        let id = match &begun.session {
            SessionRef::Named(id) => without_nul(id),
            SessionRef::Opens => uuid.clone(),
            SessionRef::Follows(other) => self.of_requests.get(&**other).unwrap_or(uuid).clone(),
            SessionRef::Continues(hash) => {
                let hash = without_nul(hash);
                if let Some((created_at, id)) = self.newest.get(&hash) {
                    let id = id.clone();
                    // A delayed request does not change the beginning of the session.
                    self.counts.entry(id.clone()).or_insert_with(|| Count::new(begun, *created_at)).count(begun);
                    return id;
                }
                self.count(uuid, begun);
                self.open_as(uuid.clone(), unknown(&hash), hash, begun.received_at);
                return uuid.clone();
            }
        };
        self.count(&id, begun);
        id
    }

    /// Stores the opening by which later requests find a new session.
    pub(super) fn open(&mut self, id: Cow<'a, str>, hash: Cow<'a, str>, created_at: i64) {
        self.open_as(id, hash.to_string(), hash, created_at);
    }

    fn open_as(&mut self, id: Cow<'a, str>, stored: String, hash: Cow<'a, str>, created_at: i64) {
        let opening = Opening { hash: stored, session_id: id.to_string(), created_at };
        self.openings.push(opening);
        let this = (created_at, id);
        let newest = self.newest.entry(hash).or_insert_with(|| this.clone());
        if *newest < this {
            *newest = this;
        }
    }

    /// Writes the sessions.
    pub(super) async fn write(self, tx: &mut Transaction) -> Result<(), Error> {
        let mut rows = Rows::new(COUNT.0, COUNT.1, COUNT.2).with_capacity(self.counts.len());
        for (id, count) in self.counts {
            rows.push([
                id.clone().into(),
                id.into(),
                count.first_user_message.into(),
                count.messages.into(),
                count.created_at.into(),
                count.last_accessed.into(),
                expiry(count.last_accessed).into(),
                count.source.as_str().into(),
            ]);
        }
        rows.execute(tx).await?;
        openings::write(tx, self.openings).await
    }

    fn count(&mut self, id: &Cow<'a, str>, begun: &'a ExchangeStart) -> &mut Count<'a> {
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
    fn new(begun: &'a ExchangeStart, created_at: i64) -> Self {
        Self {
            first_user_message: &begun.first_user_message,
            messages: 0,
            created_at,
            last_accessed: begun.received_at,
            source: begun.source,
        }
    }

    fn count(&mut self, begun: &ExchangeStart) {
        self.messages += 1;
        self.last_accessed = self.last_accessed.max(begun.received_at);
    }
}

// === impl FromRow ===

impl FromRow for SessionRow {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { id: row.text("id")?, created_at: row.int("created_at")? })
    }
}
