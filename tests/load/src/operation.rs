//! Single parts of the router's work for a request, for counting instructions.

mod admission;
mod record;
mod stream;
mod translate;

use anyhow::Context as _;
use bytes::{Buf as _, Bytes};
use clap::ValueEnum;
use provider_router::{
    catalog::{Settings, Snapshot},
    envelope::Envelope,
    exchange::Exchange,
    health,
    journal::{Begin, Journal, JournalConfig},
    live::LiveRequests,
    metrics::Metrics,
    random::Seeds,
    route::{self, RequestFacts},
};
use signalbox_core::{
    Api,
    schema::{ConfigValue, NewProvider, RequestStatus},
    secret::Secret,
};
use signalbox_daemon::{RequestContext, config::AccessLog};
use signalbox_store::{Sealer, Store, catalog, providers};
use signalbox_upstream::AddressPolicy;
use std::{hint::black_box, sync::Arc};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::prompt::{Kind, Pool, Prompts};

/// Number of texts in a stream.
const CHUNKS: u32 = 100;

/// A part of the router's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Operation {
    /// Parses the fields of a body of 200 bytes.
    EnvelopeShort,
    /// Parses the fields of a body of 100 KB.
    EnvelopeLarge,
    /// Parses the fields of a body of Messages of 200 bytes.
    EnvelopeMessages,
    /// Looks up the providers of a model.
    Route,
    /// Recognises a key, plans a route with two targets, reserves limits and a budget, and settles them.
    Admission,
    /// Writes a request of 200 bytes and its answer of 1 KB to the journal.
    Journal,
    /// Writes a request of 100 KB and its answer of 1 KB to the journal.
    JournalLarge,
    /// Requests a stream of 100 chunks from a provider and relays it, including the journal.
    Stream,
    /// The same for a stream of Messages.
    StreamMessages,
    /// Translates a stream of 100 chunks of Chat Completions to Messages.
    TranslateToMessages,
    /// Translates a stream of Messages with 100 texts to Chat Completions.
    TranslateToChat,
    /// Writes a request of 200 bytes and its answer of 1 KB to the database.
    Record,
    /// Reads a catalogue of 100 keys and 50 routes from the database and puts it into effect.
    Reload,
}

/// A journal in its own directory, without a loader.
struct Log {
    journal: Journal,
    permits: Arc<Semaphore>,
    live: Arc<LiveRequests>,
    _dir: TempDir,
}

// === impl Operation ===

impl Operation {
    /// Returns its name on the command line.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Runs the operation `times` times.
    ///
    /// # Errors
    /// Fails if a required step fails.
    pub async fn repeat(self, times: u64) -> anyhow::Result<()> {
        match self {
            Self::EnvelopeShort => read(Api::Chat, &body(Api::Chat, Kind::Short), times),
            Self::EnvelopeLarge => read(Api::Chat, &body(Api::Chat, Kind::Fresh), times),
            Self::EnvelopeMessages => read(Api::Messages, &body(Api::Messages, Kind::Short), times),
            Self::Route => find(times).await,
            Self::Admission => admission::admit(&body(Api::Chat, Kind::Short), times).await,
            Self::Journal => write_down(&body(Api::Chat, Kind::Short), times),
            Self::JournalLarge => write_down(&body(Api::Chat, Kind::Fresh), times),
            Self::Stream => stream::relay(&Log::open()?, Api::Chat, times).await,
            Self::StreamMessages => stream::relay(&Log::open()?, Api::Messages, times).await,
            Self::TranslateToMessages => translate::translate(Api::Chat, Api::Messages, times),
            Self::TranslateToChat => translate::translate(Api::Messages, Api::Chat, times),
            Self::Record => record::record(&body(Api::Chat, Kind::Short), times).await,
            Self::Reload => admission::reload(times).await,
        }
    }
}

/// Returns the body of a request of `api`.
fn body(api: Api, kind: Kind) -> Bytes {
    let mut prompts = Prompts::new(kind, &Pool::new(), (api, 1), "mock-100x0", true, 1);
    let mut request = prompts.request();
    let request = request.copy_to_bytes(request.remaining());
    let at = memchr::memmem::find(&request, b"\r\n\r\n").map_or(0, |at| at + 4);
    request.slice(at..)
}

fn read(api: Api, body: &Bytes, times: u64) -> anyhow::Result<()> {
    for _ in 0..times {
        black_box(Envelope::parse(api, black_box(body))?);
    }
    Ok(())
}

async fn find(times: u64) -> anyhow::Result<()> {
    let store = Store::open("sqlite::memory:").await?;
    let sealer = Sealer::new(&Secret::new([0; 32]));
    for (id, priority) in [("first", 10), ("second", 5), ("third", 1)] {
        add_provider(&store, &sealer, id, priority).await?;
    }
    let rows = catalog::load(&store).await?;
    store.close().await;
    let snapshot = Snapshot::new(rows, &sealer, &AddressPolicy::default(), &Metrics::default(), None);
    let seeds = Seeds::default();
    for _ in 0..times {
        let model = black_box(Some("mock-100x0"));
        let (session, overrides, owner) = (None, None, None);
        let facts =
            RequestFacts { model, session, body: b"{}", unix_ms: 0, overrides, owner, stream: true, takes_turn: true };
        black_box(route::plan(&snapshot, &facts, None, health::now(), &mut seeds.rng())?);
    }
    Ok(())
}

async fn add_provider(store: &Store, sealer: &Sealer, id: &str, priority: i64) -> anyhow::Result<()> {
    let provider = NewProvider {
        id: id.to_owned(),
        name: id.to_owned(),
        kind: "openai".to_owned(),
        enabled: true,
        priority,
        description: None,
    };
    let value = Secret::new("\"http://127.0.0.1:1/v1\"".to_owned());
    let config = ConfigValue { key: "baseURL".to_owned(), value, is_sensitive: false };
    providers::insert(store, sealer, &provider, &[config], 0).await?;
    Ok(())
}

fn write_down(body: &Bytes, times: u64) -> anyhow::Result<()> {
    let log = Log::open()?;
    let answer = [b'x'; 1000];
    for _ in 0..times {
        let mut exchange = log.begin(Api::Chat, body)?;
        exchange.head(200, false);
        exchange.answer(&answer);
        drop(exchange.finish(RequestStatus::Completed, None));
    }
    Ok(())
}

// === impl Log ===

impl Log {
    fn open() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let defaults: toml::Table = toml::from_str(provider_router::config::DEFAULTS)?;
        let config = defaults.get("journal").context("the defaults have a journal")?.clone();
        let config: JournalConfig = config.try_into()?;
        let (journal, _loader) = Journal::open(dir.path(), "counted", 1, config)?;
        Ok(Self { journal, permits: Arc::new(Semaphore::new(1)), live: Arc::default(), _dir: dir })
    }

    /// Does the router's work after reading a request.
    fn begin(&self, api: Api, body: &Bytes) -> anyhow::Result<Exchange> {
        let begin = Begin {
            received_at: 1_700_000_000_000,
            path: format!("/v1{}", api.path()),
            model: "mock-100x0".to_owned(),
            stream: true,
            session: None,
            previous: None,
            key: None,
        };
        let kept = Settings::default().body_policy(self.journal.bodies());
        let context = RequestContext::new(AccessLog::Errors);
        let entry = self.journal.begin(context.id(), &begin, &kept.request.of_request(body))?;
        let permit = Arc::clone(&self.permits).try_acquire_owned()?;
        let live = self.live.enter(context.id(), begin, context.arrived());
        Ok(Exchange::new(entry, (context, live), api, self.journal.max_answer_bytes(), kept, permit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_operation_can_be_repeated() {
        for operation in Operation::value_variants() {
            operation.repeat(3).await.unwrap();
        }
    }
}
