//! Child process for the tests of the supervisor.
//!
//! Announces the instance of its first argument, and answers health checks with the status and the instance of the
//! other two. Called with flags, as the fleet calls a service, it is healthy. It serves on the sockets it was passed,
//! and ends when its standard input does, or after its last answer on SIGTERM.

use std::io::{Read as _, Write as _};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let [mut instance, mut status, mut answered] = std::array::from_fn(|_| args.next().unwrap_or_default());
    if instance.starts_with("--") {
        // Each process is a run of its own.
        let run = std::process::id().to_string();
        [instance, status, answered] = [run.clone(), "200".to_owned(), run];
    }
    std::thread::spawn(|| {
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        std::process::exit(110);
    });

    let body = format!(r#"{{"instance":"{answered}"}}"#);
    let answer = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut passed = listenfd::ListenFd::from_env();
    let mut accepting = JoinSet::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let (leave, leaving) = watch::channel(());
    let mut addr = None;
    for index in 0..passed.len() {
        let Some(socket) = passed.take_tcp_listener(index)? else { continue };
        let socket = TcpListener::from_std(socket)?;
        addr.get_or_insert(socket.local_addr()?);
        accepting.spawn(accept(socket, answer.clone(), leaving.clone()));
    }
    let addr = addr.ok_or_else(|| std::io::Error::other("no socket was passed"))?;
    writeln!(std::io::stdout(), "not a status line")?;
    writeln!(
        std::io::stdout(),
        r#"{{"event":"listening","instance":"{instance}","addr":"{addr}","port":{},"pid":{}}}"#,
        addr.port(),
        std::process::id()
    )?;
    terminate.recv().await;
    leave.send_replace(());
    accepting.join_all().await;
    Ok(())
}

async fn accept(socket: TcpListener, answer: String, mut leaving: watch::Receiver<()>) {
    loop {
        tokio::select! {
            biased;
            accepted = socket.accept() => match accepted {
                Ok((stream, _)) => drop(serve(stream, &answer).await),
                Err(_) => return,
            },
            _ = leaving.changed() => return,
        }
    }
}

async fn serve(mut stream: TcpStream, answer: &str) -> std::io::Result<()> {
    if stream.read(&mut [0; 4096]).await? > 0 {
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}
