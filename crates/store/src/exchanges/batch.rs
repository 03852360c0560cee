//! Writes a batch of exchanges to the tables.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use signalbox_core::schema::RequestStatus;

use super::answers::Answers;
use super::key_sums::KeySums;
use super::logged_requests::{self, LoggedRequest};
use super::minute_sums::MinuteSums;
use super::openings::Openings;
use super::sessions::Sessions;
use super::usage_sums::UsageSums;
use super::{Exchange, ExchangeEnd, ExchangeStart, SessionRef, Source};
use crate::Error;
use crate::bodies::{Body, Writer, is_stored_apart};
use crate::row::{Columns, FromRow};
use crate::rows::Rows;
use crate::statement::{Statement, without_nul};
use crate::transaction::Transaction;

/// An exchange, merged from all of its parts in the batch.
#[derive(Debug)]
struct MergedExchange<'a> {
    uuid: Cow<'a, str>,
    begun: &'a ExchangeStart,
    ended: Option<&'a ExchangeEnd>,
}

/// The rows of an exchange.
#[derive(Debug)]
struct RowIds<'a> {
    id: i64,
    session_id: Cow<'a, str>,
    is_new: bool,
}

struct Id(i64);

const BEGIN: (&str, usize, &str) = (
    "INSERT INTO requests (id, request_id, session_id, timestamp, method, path, request_body, pieces, upstream_request,
         upstream_pieces, model, stream, status, provider_id, source, created_at, key_id) VALUES ",
    17,
    "",
);

pub(crate) const END: (&str, usize, &str) = (
    "WITH ended (id, status, provider_id, upstream_request, upstream_pieces) AS (VALUES ",
    5,
    ") UPDATE requests SET status = ended.status, provider_id = ended.provider_id, upstream_request = ended.upstream_request,
         upstream_pieces = ended.upstream_pieces
     FROM ended WHERE requests.id = ended.id",
);

/// Writes a batch.
pub(super) async fn write(tx: &mut Transaction, openings: &mut Openings, exchanges: &[Exchange]) -> Result<(), Error> {
    let entries = merge(exchanges);
    let bases: HashSet<&str> = entries.iter().filter_map(MergedExchange::base).collect();
    let logged_requests = {
        let uuids = entries.iter().map(|entry| &*entry.uuid).chain(bases.iter().copied());
        let uuids: HashSet<&str> = uuids.chain(entries.iter().filter_map(MergedExchange::followed)).collect();
        logged_requests::load(tx, uuids.into_iter()).await?
    };
    let entries: Vec<MergedExchange<'_>> =
        entries.into_iter().filter(|entry| entry.changes(&logged_requests)).collect();

    let mut sessions = load_sessions(tx, openings, &entries, &logged_requests).await?;
    let new = entries.iter().filter(|entry| !logged_requests.contains_key(&*entry.uuid)).count();
    let mut numbers = numbers(tx, new).await?.into_iter();
    let first_new = numbers.as_slice().first().copied().unwrap_or(i64::MAX);
    let places: Vec<RowIds<'_>> =
        entries.iter().filter_map(|entry| entry.row_ids(&logged_requests, &mut sessions, &mut numbers)).collect();
    sessions.write(tx).await?;

    let earliest = entries.iter().map(|entry| entry.begun.received_at).min().unwrap_or_default();
    let bases = bases
        .into_iter()
        .map(|uuid| (uuid, logged_requests.get(uuid).and_then(|logged_requests| logged_requests.pieces.as_deref())));
    let mut bodies = Writer::load(tx, first_new, bases, earliest).await?;
    let mut begins = Rows::new(BEGIN.0, BEGIN.1, BEGIN.2).with_capacity(new);
    let mut ends = Rows::new(END.0, END.1, END.2);
    let mut answers = Answers::with_capacity(entries.len());
    let (mut usage_sums, mut minute_sums) = (UsageSums::default(), MinuteSums::default());
    let mut key_sums = KeySums::default();
    for (entry, place) in entries.iter().zip(&places) {
        if place.is_new {
            begin(&mut begins, &mut bodies, entry, place);
            usage_sums.add(entry.begun, entry.ended);
            key_sums.begin(entry.begun);
        } else if let Some(ended) = entry.ended {
            end(&mut ends, place.id, entry.begun, ended);
            usage_sums.end(entry.begun, ended);
        }
        if let Some(ended) = entry.ended {
            key_sums.end(entry.begun, ended);
            answers.add(&mut bodies, place.id, ended);
            minute_sums.add(entry.begun, ended);
        }
    }
    begins.execute(tx).await?;
    ends.execute(tx).await?;
    answers.write(tx).await?;
    bodies.write(tx).await?;
    usage_sums.write(tx).await?;
    key_sums.write(tx).await?;
    minute_sums.write(tx).await
}

/// Merges the batch to one entry per exchange, with the first end that the batch contains.
fn merge(exchanges: &[Exchange]) -> Vec<MergedExchange<'_>> {
    let mut places: HashMap<Cow<'_, str>, usize> = HashMap::with_capacity(exchanges.len());
    let mut entries: Vec<MergedExchange<'_>> = Vec::with_capacity(exchanges.len());
    for Exchange { begun, ended } in exchanges {
        let uuid = without_nul(&begun.request_id);
        let ended = ended.as_ref().filter(|ended| ended.status != RequestStatus::Pending);
        let place = *places.entry(uuid.clone()).or_insert(entries.len());
        match entries.get_mut(place) {
            Some(entry) => entry.ended = entry.ended.or(ended),
            None => entries.push(MergedExchange { uuid, begun, ended }),
        }
    }
    entries
}

/// Loads the sessions that new requests continue.
async fn load_sessions<'a>(
    tx: &mut Transaction,
    openings: &mut Openings,
    entries: &[MergedExchange<'a>],
    logged_requests: &HashMap<String, LoggedRequest>,
) -> Result<Sessions<'a>, Error> {
    let continued = |entry: &MergedExchange<'a>| match &entry.begun.session {
        SessionRef::Continues(hash) if !logged_requests.contains_key(&*entry.uuid) => Some(without_nul(hash)),
        _ => None,
    };
    let mut sessions = Sessions::load(tx, openings, entries.iter().filter_map(continued).collect()).await?;
    for uuid in entries.iter().filter_map(MergedExchange::followed) {
        if let Some(logged) = logged_requests.get(uuid) {
            sessions.know(uuid, &logged.session_id);
        }
    }
    Ok(sessions)
}

/// Reserves ascending numbers for new requests, because their bodies are written under these numbers before the rows
/// are visible.
async fn numbers(tx: &mut Transaction, count: usize) -> Result<Vec<i64>, Error> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    if count == 0 {
        return Ok(Vec::new());
    }
    match tx {
        // No other process can write in between.
        Transaction::Sqlite(_) => {
            let last = "SELECT MAX(COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'requests'), 0),
                 COALESCE((SELECT MAX(id) FROM requests), 0)) AS id";
            let Id(last) = tx.one(Statement::new(last), "number").await?;
            Ok((last + 1..=last.saturating_add(count)).collect())
        }
        Transaction::Postgres(_) => {
            let next = "SELECT nextval(pg_get_serial_sequence('requests', 'id')) AS id FROM generate_series(1, $1)";
            let mut numbers: Vec<i64> =
                tx.all(Statement::new(next).bind(count)).await?.into_iter().map(|Id(id)| id).collect();
            numbers.sort_unstable();
            Ok(numbers)
        }
    }
}

/// Adds the row of a request. Its timestamps are those of the exchange, not of the write, so that a repetition writes
/// the same values.
fn begin<'a>(rows: &mut Rows<'a>, bodies: &mut Writer<'a>, entry: &'a MergedExchange<'a>, place: &'a RowIds<'a>) {
    let MergedExchange { uuid, begun, ended } = entry;
    let text = without_nul(&begun.request_body);
    let upstream = upstream(&text, *ended);
    let body = bodies.request((place.id, uuid), begun.received_at, text, begun.base.as_ref());
    rows.push([
        place.id.into(),
        (&**uuid).into(),
        (&*place.session_id).into(),
        begun.received_at.into(),
        (&begun.method).into(),
        (&begun.path).into(),
        body.text.into(),
        body.pieces.into(),
        upstream.text.into(),
        upstream.pieces.into(),
        (&begun.model).into(),
        begun.stream.into(),
        ended.map_or(RequestStatus::Pending, |ended| ended.status).as_str().into(),
        ended.and_then(|ended| ended.provider_id.as_deref()).into(),
        begun.source.as_str().into(),
        begun.received_at.into(),
        begun.key_id.as_deref().into(),
    ]);
}

fn end<'a>(rows: &mut Rows<'a>, id: i64, begun: &'a ExchangeStart, ended: &'a ExchangeEnd) {
    let upstream = upstream(&without_nul(&begun.request_body), Some(ended));
    rows.push([
        id.into(),
        ended.status.as_str().into(),
        ended.provider_id.as_deref().into(),
        upstream.text.into(),
        upstream.pieces.into(),
    ]);
}

fn upstream<'a>(body: &str, ended: Option<&'a ExchangeEnd>) -> Body<'a> {
    Body::upstream(body, ended.and_then(|ended| ended.upstream_request.as_deref()).map(without_nul))
}

// === impl MergedExchange ===

impl<'a> MergedExchange<'a> {
    /// Returns the request whose body this one repeats. A short body is always stored whole.
    fn base(&self) -> Option<&'a str> {
        let long = is_stored_apart(self.begun.request_body.len());
        self.begun.base.as_ref().filter(|_| long).map(|base| &*base.request_id)
    }

    /// Returns the hash by which later requests find the conversation that this one opens. Requests of qwen-proxy have
    /// none, because the router may have recorded them too.
    fn opening(&self) -> Option<&'a str> {
        let opens = self.begun.session == SessionRef::Opens && self.begun.source == Source::Router;
        self.ended.filter(|_| opens).and_then(|ended| ended.opening_hash.as_deref())
    }

    /// Returns the request whose session this one belongs to, if it names one.
    fn followed(&self) -> Option<&'a str> {
        match &self.begun.session {
            SessionRef::Follows(uuid) => Some(uuid),
            _ => None,
        }
    }

    /// Returns the hash by which later requests find the session of this answer.
    fn answer(&self) -> Option<&'a str> {
        let is_kept = self.begun.source == Source::Router;
        self.ended.filter(|_| is_kept).and_then(|ended| ended.answer_hash.as_deref())
    }

    /// Returns whether the entry contains anything that the log does not have.
    fn changes(&self, logged_requests: &HashMap<String, LoggedRequest>) -> bool {
        logged_requests.get(&*self.uuid).is_none_or(|logged_requests| logged_requests.is_open && self.ended.is_some())
    }

    fn row_ids(
        &self,
        logged_requests: &HashMap<String, LoggedRequest>,
        sessions: &mut Sessions<'a>,
        numbers: &mut impl Iterator<Item = i64>,
    ) -> Option<RowIds<'a>> {
        let place = match logged_requests.get(&*self.uuid) {
            Some(logged_requests) => RowIds {
                id: logged_requests.id,
                session_id: Cow::Owned(logged_requests.session_id.clone()),
                is_new: false,
            },
            None => RowIds { id: numbers.next()?, session_id: sessions.join(&self.uuid, self.begun), is_new: true },
        };
        for hash in self.opening().into_iter().chain(self.answer()) {
            sessions.open(place.session_id.clone(), without_nul(hash), self.begun.received_at);
        }
        Some(place)
    }
}

// === impl Id ===

impl FromRow for Id {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.int("id").map(Self)
    }
}
