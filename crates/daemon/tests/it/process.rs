//! Tests of shutdown by signals, with and without running streams.

use std::net::{Ipv4Addr, TcpStream};

use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGTERM};

use crate::program::{Program, get, read_to_end, read_until};

#[test]
fn each_signal_shuts_down_cleanly() {
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        let running = Program::new().start();
        get(&mut running.connect(), "/hello", "hello");
        running.signal(signal);
        let ended = running.ended();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ended.stdout, "", "nothing but the status line");
    }
}

#[test]
fn a_running_stream_finishes_and_new_connections_are_refused() {
    let running = Program::new().start();
    let port = running.port;
    let mut stream = running.connect();
    get(&mut stream, "/until-draining", "begun\n\r\n");
    running.signal(SIGTERM);
    read_until(&mut stream, "finished\n\r\n0\r\n\r\n");
    assert_eq!(read_to_end(&mut stream), "", "the connection is closed");
    assert_eq!(running.ended().code, Some(0));
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}

#[test]
fn streams_end_at_the_drain_deadline() {
    let running = Program::new().file("[server]\ndrain_timeout = \"50ms\"\n").start();
    let mut stream = running.connect();
    get(&mut stream, "/until-cut", "begun\n\r\n");
    running.signal(SIGTERM);
    read_until(&mut stream, "cut\n\r\n0\r\n\r\n");
    assert_eq!(running.ended().code, Some(0));
}

#[test]
fn connections_that_do_not_end_are_dropped() {
    let running = Program::new().file("[server]\ndrain_timeout = \"50ms\"\n").start();
    let mut stream = running.connect();
    get(&mut stream, "/for-ever", "begun\n\r\n");
    running.signal(SIGTERM);
    assert_eq!(read_to_end(&mut stream), "", "interrupted, not complete: there is no last chunk");
    let ended = running.ended();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("did not end in time"), "{}", ended.stderr);
}

#[test]
fn a_second_signal_cuts_streams_at_once() {
    let mut running = Program::new().file("[server]\ndrain_timeout = \"1h\"\n").start();
    let mut stream = running.connect();
    get(&mut stream, "/until-cut", "begun\n\r\n");
    running.signal(SIGTERM);
    // Wait, because two signals in quick succession may be merged into one.
    running.wait_for_log("no longer accepting");
    running.signal(SIGTERM);
    read_until(&mut stream, "cut\n\r\n0\r\n\r\n");
    assert_eq!(running.ended().code, Some(0));
}

#[test]
fn a_third_signal_exits_at_once() {
    let mut running = Program::new().file("[hello]\nmode = \"linger\"\n").start();
    running.signal(SIGTERM);
    running.wait_for_log("draining");
    running.signal(SIGTERM);
    running.wait_for_log("ending running requests");
    running.signal(SIGTERM);
    assert_eq!(running.ended().code, Some(143));
}

#[cfg(target_os = "linux")]
#[test]
fn under_nohup_sighup_is_ignored() {
    let mut running = Program::new().through("trap '' HUP").start();
    running.signal(SIGHUP);
    get(&mut running.connect(), "/hello", "hello");
    running.signal(SIGTERM);
    running.wait_for_log("SIGTERM");
    assert_eq!(running.ended().code, Some(0));
}

#[test]
fn a_panic_at_start_exits_with_70() {
    let ended = Program::new().file("[hello]\nmode = \"panic\"\n").arg("--port=0").end();
    assert_eq!(ended.code, Some(70));
    assert!(ended.stderr.contains("on request") && ended.stderr.contains("hello.rs"), "{}", ended.stderr);
}
