//! `mock-upstream PORT`: the benchmark's upstream, on 127.0.0.1.

use anyhow::Context as _;
use signalbox_load::{descriptors, mock};
use tokio::net::TcpSocket;

#[global_allocator]
static ALLOCATOR: signalbox_daemon::Allocator = signalbox_daemon::ALLOCATOR;

/// Listen backlog: thousands of streams begin within a second or two.
const BACKLOG: u32 = 4096;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let port: u16 = std::env::args().nth(1).context("which port?")?.parse().context("not a port")?;
    descriptors::raise_limit().context("cannot raise the limit of open files")?;
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into()).with_context(|| format!("cannot listen on {port}"))?;
    mock::serve(socket.listen(BACKLOG)?).await;
    Ok(())
}
