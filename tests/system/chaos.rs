//! The router is killed repeatedly under traffic: every answer that a client saw complete is in the log unchanged,
//! every call of a provider has a row, and every row reaches exactly one final state.
//!
//! `CHAOS_KILLS` sets the number of kills (`scripts/chaos` runs many), `CHAOS_SEED` repeats a run.

mod client;
mod disturbances;
mod ledger;

use signalbox_harness::{Launch, postgres::Postgres};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    dice::{Dice, times},
    lone_router::LoneRouter,
};
use client::Asker;
use ledger::Ledger;

const CLIENTS: usize = 32;
/// Maximum number of complete answers before a kill, because the fake keeps a limited number of calls.
const ANSWERS: usize = 300;
/// Default number of kills.
const QUICK: usize = 5;

async fn survives(mut lone: LoneRouter, kills: usize) {
    let mut dice = Dice::new();
    let mut ledger = Ledger::default();
    for _ in 0..kills {
        let (sender, mut answers) = mpsc::channel(CLIENTS);
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let asker = Asker::new(lone.client(), dice.split(), sender.clone());
            clients.spawn(async move {
                if number == 0 { asker.ask_for_an_end_that_never_comes().await } else { asker.ask().await }
            });
        }
        drop(sender);
        for _ in 0..dice.below(ANSWERS) {
            ledger.seen.extend(answers.recv().await);
        }
        // All clients are at different points; yielding a random number of times varies the moment of the kill further.
        for _ in 0..dice.below(50) {
            tokio::task::yield_now().await;
        }
        lone.kill9().await;
        while let Some(answer) = answers.recv().await {
            ledger.seen.push(answer);
        }
        ledger.sent += clients.join_all().await.iter().sum::<usize>();
        ledger.note_calls(&lone.fake);
        lone.start_again().await;
    }
    lone.inherits_everything().await;
    ledger.note_calls(&lone.fake);
    ledger.check(&lone).await;
}

#[tokio::test]
async fn i1_i2_i3_the_log_survives_kills_on_sqlite() {
    survives(LoneRouter::launch(Launch::default()).await, times("CHAOS_KILLS", QUICK)).await;
}

#[tokio::test]
async fn i1_i2_i3_the_log_survives_kills_on_postgresql() {
    let Some(postgres) = Postgres::launch().await else { return };
    let lone = LoneRouter::launch_on(postgres.create_database().await, Launch::default()).await;
    survives(lone, times("CHAOS_KILLS", QUICK).div_ceil(3)).await;
}

#[tokio::test]
async fn i1_i2_i3_the_log_survives_kills_with_power_durability() {
    let lone = LoneRouter::configured("[journal]\ndurability = \"power\"\n").await;
    survives(lone, times("CHAOS_KILLS", QUICK).div_ceil(3)).await;
}
