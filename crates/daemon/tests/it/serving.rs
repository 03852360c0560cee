use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;

use nix::sys::signal::Signal::SIGTERM;

use crate::program::{Program, connect, get, read_to_end};

#[test]
fn the_status_line_reports_the_chosen_port() {
    let running = Program::new().start();
    assert_eq!(running.status, format!("Server listening on http://127.0.0.1:{}", running.port));
    get(&mut running.connect(), "/hello", "hello");
}

#[test]
fn one_connection_carries_many_requests() {
    let running = Program::new().start();
    let mut stream = running.connect();
    for _ in 0..3 {
        assert!(get(&mut stream, "/hello", "hello").starts_with("HTTP/1.1 200"));
    }
}

#[test]
fn an_incomplete_head_times_out() {
    let running = Program::new().file("[server]\nheader_timeout = \"50ms\"\n").start();
    let mut stream = running.connect();
    stream.write_all(b"GET /hello HTTP/1.1\r\nHos").unwrap();
    assert_eq!(read_to_end(&mut stream), "");
    assert_eq!(read_to_end(&mut running.connect()), "", "a silent connection is closed, too");
}

#[test]
fn a_panic_is_answered_with_500_and_logged_with_its_location() {
    let mut running = Program::new().start();
    let mut stream = running.connect();
    let answer = get(&mut stream, "/panic", "}}");
    assert!(answer.starts_with("HTTP/1.1 500") && answer.contains("\"internal_error\""), "{answer}");
    running.wait_for_log("hello.rs:");
    assert!(get(&mut stream, "/hello", "hello").starts_with("HTTP/1.1 200"), "the connection stays usable");
}

#[test]
fn a_passed_socket_is_served_and_outlives_the_process() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    // Pass it as stdin, because that descriptor is inherited without unsafe code.
    let passed = OwnedFd::from(socket.try_clone().unwrap());
    let running = Program::new()
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDS_FIRST_FD", "0")
        .env("PORT", "1")
        .stdin(passed)
        .start_as_told();
    assert_eq!(running.port, port, "{}", running.status);
    get(&mut running.connect(), "/hello", "hello");

    running.signal(SIGTERM);
    assert_eq!(running.ended().code, Some(0));
    let waiting = connect(port);
    let (_accepted, peer) = accept(&socket);
    assert_eq!(peer, waiting.local_addr().unwrap());
}

/// Accepts a connection that is already in the backlog. The other process has made the shared socket non-blocking,
/// which is undone first.
fn accept(socket: &TcpListener) -> (std::net::TcpStream, std::net::SocketAddr) {
    socket.set_nonblocking(false).unwrap();
    socket.accept().unwrap()
}

#[test]
fn a_descriptor_that_is_not_a_socket_is_refused() {
    let ended = Program::new().env("LISTEN_FDS", "1").env("LISTEN_FDS_FIRST_FD", "0").end();
    assert_eq!(ended.code, Some(78));
    assert!(ended.stderr.contains("LISTEN_FDS"), "{}", ended.stderr);
}

#[test]
fn the_soft_descriptor_limit_is_raised() {
    let running = Program::new().through("ulimit -S -n 24").start();
    let mut crowd: Vec<_> = (0..64).map(|_| running.connect()).collect();
    for stream in &mut crowd {
        get(stream, "/hello", "hello");
    }
}

/// The connection limit is derived from the descriptor limit at the start, so that connections never use up all
/// descriptors. The test therefore lowers the descriptor limit afterwards.
#[cfg(target_os = "linux")]
#[test]
fn accepting_resumes_after_descriptor_exhaustion() {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

    let mut running = Program::new().start();
    let open = std::fs::read_dir(format!("/proc/{}/fd", running.pid())).unwrap().count();
    let few = Rlimit { current: Some(open as u64 + 4), ..getrlimit(Resource::Nofile) };
    prlimit(Pid::from_raw(running.pid().cast_signed()), Resource::Nofile, few).unwrap();
    let crowd: Vec<_> = (0..16).map(|_| running.connect()).collect();
    running.wait_for_log("cannot accept connections");
    drop(crowd);
    running.wait_for_log("accepting connections again");
    get(&mut running.connect(), "/hello", "hello");
}

#[test]
fn a_unix_socket_serves_beside_the_port_and_is_removed_at_the_end() {
    let program = Program::new();
    let path = program.home().join("service.sock");
    let running = program.arg("--unix-socket").arg(&path).start();
    get(&mut running.connect(), "/hello", "hello");
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    running.signal(SIGTERM);
    let ended = running.ended();
    assert_eq!(ended.code, Some(0));
    assert!(!path.exists());
}

#[test]
fn certificates_that_cannot_be_used_are_named_at_the_start() {
    let ended = Program::new().arg("--tls-cert=/nowhere/cert.pem").end();
    assert_eq!(ended.code, Some(64), "{}", ended.stderr);
    assert!(ended.stderr.contains("tls.cert and tls.key belong together"), "{}", ended.stderr);
    let ended =
        Program::new().arg("--port=0").arg("--tls-cert=/nowhere/cert.pem").arg("--tls-key=/nowhere/key.pem").end();
    assert_eq!(ended.code, Some(78), "{}", ended.stderr);
    assert!(ended.stderr.contains("/nowhere/cert.pem"), "{}", ended.stderr);
}
