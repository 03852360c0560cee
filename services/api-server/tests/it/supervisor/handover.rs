//! Tests of restarts by handover.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use api_server::supervisor::{Fault, Phase, Unmet};
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::port::free_port;
use super::{READY, Room, end_of, lives, signal};

#[tokio::test]
async fn the_old_generation_serves_until_the_new_one_is_ready() {
    let room = Room::new();
    let before = room.up(READY).await;
    let restart = room.child.restart(room.script(&format!("sleep 0.3; {READY}"))).await;
    let now = room.now();
    assert_eq!((now.state, now.pid, now.handing_over), (Phase::Running, before.pid, true));
    restart.done().await.unwrap();
    let after = room.now();
    assert_eq!((after.state, after.generation, after.addr), (Phase::Running, 2, before.addr));
    assert!(!after.handing_over && after.restarts == 1);
    end_of(before.pid.unwrap()).await;
    assert!(lives(after.pid.unwrap()));
}

#[tokio::test]
async fn a_new_generation_that_fails_is_rolled_back() {
    let room = Room::new();
    let before = room.up(READY).await;
    let restart = room.child.restart(room.script("echo bad luck >&2; exit 1")).await;
    let Err(Unmet::Failed(cause)) = restart.done().await else { panic!() };
    assert_eq!(cause.fault, Fault::HandoverFailed);
    let text = cause.to_string();
    assert_eq!(text, "child exited with code 1 before it was ready; the old process keeps running\nbad luck");
    let now = room.now();
    assert_eq!((now.state, now.pid, now.healthy, now.handing_over), (Phase::Running, before.pid, true, false));
    assert!(lives(before.pid.unwrap()));
    room.child.restart(room.script(READY)).await.done().await.unwrap();
}

#[tokio::test]
async fn a_restart_may_change_the_port() {
    let room = Room::new();
    let before = room.up(READY).await;
    let mut spec = room.script(READY);
    spec.listen.port = free_port();
    room.child.restart(spec.clone()).await.done().await.unwrap();
    assert_eq!(room.now().addr.unwrap().port(), spec.listen.port);
    end_of(before.pid.unwrap()).await;
    TcpStream::connect(before.addr.unwrap()).await.unwrap_err();
}

#[tokio::test]
async fn a_stop_during_a_handover_stops_both_generations() {
    let room = Room::new();
    let before = room.up(READY).await;
    let restart = room.child.restart(room.script("echo $$ >&2; sleep 1000")).await;
    let beside = loop {
        if let [pid] = super::numbers(&room.log())[..] {
            break pid;
        }
        tokio::task::yield_now().await;
    };
    room.child.stop().await.done().await.unwrap();
    assert!(matches!(restart.done().await, Err(Unmet::Superseded)));
    assert!(!lives(before.pid.unwrap()) && !lives(beside));
}

#[tokio::test]
async fn a_crash_during_a_handover_is_survived() {
    let room = Room::new();
    let before = room.up(READY).await;
    let restart = room.child.restart(room.script(&format!("sleep 0.3; {READY}"))).await;
    signal(before.pid.unwrap(), Signal::SIGKILL);
    restart.done().await.unwrap();
    let after = room.now();
    assert_eq!((after.state, after.generation, after.addr), (Phase::Running, 2, before.addr));
}

#[tokio::test]
async fn i11_i21_restarts_refuse_no_connection_and_leave_nothing_behind() {
    let room = Room::new();
    let addr = room.up(READY).await.addr.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let mut stream = TcpStream::connect(addr).await.unwrap();
                    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
                    let mut answer = String::new();
                    // The child closes the connection after its answer; if it were killed before, there would be none.
                    stream.read_to_string(&mut answer).await.unwrap();
                    answered.fetch_add(usize::from(answer.starts_with("HTTP/1.1 200 ")), Ordering::Relaxed);
                }
            })
        })
        .collect();
    let before = descriptors();
    for _ in 0..10 {
        room.child.restart(room.script(READY)).await.done().await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert!(answered.load(Ordering::Relaxed) >= 10);
    // Old generations exit asynchronously, and their descriptors are closed then.
    while descriptors() > before {
        tokio::task::yield_now().await;
    }
    assert_eq!(room.now().generation, 11);
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
