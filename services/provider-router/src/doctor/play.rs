//! `doctor --against-fakes`: plays the faults of Failover Bench and the pains of gateways against the routes of the user,
//! with all providers replaced.
//!
//! # Layout
//! - [`route`]: the routes to play. [`stage`]: a router process with a temporary data directory, one per route.
//!   [`directory`]: that directory.
//! - [`fake`], [`speech`]: the providers of the run. [`client`]: its clients.
//! - [`scene`]: a fault or pain and what was seen of it; [`faults`], [`pains`]: their lists.
//!
//! # Invariants
//! - No real provider is called: base URLs and keys are replaced, and the environment of the router is cleared.
//! - Nothing of the installation is changed: its catalogue is read once, and copied.
//! - A run ends after [`TIME`], whatever the router does. Scenes for which no time is left are skipped.

mod client;
mod directory;
mod fake;
mod faults;
mod pains;
mod route;
mod scene;
mod speech;
mod stage;

use std::sync::Arc;

use signalbox_daemon::config::Common;
use signalbox_management::doctor::{RouteScores, Score, Scorecard, Tally};
use tokio::{
    sync::Semaphore,
    task::{JoinSet, LocalSet},
    time::{Duration, Instant, timeout_at},
};

use self::{
    faults::FAULTS,
    pains::{RECORDS, REQUESTS, SERVICE},
    route::{DIVISOR, Played, divided},
    scene::{Scenario, Scene, Seen},
    stage::Stage,
};
use super::subject::Subject;
use crate::{clock::unix_ms, config::Config};

/// Maximum time of a run, without the time to stop its processes.
const TIME: Duration = Duration::from_secs(55);
/// Maximum number of routes of a run, of routes at the same time, and of scenes of a route at the same time.
const MAX_ROUTES: usize = 6;
const ROUTES_AT_ONCE: usize = 3;
const SCENES_AT_ONCE: usize = 6;
/// Id of the scene that takes longest, and therefore begins first.
const LONGEST: &str = "S15";

/// Plays all scenes against the routes with these names, or against all enabled ones.
///
/// # Errors
/// Returns the reason why nothing can be played.
pub async fn play(config: &Config, common: &Common, wanted: &[String]) -> anyhow::Result<Scorecard> {
    let _ = tokio::task::spawn_blocking(directory::remove_abandoned).await;
    let subject = Subject::of_installation(config, common).await.map_err(anyhow::Error::msg)?;
    let (mut routes, mut not_played) = route::played(&subject, wanted).map_err(anyhow::Error::msg)?;
    for left_out in routes.drain(routes.len().min(MAX_ROUTES)..) {
        let name = left_out.model.unwrap_or_default();
        not_played.push(format!("{name}: a run plays {MAX_ROUTES} routes; name it with --route"));
    }
    let timeout = subject.rows.settings.iter().find(|setting| setting.key == "server.timeout");
    let timeout = timeout.and_then(|setting| setting.value.trim_end_matches(".0").parse().ok());
    let timeout = timeout.map(|millis: u64| divided(millis).to_string());
    let due = Instant::now() + TIME;
    let permits = Arc::new(Semaphore::new(ROUTES_AT_ONCE));
    // The scenes run as tasks of their own; what starts and ends their stages stays on this thread.
    let local = LocalSet::new();
    let mut running = JoinSet::new();
    for (place, route) in routes.into_iter().enumerate() {
        let (config, timeout, permits) = (config.clone(), timeout.clone(), Arc::clone(&permits));
        let card = async move {
            let _permit = permits.acquire_owned().await;
            (place, card_of(route, &config, timeout.as_deref(), due).await)
        };
        running.spawn_local_on(card, &local);
    }
    let mut cards = local.run_until(running.join_all()).await;
    cards.sort_by_key(|(place, _)| *place);
    let mut played = Vec::new();
    for (_, card) in cards {
        match card {
            Ok(card) => played.push(card),
            Err(error) => not_played.push(format!("{error:#}")),
        }
    }
    let summary = Tally::of(played.iter().flat_map(|card| &card.scores));
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(Scorecard { played_at: unix_ms(), version, time_divisor: DIVISOR, summary, routes: played, not_played })
}

/// Returns all scenes that can be played at the same time, the longest one first.
fn concurrent() -> Vec<Scenario> {
    let mut scenes: Vec<Scenario> = FAULTS.into_iter().chain(REQUESTS).chain(RECORDS).collect();
    scenes.sort_by_key(|scene| scene.id != LONGEST);
    scenes
}

/// Plays a route.
async fn card_of(route: Played, config: &Config, timeout: Option<&str>, due: Instant) -> anyhow::Result<RouteScores> {
    let (name, is_implied, targets) = (route.model.clone(), route.is_implied, route.targets.clone());
    let policy = serde_json::to_value(route.plan.policy)?.as_str().unwrap_or_default().to_owned();
    let concurrent = concurrent();
    let models: Vec<&str> = concurrent.iter().chain(&SERVICE).map(|scene| scene.model).collect();
    let stage = Arc::new(Stage::start(route, &models, config, timeout).await?);
    let _ = timeout_at(due, stage.warm_up()).await;
    let mut scores = at_once(&stage, concurrent, due).await;
    for scenario in SERVICE {
        scores.push(score(&stage, &scenario, due).await);
    }
    // Every scene has ended, so nothing else holds the stage.
    if let Some(stage) = Arc::into_inner(stage) {
        stage.clear().await;
    }
    scores.sort_by_key(|score| (score.id.starts_with('P'), score.id.clone()));
    Ok(RouteScores { route: name, is_implied, policy, targets, summary: Tally::of(&scores), scores })
}

/// Plays scenes at the same time.
async fn at_once(stage: &Arc<Stage>, scenes: Vec<Scenario>, due: Instant) -> Vec<Score> {
    let permits = Arc::new(Semaphore::new(SCENES_AT_ONCE));
    let mut running = JoinSet::new();
    for scenario in scenes {
        let (stage, permits) = (Arc::clone(stage), Arc::clone(&permits));
        running.spawn(async move {
            let _permit = permits.acquire_owned().await;
            score(&stage, &scenario, due).await
        });
    }
    running.join_all().await
}

async fn score(stage: &Arc<Stage>, scenario: &Scenario, due: Instant) -> Score {
    let scene = Scene { model: scenario.model, stage: Arc::clone(stage) };
    let seen = timeout_at(due, (scenario.play)(scene)).await;
    seen.unwrap_or_else(|_elapsed| Seen::skipped("the time of the run is over")).score(scenario)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_and_pains_are_played_once() {
        let mut ids: Vec<&str> = concurrent().iter().chain(&SERVICE).map(|scene| scene.id).collect();
        assert_eq!(ids[0], LONGEST);
        ids.sort_unstable();
        let faults = (1..=16).map(|n| format!("S{n:02}"));
        let mut expected: Vec<String> = faults.chain((1..=25).map(|n| format!("P{n:02}"))).collect();
        expected.sort_unstable();
        assert_eq!(ids, expected);
        for scene in concurrent().iter().chain(&SERVICE) {
            assert_eq!(scene.model, scene.id.to_lowercase());
        }
    }
}
