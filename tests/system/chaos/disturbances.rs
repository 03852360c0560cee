//! The router survives failures around it under traffic and recovers from them: of the disk, of the database file, and
//! of clients that never finish their requests. The checks are those of the kills.

use std::{fs, time::Duration};

use signalbox_harness::{Home, Launch, eventually};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
};

use super::{ANSWERS, CLIENTS, QUICK, client::Asker, ledger::Ledger};
use crate::{
    dice::{Dice, times},
    gateway::CHAT,
    lone_router::LoneRouter,
    unwritable::SmallDisk,
};

/// Number of connections that hold an unfinished request body.
const STALLED_BODIES: usize = 200;
/// Number of clients while a disk is full; small, because the fake, the router and the clients share two cores.
const FEW: usize = 8;

/// Runs clients until up to [`ANSWERS`] answers are complete (a random number) and then until `act` is over; adds all
/// answers to the ledger.
async fn traffic(lone: &LoneRouter, ledger: &mut Ledger, dice: &mut Dice, clients: usize, act: impl AsyncFnOnce()) {
    let (sender, mut answers) = mpsc::channel(clients);
    let mut asking = JoinSet::new();
    for _ in 0..clients {
        asking.spawn(Asker::new(lone.client(), dice.split(), sender.clone()).ask());
    }
    drop(sender);
    for _ in 0..=dice.below(ANSWERS) {
        ledger.seen.extend(answers.recv().await);
    }
    let mut act = std::pin::pin!(act());
    loop {
        tokio::select! {
            biased;
            () = &mut act => break,
            answer = answers.recv() => ledger.seen.extend(answer),
        }
    }
    // No new requests are sent; answers in flight are still recorded.
    answers.close();
    while let Some(answer) = answers.recv().await {
        ledger.seen.push(answer);
    }
    ledger.sent += asking.join_all().await.iter().sum::<usize>();
    ledger.note_calls(&lone.fake);
}

/// Waits until the complete journal is in the database, by restarting the router, which loads the journal of its
/// predecessor.
async fn everything_is_loaded(lone: &mut LoneRouter) {
    lone.becomes_idle().await;
    lone.kill9().await;
    lone.start_again().await;
    lone.inherits_everything().await;
}

#[tokio::test]
async fn i2_i19_a_temporarily_full_disk_loses_only_counted_requests() {
    let home = Home::new();
    let rounds = times("CHAOS_KILLS", QUICK).div_ceil(5);
    // Space for the answers of all rounds: only the ballast may fill the disk.
    let mebibytes = 48 + 8 * rounds;
    let Some(disk) = SmallDisk::mount_sized(&home.data(), &format!("{mebibytes}m")) else { return };
    let config = "[journal]\non_failure = \"serve\"\nsegment_bytes = \"1MiB\"\n";
    let mut lone = LoneRouter::launch(Launch::default().home(&home).config("provider-router", config)).await;
    let (mut dice, mut ledger) = (Dice::new(), Ledger::default());
    for _ in 0..rounds {
        traffic(&lone, &mut ledger, &mut dice, FEW, async || {
            disk.fill();
            // Full until the log notices it, or for as long as the log has spare room.
            tokio::time::timeout(Duration::from_secs(2), async {
                while lone.health().await["status"] == "ok" {
                    tokio::task::yield_now().await;
                }
            })
            .await
            .ok();
            disk.free();
            eventually("health `ok`", async || (lone.health().await["status"] == "ok").then_some(())).await;
        })
        .await;
    }
    lone.becomes_idle().await;
    let unlogged = lone.health().await["journal"]["unlogged"].as_u64().unwrap();
    everything_is_loaded(&mut lone).await;
    ledger.check_all_but(&lone, usize::try_from(unlogged).unwrap()).await;
}

#[tokio::test]
async fn i2_a_database_restored_from_a_backup_has_every_answer() {
    let mut lone = LoneRouter::launch(Launch::default()).await;
    let (mut dice, mut ledger) = (Dice::new(), Ledger::default());
    let (database, backup) = (lone.home().data().join("signalbox.db"), lone.home().data().join("backup.db"));
    for _ in 0..times("CHAOS_KILLS", QUICK).div_ceil(5) {
        traffic(&lone, &mut ledger, &mut dice, CLIENTS, async || {}).await;
        everything_is_loaded(&mut lone).await;
        // No requests are sent between the backup and its restoration, so it is complete.
        lone.store.backup(&backup).await.unwrap();
        fs::rename(&backup, &database).unwrap();
        traffic(&lone, &mut ledger, &mut dice, CLIENTS, async || {}).await;
        eventually("health `ok`", async || (lone.health().await["status"] == "ok").then_some(())).await;
        everything_is_loaded(&mut lone).await;
        ledger.check_all_but(&lone, 0).await;
    }
}

#[tokio::test]
async fn i2_unfinished_requests_do_not_block_others() {
    let mut lone = LoneRouter::launch(Launch::default()).await;
    let (mut dice, mut ledger) = (Dice::new(), Ledger::default());
    for _ in 0..times("CHAOS_KILLS", QUICK).div_ceil(5) {
        let mut held = Vec::new();
        for number in 0..STALLED_BODIES {
            let mut client = TcpStream::connect(("127.0.0.1", lone.client().port())).await.unwrap();
            let head = format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n");
            let begun = if number % 2 == 0 { "" } else { "{\"model\":" };
            client.write_all([&head, begun].concat().as_bytes()).await.unwrap();
            held.push(client);
        }
        traffic(&lone, &mut ledger, &mut dice, CLIENTS, async || {}).await;
        // These connections are still open or were timed out; none was treated as a complete request.
        for mut client in held {
            let mut answer = [0; 12];
            let read = tokio::time::timeout(Duration::ZERO, client.read(&mut answer)).await;
            assert!(!matches!(read, Ok(Ok(12)) if answer.ends_with(b"200")), "an unfinished request was answered");
        }
    }
    everything_is_loaded(&mut lone).await;
    ledger.check_all_but(&lone, 0).await;
}
