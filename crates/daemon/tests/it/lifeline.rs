//! Tests of a supervised process, whose stdin is the lifeline.

use std::process::Stdio;

use crate::program::{Program, get, read_until};

fn supervised() -> Program {
    Program::new().env("SIGNALBOX_SUPERVISED", "1").stdin(Stdio::piped())
}

#[test]
fn the_status_line_is_for_the_supervisor() {
    let running = supervised().start();
    let status: serde_json::Value = serde_json::from_str(&running.status).unwrap();
    assert_eq!(status["event"], "listening");
    assert_eq!(status["service"], "hello");
    assert_eq!(status["pid"], running.pid());
    assert_eq!(status["addr"], format!("127.0.0.1:{}", running.port));
    assert!(status["instance"].is_string());
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    get(&mut running.connect(), "/hello", "hello");
}

#[test]
fn a_shutdown_command_drains_and_exits_with_0() {
    let mut running = supervised().start();
    let mut stream = running.connect();
    get(&mut stream, "/until-draining", "begun\n\r\n");
    running.tell("shutdown");
    read_until(&mut stream, "finished\n\r\n0\r\n\r\n");
    let ended = running.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn an_orphaned_process_drains_and_exits_with_110() {
    let mut running = supervised().start();
    let mut stream = running.connect();
    get(&mut stream, "/until-draining", "begun\n\r\n");
    running.close_stdin();
    read_until(&mut stream, "finished\n\r\n0\r\n\r\n");
    let ended = running.ended();
    assert_eq!(ended.code, Some(110), "{}", ended.stderr);
}

#[test]
fn fc_35a_an_orphaned_process_exits_with_a_hanging_runtime() {
    let file = "[server]\ndrain_timeout = \"10ms\"\n[hello]\nmode = \"hang\"\n";
    let ended = supervised().file(file).stdin(Stdio::null()).arg("--port=0").end();
    assert_eq!(ended.code, Some(110), "{}", ended.stderr);
}

#[test]
fn without_a_supervisor_stdin_is_ignored() {
    let running = Program::new().stdin(Stdio::null()).start();
    get(&mut running.connect(), "/hello", "hello");
    running.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(running.ended().code, Some(0));
}

#[test]
fn a_closed_stderr_does_not_end_the_process() {
    let mut running = supervised().env("LOG_LEVEL", "debug").start();
    running.close_stderr();
    let answer = get(&mut running.connect(), "/panic", "}}");
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    get(&mut running.connect(), "/hello", "hello");
}
