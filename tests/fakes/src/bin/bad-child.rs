//! `bad-child`: a service that api-server can run in place of a real one and that misbehaves as configured in the file
//! `bad-child` of its data directory. The file is read at each start; without it the service behaves correctly.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

const HELP: &str = "Words for the file, any number of them:
  exit:N      exits with this code before it listens
  crash:MS    exits with code 1, MS milliseconds after it has begun to listen
  fork        starts a child that ignores SIGTERM
  escape      starts a child in its own session
  deaf        ignores SIGTERM
  spam        first writes 20 MB each to stdout and stderr
  silent      never announces its address
  chatty      announces it only as text, as the Node.js version did
  unready     responds to readiness checks with 503
  stranger    responds to health checks with another instance
  deadlock    becomes ready, then stops responding";

/// A service that misbehaves as configured in the file `bad-child` of its data directory.
#[derive(Debug, Parser)]
#[command(name = "bad-child", version, after_help = HELP)]
struct Args {
    #[arg(long)]
    data_dir: PathBuf,
    /// Arguments that api-server passes to every service; ignored.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _rest: Vec<String>,
    #[arg(long, hide = true)]
    host: Option<String>,
    #[arg(long, hide = true)]
    port: Option<String>,
}

/// Contents of the configuration file: words separated by white space.
#[derive(Clone, Debug)]
struct Manners(String);

// === impl Manners ===

impl Manners {
    fn has(&self, word: &str) -> bool {
        self.0.split_whitespace().any(|known| known == word)
    }

    fn number(&self, word: &str) -> Option<u64> {
        self.0.split_whitespace().find_map(|known| known.strip_prefix(word)?.strip_prefix(':')?.parse().ok())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let manners = Manners(std::fs::read_to_string(args.data_dir.join("bad-child")).unwrap_or_default());
    eprintln_bytes(b"bad-child: here I am\n");
    if manners.has("spam") {
        let line = [b'x'; 1023].into_iter().chain([b'\n']).collect::<Vec<u8>>();
        for _ in 0..20_000 {
            std::io::stdout().write_all(&line).ok();
            eprintln_bytes(&line);
        }
    }
    for (word, program) in [("fork", "sh"), ("escape", "setsid")] {
        if manners.has(word) {
            let script = "trap '' TERM; exec sleep 1000";
            let words: &[&str] = if word == "fork" { &["-c", script] } else { &["sleep", "1000"] };
            Command::new(program).args(words).stdin(Stdio::null()).stdout(Stdio::null()).spawn().context(program)?;
        }
    }
    if let Some(code) = manners.number("exit") {
        eprintln_bytes(b"bad-child: these are my last words\n");
        std::process::exit(i32::try_from(code)?);
    }
    std::thread::spawn(|| {
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        std::process::exit(110);
    });
    let mut terminate = signal(SignalKind::terminate())?;
    listen(&manners)?;
    if let Some(after) = manners.number("crash") {
        tokio::time::sleep(Duration::from_millis(after)).await;
        std::process::exit(1);
    }
    while manners.has("deaf") {
        terminate.recv().await;
    }
    terminate.recv().await;
    Ok(())
}

/// Writes to stderr and ignores errors: a closed pipe must not end the process.
fn eprintln_bytes(bytes: &[u8]) {
    std::io::stderr().write_all(bytes).ok();
}

fn listen(manners: &Manners) -> anyhow::Result<()> {
    let mut passed = listenfd::ListenFd::from_env();
    let mut port = 0;
    for index in 0..passed.len() {
        let socket = passed.take_tcp_listener(index)?.context("the passed socket is invalid")?;
        if index == 0 {
            port = socket.local_addr()?.port();
        }
        tokio::spawn(accept(TcpListener::from_std(socket)?, manners.clone()));
    }
    let instance = std::process::id();
    let line = match manners {
        silent if silent.has("silent") => return Ok(()),
        chatty if chatty.has("chatty") => format!("Server listening on http://127.0.0.1:{port}"),
        _ => format!(r#"{{"event":"listening","instance":"{instance}","addr":"127.0.0.1:{port}"}}"#),
    };
    writeln!(std::io::stdout(), "{line}").context("cannot write to stdout")
}

async fn accept(socket: TcpListener, manners: Manners) {
    while let Ok((stream, _)) = socket.accept().await {
        tokio::spawn(answer(stream, manners.clone()));
    }
}

async fn answer(mut stream: TcpStream, manners: Manners) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let length = stream.read(&mut request).await?;
    let ready = request[..length].starts_with(b"GET /health/ready ");
    if manners.has("deadlock") && !ready {
        return std::future::pending().await;
    }
    let status = if manners.has("unready") && ready { "503 Service Unavailable" } else { "200 OK" };
    let instance = if manners.has("stranger") { "another-instance".to_owned() } else { std::process::id().to_string() };
    let body = format!(r#"{{"instance":"{instance}"}}"#);
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await
}
