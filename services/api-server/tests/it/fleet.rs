//! Tests of the fleet with real processes.

use api_server::fleet::{Failure, Fleet, Overrides, Preparation, ProgramLocation, Programs, Summary, Which, launch};
use api_server::supervisor::Phase;

use crate::site::{fleet_config as config, test_children};

async fn up(fleet: &Fleet) {
    fleet.start(Overrides::default(), Which::Both).await.done().await.unwrap();
    assert_eq!(fleet.now().summary(), Summary::Running);
}

#[tokio::test]
async fn the_router_exits_before_qwen_proxy_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let (fleet, closer) = launch(config(&dir, test_children()));
    up(&fleet).await;
    let stop = fleet.stop(Which::Both).await;
    let watch = async {
        loop {
            let now = fleet.now();
            if now.qwen.state != Phase::Running {
                assert_eq!(now.router.state, Phase::Stopped);
            }
            if now.is_stopped(Which::Both) {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    let (stopped, ()) = tokio::join!(stop.done(), watch);
    stopped.unwrap();
    closer.close().await;
}

#[tokio::test]
async fn a_command_takes_effect_at_once_and_a_newer_one_supersedes_it() {
    let dir = tempfile::tempdir().unwrap();
    let (fleet, closer) = launch(config(&dir, test_children()));
    let start = fleet.start(Overrides::default(), Which::Both).await;
    assert_eq!(fleet.now().summary(), Summary::Starting);
    let stop = fleet.stop(Which::Both).await;
    assert!(matches!(start.done().await, Err(Failure::Superseded)));
    stop.done().await.unwrap();
    assert!(fleet.now().is_stopped(Which::Both));
    closer.close().await;
}

#[tokio::test]
async fn a_command_continues_without_a_waiting_caller() {
    let dir = tempfile::tempdir().unwrap();
    let (fleet, closer) = launch(config(&dir, test_children()));
    up(&fleet).await;
    drop(fleet.stop(Which::Both).await);
    while !fleet.now().is_stopped(Which::Both) {
        tokio::task::yield_now().await;
    }
    closer.close().await;
}

#[tokio::test]
async fn closing_stops_both_services_and_rejects_commands() {
    let dir = tempfile::tempdir().unwrap();
    let (fleet, closer) = launch(config(&dir, test_children()));
    up(&fleet).await;
    closer.close().await;
    assert!(fleet.now().is_stopped(Which::Both));
    assert!(matches!(fleet.start(Overrides::default(), Which::Both).await.done().await, Err(Failure::Closed)));
}

#[tokio::test]
async fn a_failed_build_is_reported_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    // `false` fails like a failed build.
    let location = ProgramLocation::Checkout { cargo: "/bin/false".into(), manifest_dir: dir.path().to_owned() };
    let programs = Programs { router: None, qwen: None, location };
    let (fleet, closer) = launch(config(&dir, programs));
    let failure = fleet.start(Overrides::default(), Which::Both).await.done().await.unwrap_err();
    assert!(failure.to_string().starts_with("`cargo build -p provider-router -p qwen-proxy` failed"), "{failure}");
    let now = fleet.now();
    assert_eq!(now.summary(), Summary::Error);
    assert!(matches!(now.preparation, Preparation::Failed(_)));
    fleet.stop(Which::Both).await.done().await.unwrap();
    assert_eq!(fleet.now().summary(), Summary::Stopped);
    closer.close().await;
}
