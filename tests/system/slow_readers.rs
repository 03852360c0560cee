//! Clients that stop reading hold back only their own provider, and only for a limited time.
//!
//! `SLOW_READERS` sets their number. Each takes two descriptors of the test and two of the router.

mod flood;

use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt::TcpMaxSeg};
use signalbox_fakes::{
    Turn,
    script::{Chat, Text},
};
use signalbox_harness::{eventually, within};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use crate::{
    dice::times,
    footprint::resident,
    gateway::{CHAT, chat},
    lone_router::LoneRouter,
};
use flood::Flood;

/// Maximum additional memory for all clients together, in bytes.
const ROOM: u64 = 256 << 20;
/// Allowed difference between two waves, in bytes.
const SLACK: u64 = 16 << 20;
const REQUESTS: usize = 100;

/// Opens a connection that requests a flood, reads its beginning, and then stops reading.
async fn stalled(port: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // Segments of a size common on networks: with loopback's, the kernel buffers megabytes for each client.
    setsockopt(&socket, TcpMaxSeg, &1400).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(([127, 0, 0, 1], port).into()).await.unwrap();
    let body = chat("flood/m", true).to_string();
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all([head, body].concat().as_bytes()).await.unwrap();
    let mut begin = [0; 64];
    within("the beginning of a stream", stream.read_exact(&mut begin)).await.unwrap();
    assert!(begin.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&begin));
    stream
}

/// Stalls many clients at the same time while another one sends requests, until the last stalled client is
/// disconnected. Returns the peak memory of the router.
async fn wave(lone: &LoneRouter, flood: &Flood, readers: usize) -> u64 {
    let (router, pid) = (lone.client(), lone.process().pid());
    let mut clients = Vec::new();
    for _ in 0..readers {
        clients.push(stalled(router.port()).await);
    }
    assert_eq!(flood.open(), readers, "some were closed before the last one connected");
    let mut peak = 0;
    for number in 0..REQUESTS {
        let answer = router.post(CHAT, &chat("fake/m", number % 2 == 0)).await.expect(200);
        assert!(answer.complete);
        peak = peak.max(resident(pid));
    }
    eventually("the end of the stalled readers", async || {
        peak = peak.max(resident(pid));
        (flood.open() == 0).then_some(())
    })
    .await;
    peak
}

#[tokio::test]
async fn fc_56_fc_65_i13_stalled_readers_use_bounded_memory_and_time_out() {
    let readers = times("SLOW_READERS", 100);
    // Long enough for all clients to stall at the same time, even on a busy machine.
    let patience = (readers / 20).max(10);
    let lone = LoneRouter::configured(&format!("[server]\nwrite_timeout = \"{patience}s\"\n")).await;
    let flood = Flood::start();
    lone.add_provider("flood", &flood.url()).await;
    for _ in 0..10 {
        lone.client().post(CHAT, &chat("fake/m", false)).await.expect(200);
    }
    let base = resident(lone.process().pid());

    // A client that reads an endless answer.
    let more = Turn::from(Chat { text: Text::Endless, ..Chat::default() });
    lone.fake.script("more", more.delay(Duration::from_millis(1)));
    let mut endless = lone.client().stream(CHAT, &chat("fake/more", true)).await;
    let endless = tokio::spawn(async move { while endless.next_text().await.is_some() {} });
    let peaks = [wave(&lone, &flood, readers).await, wave(&lone, &flood, readers).await];
    assert!(!endless.is_finished(), "a reader that reads was cut off");
    assert_eq!(lone.metric("signalbox_requests_in_flight").await, 1);
    endless.abort();
    lone.becomes_idle().await;

    let [first, second] = peaks.map(|peak| peak.saturating_sub(base));
    assert!(first <= ROOM && second <= ROOM, "{} and {} MiB more than before", first >> 20, second >> 20);
    // The allocator may keep memory for the next wave, but the next wave must not need more.
    assert!(second <= first + first / 4 + SLACK, "{} MiB, then {} MiB", first >> 20, second >> 20);
}
