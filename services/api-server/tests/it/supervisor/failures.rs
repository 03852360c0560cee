//! Tests of children that fail.

use std::time::Duration;

use api_server::supervisor::{Exit, Fault, Limits, Phase};
use nix::sys::signal::Signal;

use super::port::free_port;
use super::{READY, Room, lives, numbers, signal};

/// Returns delays that are short enough for a test.
fn hasty() -> Limits {
    Limits {
        restart_delay: Duration::from_millis(10),
        restart_delay_max: Duration::from_millis(40),
        probe_interval: Duration::from_millis(50),
        ..Limits::default()
    }
}

/// Returns delays that are too long for a restart within a test.
fn patient() -> Limits {
    Limits {
        restart_delay: Duration::from_secs(1000),
        restart_delay_max: Duration::from_secs(1000),
        ..Limits::default()
    }
}

#[tokio::test]
async fn fc_18_an_early_exit_is_a_failure_with_any_code() {
    let room = Room::with(patient());
    let cause = room.failure("echo first words >&2; echo last words >&2; exit 0").await;
    assert_eq!(cause, "child exited with code 0 before it was ready\nfirst words\nlast words");
    let cause = room.failure("exit 78").await;
    assert_eq!(cause, "child exited with code 78 (bad configuration) before it was ready");
    assert_eq!(room.now().state, Phase::Error);

    let port = free_port();
    let mut spec = room.script("exit 98");
    spec.listen.port = port;
    let outcome = room.child.start(spec).await.done().await;
    assert_eq!(outcome.unwrap_err().to_string(), format!("Port {port} is already in use"));
}

#[tokio::test]
async fn fc_22_a_failed_spawn_is_reported() {
    let room = Room::with(patient());
    let mut spec = room.script("");
    spec.program = "/nonexistent/program".into();
    let outcome = room.child.start(spec).await.done().await;
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "cannot run /nonexistent/program: No such file or directory (os error 2)"
    );
    assert_eq!(room.now().generation, 0);
    room.up(READY).await;
}

#[tokio::test]
async fn fc_16_fc_17_a_child_without_a_passing_health_check_is_never_ready() {
    tokio::join!(
        never_ready("echo hello >&2; sleep 1000", "it has not announced its address\nhello"),
        never_ready(r#"exec "$CHILD" me 503 me"#, "its health check returned status 503"),
        never_ready(r#"exec "$CHILD" me 200 you"#, "another process responds at its address (instance Some(\"you\"))"),
    );
}

async fn never_ready(script: &str, reason: &str) {
    let room = Room::with(Limits { startup: Duration::from_secs(2), ..Limits::default() });
    let start = room.child.start(room.script(script)).await;
    let pid = room.child.watch().wait_for(|now| now.pid.is_some()).await.unwrap().pid.unwrap();
    let cause = start.done().await.unwrap_err().to_string();
    assert_eq!(cause, format!("Startup timeout (2s): {reason}"));
    assert!(!lives(pid));
}

#[tokio::test]
async fn a_crash_is_detected_and_reported() {
    let room = Room::with(patient());
    let running = room.up(READY).await;
    signal(running.pid.unwrap(), Signal::SIGKILL);
    let failed = room.until(|now| now.state == Phase::Error).await;
    let cause = failed.cause.clone().unwrap();
    assert_eq!((&cause.fault, cause.exit), (&Fault::Crashed, Some(Exit::Signal(9))));
    assert_eq!(cause.message, "child was killed by signal 9 unexpectedly");
    assert_eq!((failed.pid, failed.addr, failed.failures), (None, None, 1));
    assert!(failed.retry_at.is_some() && failed.seq > running.seq);

    room.child.stop().await.done().await.unwrap();
    let stopped = room.now();
    assert_eq!((stopped.state, stopped.retry_at, stopped.cause), (Phase::Stopped, None, None));
}

#[tokio::test]
async fn a_crash_is_followed_by_a_restart() {
    let room = Room::with(hasty());
    let before = room.up(READY).await;
    signal(before.pid.unwrap(), Signal::SIGKILL);
    let after = room.until(|now| now.state == Phase::Running && now.generation == 2).await;
    assert_eq!((after.addr, after.restarts), (before.addr, 1), "on the same port");
    assert_eq!(after.cause.unwrap().fault, Fault::Crashed, "the cause is still reported");
}

#[tokio::test]
async fn fc_19_a_crash_loop_ends_after_eight_consecutive_failures() {
    let room = Room::with(hasty());
    let failure = room.failure("echo again >&2; exit 1").await;
    assert!(failure.starts_with("child exited with code 1 before it was ready"), "{failure}");
    let end = room.until(|now| now.state == Phase::Error && now.retry_at.is_none()).await;
    assert_eq!((end.failures, end.generation), (8, 8));
    assert_eq!(room.log().lines().count(), 8);

    // A start by a command resets the count of failures.
    room.up(READY).await;
    assert_eq!((room.now().failures, room.now().cause), (0, None));
}

#[tokio::test]
async fn fc_21_a_permanent_failure_is_not_retried() {
    for code in [64, 78] {
        let room = Room::with(hasty());
        room.failure(&format!("exit {code}")).await;
        let now = room.now();
        assert_eq!((now.state, now.retry_at, now.generation), (Phase::Error, None, 1), "{code}");
    }
}

#[tokio::test]
async fn a_stop_during_the_restart_delay_cancels_the_restart() {
    let room = Room::with(patient());
    room.failure("exit 1").await;
    room.child.stop().await.done().await.unwrap();
    assert_eq!((room.now().state, room.now().retry_at), (Phase::Stopped, None));
}

#[tokio::test]
async fn fc_27_fc_28_an_unresponsive_child_is_degraded_and_then_restarted() {
    let limits = Limits { grace: Duration::from_millis(50), ..hasty() };
    let room = Room::with(limits);
    let before = room.up(READY).await;
    let mut degraded = room.child.watch();
    signal(before.pid.unwrap(), Signal::SIGSTOP);
    degraded.wait_for(|now| now.state == Phase::Running && !now.healthy).await.unwrap();
    let after = room.until(|now| now.state == Phase::Running && now.generation == 2).await;
    assert_eq!(after.cause.unwrap().fault, Fault::Unhealthy);
    assert!(after.healthy && !lives(before.pid.unwrap()));
}

#[tokio::test]
async fn fc_01_after_a_crash_the_whole_group_is_killed_before_a_restart() {
    let room = Room::with(hasty());
    let before = room.up(&format!("(trap '' TERM; exec sleep 1000) & echo $! >&2; {READY}")).await;
    signal(before.pid.unwrap(), Signal::SIGKILL);
    room.until(|now| now.state == Phase::Starting && now.generation == 2).await;
    assert!(!lives(numbers(&room.log())[0]));
}
