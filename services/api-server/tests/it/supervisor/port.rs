//! Tests of the listening port, and of the fallback responder.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use api_server::supervisor::{Fault, Limits, Phase};
use nix::sys::signal::Signal;
use signalbox_harness::ports;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{READY, Room, signal};

/// Returns a port on which nothing listens.
pub(super) fn free_port() -> u16 {
    ports::unused().unwrap()
}

async fn ask(addr: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn the_port_is_open_while_the_child_runs_and_closed_after_a_stop() {
    let room = Room::new();
    let addr = room.up(READY).await.addr.unwrap();
    assert!(ask(addr).await.unwrap().starts_with("HTTP/1.1 200 "));
    room.child.stop().await.done().await.unwrap();
    ask(addr).await.unwrap_err();
}

#[tokio::test]
async fn a_child_starts_once_its_port_becomes_free() {
    let delay = Duration::from_millis(20);
    let limits = Limits { restart_delay: delay, restart_delay_max: delay, restart_limit: 2, ..Limits::default() };
    let room = Room::with(limits);
    let stranger = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let mut spec = room.script(READY);
    spec.listen.port = stranger.local_addr().unwrap().port();
    let outcome = room.child.start(spec).await.done().await;
    assert!(outcome.unwrap_err().to_string().contains("is already in use by"));
    // Beyond the limit for other kinds of failures, and still visible.
    room.until(|now| now.failures > 5).await;
    let waiting = room.now();
    assert!(waiting.state == Phase::Error && waiting.retry_at.is_some(), "{waiting:?}");
    assert!(matches!(waiting.cause.unwrap().fault, Fault::PortInUse { .. }));
    drop(stranger);
    room.until(|now| now.state == Phase::Running).await;
}

#[tokio::test]
async fn a_connection_between_two_processes_waits_for_the_second() {
    let limits = Limits { restart_delay: Duration::from_millis(300), ..Limits::default() };
    let room = Room::with(limits);
    let running = room.up(READY).await;
    signal(running.pid.unwrap(), Signal::SIGKILL);
    room.until(|now| now.state == Phase::Error).await;
    assert!(ask(running.addr.unwrap()).await.unwrap().starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_connection_that_waits_too_long_gets_503() {
    let minute = Duration::from_secs(60);
    let limits = Limits {
        restart_delay: minute,
        restart_delay_max: minute,
        fallback_delay: Duration::from_millis(100),
        ..Limits::default()
    };
    let room = Room::with(limits);
    let running = room.up(READY).await;
    signal(running.pid.unwrap(), Signal::SIGKILL);
    let answer = ask(running.addr.unwrap()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1"), "{answer}");

    // Once started again, the child answers itself.
    room.up(READY).await;
    assert!(ask(room.now().addr.unwrap()).await.unwrap().starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn fc_12_fc_15_a_port_in_use_is_reported_and_nothing_is_spawned() {
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port();
    let room = Room::new();
    let mut spec = room.script(READY);
    spec.listen.port = port;
    room.child.start(spec.clone()).await.done().await.unwrap_err();
    let now = room.now();
    // The port may become free, so the start is retried.
    assert_eq!((now.state, now.retry_at.is_some(), now.generation), (Phase::Error, true, 0));
    let Fault::PortInUse { port: taken, holder } = now.cause.unwrap().fault.clone() else { panic!() };
    assert_eq!((taken, holder.unwrap().pid), (port, std::process::id()));

    spec.listen.auto_port = true;
    room.child.start(spec.clone()).await.done().await.unwrap();
    let chosen = room.now().addr.unwrap();
    assert_ne!(chosen.port(), port);
    // The port is kept: the next process gets the same socket, although the first choice is free again.
    drop(stranger);
    room.child.restart(spec).await.done().await.unwrap();
    assert_eq!(room.now().addr, Some(chosen));
}

#[tokio::test]
async fn fc_14_a_port_with_connections_in_time_wait_is_bound_at_once() {
    let room = Room::new();
    let mut spec = room.script(READY);
    spec.listen.port = free_port();
    for _ in 0..3 {
        room.child.start(spec.clone()).await.done().await.unwrap();
        ask(room.now().addr.unwrap()).await.unwrap();
        room.child.stop().await.done().await.unwrap();
    }
}

#[tokio::test]
async fn a_host_change_on_the_same_port_does_not_conflict_with_itself() {
    let room = Room::new();
    let mut spec = room.script(READY);
    spec.listen.port = free_port();
    room.child.start(spec.clone()).await.done().await.unwrap();
    let before = room.now();
    for host in ["localhost", "127.0.0.1"] {
        host.clone_into(&mut spec.listen.host);
        room.child.restart(spec.clone()).await.done().await.unwrap();
        let after = room.now();
        assert_eq!((after.state, after.addr, after.cause), (Phase::Running, before.addr, None));
        assert!(ask(after.addr.unwrap()).await.unwrap().starts_with("HTTP/1.1 200 "));
    }
}
