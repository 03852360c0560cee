//! Fetches the model lists of providers, and keeps the last valid list of each.
//!
//! No request waits for a list. [`keep_updated`] fetches lists in the background: from each enabled provider at start,
//! and when it is created, enabled, changed or made active; from the active provider also when a client reads `GET
//! /v1/models`. The last valid list of each provider is stored in the database and in the catalogue's snapshot until
//! the provider returns another one.

mod schedule;

use std::sync::Arc;

use bytes::Bytes;
use schedule::{Candidate, Schedule};
use signalbox_store::audit::{Actor, with_actor};
use tokio::{
    task::JoinSet,
    time::{Duration, Instant, sleep_until, timeout},
};

use crate::{
    app::App,
    model_list::{self, ParsedList},
    probe::list_models,
    provider::{Adapter, Provider},
};

/// Maximum time a provider may take to return its list.
pub(crate) const LIST_TIMEOUT: Duration = Duration::from_secs(15);

/// A provider's answer.
#[derive(Debug)]
pub(crate) struct FetchedList {
    /// The body as received.
    pub(crate) raw: Bytes,
    /// The parsed list.
    pub(crate) listed: ParsedList,
}

/// Fetches a provider's list. Returns `None` for a built-in provider, which has no list.
///
/// # Errors
/// Returns the reason in words, without the provider's secrets.
pub(crate) async fn fetch(app: &App, provider: &Provider) -> Result<Option<FetchedList>, String> {
    let remote = match &provider.adapter {
        Adapter::Echo(_) => return Ok(None),
        Adapter::Misconfigured(reason) => return Err(reason.clone()),
        Adapter::Remote(remote) => remote,
    };
    let asked = timeout(LIST_TIMEOUT, list_models(&app.client, &app.deadlines(), remote)).await;
    let answer = match asked {
        Err(_elapsed) => Err(format!("it has not answered within {} s", LIST_TIMEOUT.as_secs())),
        Ok(Err(reason)) => Err(reason),
        Ok(Ok(raw)) => model_list::read(&raw, &provider.id)
            .map(|listed| Some(FetchedList { raw, listed }))
            .map_err(|error| error.to_string()),
    };
    answer.map_err(|reason| remote.masker.mask_text(&reason).into_owned())
}

/// Keeps the lists up to date until the future is dropped.
pub(crate) async fn keep_updated(app: Arc<App>) {
    let (mut schedule, mut asking) = (Schedule::default(), JoinSet::new());
    loop {
        let snapshot = Arc::clone(&app.catalog.current());
        let active = snapshot.active().map(|active| active.id.as_str());
        let candidates = snapshot.providers().iter().filter(|provider| matches!(provider.adapter, Adapter::Remote(_)));
        let candidates = candidates.map(|provider| Candidate {
            id: &provider.id,
            fingerprint: snapshot.fingerprint(provider).unwrap_or_default(),
        });
        for id in schedule.due(candidates, active, app.catalog.take_was_read(), Instant::now()) {
            let Some(provider) = snapshot.provider(&id) else { continue };
            let (app, provider) = (Arc::clone(&app), Arc::clone(provider));
            asking.spawn(async move { (id, update(&app, &provider).await) });
        }
        drop(snapshot);
        tokio::select! {
            () = app.catalog.changed_or_read() => {}
            Some(Ok((id, updated))) = asking.join_next() => schedule.note(&id, updated, Instant::now()),
            () = sleep_until(schedule.next(Instant::now())) => {}
        }
    }
}

/// Fetches and stores one provider's list. Returns whether that succeeded.
async fn update(app: &App, provider: &Provider) -> bool {
    let listed = match fetch(app, provider).await {
        Ok(answer) => answer.map(|answer| answer.listed).unwrap_or_default(),
        Err(reason) => {
            tracing::debug!(
                provider = provider.id,
                reason,
                "cannot fetch the model list of a provider, the last one is kept"
            );
            return false;
        }
    };
    let kept = with_actor(Actor::router(), app.refresher.keep_list(provider, &listed.models)).await;
    if let Err(error) = &kept {
        tracing::debug!(provider = provider.id, %error, "cannot store the model list of a provider");
    }
    kept.is_ok()
}
