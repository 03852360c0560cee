//! The cost of keys, routes, limits and prices per request, and of reading them from the database.

use std::{hint::black_box, sync::Arc};

use anyhow::Context as _;
use http::{Request, header::AUTHORIZATION};
use provider_router::{
    admission::{self, Asked, Target},
    catalog::Snapshot,
    health,
    journal::End,
    ledger::{Budgets, Ledger},
    metrics::Metrics,
    prices::Prices,
    random::Seeds,
    route::{self, RequestFacts},
};
use signalbox_core::{openai::Usage, schema::RequestStatus, secret::Secret};
use signalbox_daemon::ClientKeys;
use signalbox_store::{Sealer, Store, catalog};
use signalbox_upstream::AddressPolicy;
use tokio::time::{Duration, Instant};

use crate::rules::{FALLBACK, Keys, MODEL, PROVIDER};

/// Number of keys. They are found by a hash, so their number hardly matters to a request.
const KEYS: usize = 100;
/// Requests that may wait for limits, and for how long; none does.
const MAX_WAITING: usize = 1_024;
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A database with rules, and what the router makes of it.
struct Gateway {
    store: Store,
    sealer: Sealer,
    metrics: Metrics,
    prices: Prices,
    ledger: Arc<Ledger>,
    key: Secret<String>,
}

/// Recognises the key of a request, plans its route, reserves what it may use, and settles what it has used, `times`
/// times.
pub(super) async fn admit(body: &[u8], times: u64) -> anyhow::Result<()> {
    let gateway = Gateway::new().await?;
    let snapshot = gateway.read().await?;
    gateway.store.close().await;
    let (keys, issued, seeds) = (ClientKeys::of(&[]), snapshot.client_keys(), Seeds::default());
    let request = Request::builder().header(AUTHORIZATION, format!("Bearer {}", gateway.key.expose())).body(())?;
    for _ in 0..times {
        let caller = keys.admit_request(black_box(&request), &issued)?;
        let caller = caller.as_ref();
        let model = black_box(Some(MODEL));
        let (session, overrides, owner) = (None, None, None);
        let facts = RequestFacts { model, session, body, unix_ms: 0, overrides, owner, stream: true, takes_turn: true };
        let prices = gateway.prices.current();
        let plan = route::plan(&snapshot, &facts, prices.as_deref(), health::now(), &mut seeds.rng())?;
        admission::check(caller, "chat", model)?;
        admission::check_fallbacks(caller, body)?;
        let route = plan.route.as_ref().map(|route| &*route.id);
        let latest = Instant::now() + LONGEST_WAIT;
        let asked = Asked { body, model, choices: 1, is_answered: true, earlier_tokens: 0, route, latest };
        let mut targets = Vec::new();
        for candidate in &plan.candidates {
            targets.push(Target {
                provider_type: &candidate.provider.row.kind,
                provider_id: &candidate.provider.id,
                model: candidate.model.as_deref().unwrap_or_default(),
                params: plan.target(candidate).map(|target| &target.params),
            });
        }
        let admitted = admission::reserve(&gateway.ledger, &gateway.prices, caller, asked, &targets).await?;
        let plan = plan.record(health::now());
        let _ = admitted.context("the key has limits")?.settle(&end(plan), Some(Usage::new(12, 200)), 0);
    }
    Ok(())
}

/// Reads the catalogue and puts it into effect, `times` times.
pub(super) async fn reload(times: u64) -> anyhow::Result<()> {
    let gateway = Gateway::new().await?;
    for _ in 0..times {
        black_box(gateway.read().await?);
    }
    gateway.store.close().await;
    Ok(())
}

fn end(plan: signalbox_core::schema::RoutingRecord) -> End {
    End {
        status: RequestStatus::Completed,
        ended_at: 0,
        provider_id: Some(PROVIDER.to_owned()),
        provider_type: Some("openai".to_owned()),
        upstream_model: None,
        sent_as: None,
        counted: false,
        status_code: Some(200),
        duration_ms: 3,
        first_byte_ms: Some(3),
        attempts: 1,
        cancelled_nanos: 0,
        estimate: None,
        error: None,
        streamed: false,
        truncated: false,
        summary: None,
        parts: 0,
        plan: Some(Box::new(plan)),
        params: None,
    }
}

// === impl Gateway ===

impl Gateway {
    async fn new() -> anyhow::Result<Self> {
        let store = Store::open("sqlite::memory:").await?;
        let sealer = Sealer::new(&Secret::new([0; 32]));
        for (id, priority) in [(PROVIDER, 10), (FALLBACK, 5)] {
            super::add_provider(&store, &sealer, id, priority).await?;
        }
        let keys = Keys::new(KEYS)?;
        keys.write(&store).await?;
        let (metrics, prices) = (Metrics::default(), Prices::shipped()?);
        Ok(Self { store, sealer, metrics, prices, ledger: Arc::new(Ledger::new(MAX_WAITING)), key: keys.key })
    }

    /// Does the router's work after a change of the catalogue.
    async fn read(&self) -> anyhow::Result<Snapshot> {
        let rows = catalog::load(&self.store).await?;
        self.prices.update(rows.imported_prices.as_deref(), rows.prices.as_deref());
        self.ledger.update(&rows.keys, &Budgets::read(&rows.settings), &rows.routes);
        Ok(Snapshot::new(rows, &self.sealer, &AddressPolicy::default(), &self.metrics, None))
    }
}
