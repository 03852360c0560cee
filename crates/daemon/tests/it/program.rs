//! The program under test, and a client for it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Timeout that only a hang reaches.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A program to be started, with an empty environment and an empty home directory.
pub(crate) struct Program {
    home: tempfile::TempDir,
    command: Command,
}

/// A program that is listening.
pub(crate) struct Running {
    _home: tempfile::TempDir,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    stderr: Option<BufReader<ChildStderr>>,
    /// First line on stdout, without its newline.
    pub(crate) status: String,
    pub(crate) port: u16,
}

/// Result of a program that has ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// Output on stdout after the status line.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

// === impl Program ===

impl Program {
    pub(crate) fn new() -> Self {
        let mut program = Self::bare();
        program.command.arg("--data-dir").arg(program.home.path());
        program
    }

    /// Creates a program that is not even told its home directory.
    pub(crate) fn bare() -> Self {
        let mut command = Command::new(executable());
        command.env_clear().stdin(Stdio::null());
        Self { home: tempfile::tempdir().unwrap(), command }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn file(self, text: &str) -> Self {
        std::fs::write(self.home.path().join("hello.toml"), text).unwrap();
        self
    }

    pub(crate) fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// Starts the same program through a shell that first runs `preparation`.
    pub(crate) fn through(mut self, preparation: &str) -> Self {
        let mut command = Command::new("/bin/sh");
        let script = format!("{preparation}; exec \"$0\" \"$@\"");
        command.env_clear().args(["-c", &script]).arg(self.command.get_program()).args(self.command.get_args());
        command.stdin(Stdio::null());
        self.command = command;
        self
    }

    /// Runs the program until it ends.
    pub(crate) fn end(mut self) -> Ended {
        let output = self.command.output().unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts the program on any free port and waits for its status line.
    pub(crate) fn start(self) -> Running {
        self.arg("--port=0").start_as_told()
    }

    /// Starts the program and waits for its status line.
    pub(crate) fn start_as_told(mut self) -> Running {
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut status = String::new();
        if stdout.read_line(&mut status).unwrap() == 0 {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            panic!("{:?} without a status line: {log}", child.wait());
        }
        let status = status.trim_end().to_owned();
        let digits: String = status.rsplit_once(':').unwrap().1.chars().take_while(char::is_ascii_digit).collect();
        let port = match serde_json::from_str::<serde_json::Value>(&status) {
            Ok(json) => json["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap(),
            Err(_) => digits.parse().unwrap(),
        };
        Running { _home: self.home, child, stdin, stdout, stderr: Some(stderr), status, port }
    }
}

// === impl Running ===

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.port)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Writes a line to its stdin, which must be a pipe.
    pub(crate) fn tell(&mut self, line: &str) {
        self.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    pub(crate) fn close_stderr(&mut self) {
        self.stderr = None;
    }

    /// Reads its log up to a line that contains `text`.
    pub(crate) fn wait_for_log(&mut self, text: &str) {
        let mut log = String::new();
        while !log.contains(text) {
            let stderr = self.stderr.as_mut().unwrap();
            assert_ne!(stderr.read_line(&mut log).unwrap(), 0, "no `{text}` in the log: {log}");
        }
    }

    /// Waits until it has ended.
    pub(crate) fn ended(mut self) -> Ended {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        if let Some(log) = &mut self.stderr {
            log.read_to_string(&mut stderr).unwrap();
        }
        Ended { code: self.child.wait().unwrap().code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It is still running only if an assertion has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === the client ===

pub(crate) fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
    stream.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
    stream
}

/// Sends `GET path` and reads the response, which should end with `end`.
pub(crate) fn get(stream: &mut TcpStream, path: &str, end: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    read_until(stream, end)
}

pub(crate) fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(end.as_bytes()) {
        match stream.read(&mut byte) {
            Ok(1) => answer.push(byte[0]),
            other => panic!("{other:?} after {}", answer.escape_ascii()),
        }
    }
    String::from_utf8(answer).unwrap()
}

/// Reads everything up to the end of the connection; a reset counts as the end.
pub(crate) fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{}", answer.escape_ascii());
    }
    String::from_utf8(answer).unwrap()
}

/// Returns the path of the example; Cargo puts examples beside the directory of the test binary.
pub(crate) fn executable() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let built = deps.ancestors().nth(2).unwrap().join("examples").join("hello");
    assert!(built.exists(), "{} is not built: run the tests of the whole package", built.display());
    built
}
