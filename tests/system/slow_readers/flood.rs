//! A provider that sends without end.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};

/// Sends as fast as possible with small kernel buffers: the fake provider, with default buffers, would have to send
/// megabytes for each reader before it is held back.
pub(super) struct Flood {
    port: u16,
    open: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

/// Size of the kernel's send buffer for each connection, in bytes.
const BUFFER: u32 = 16 << 10;
const EVENT: usize = 4 << 10;

// === impl Flood ===

impl Flood {
    pub(super) fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(BUFFER).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1024).unwrap();
        let (port, open) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let server = tokio::spawn(serve(listener, Arc::clone(&open)));
        Self { port, open, server }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// Returns the number of open connections.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, open: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        let open = Arc::clone(&open);
        tokio::spawn(async move {
            // The answer is endless: it only ends when the router closes the connection.
            assert!(flood(stream, &open).await.is_err());
        });
    }
}

/// Counts the connection as open from its request on. A request for the list of models is refused.
async fn flood(mut stream: TcpStream, open: &AtomicUsize) -> std::io::Result<()> {
    let mut request = [0; 4096];
    if stream.read(&mut request).await? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    if request.starts_with(b"GET ") {
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
        return Err(std::io::ErrorKind::Unsupported.into());
    }
    open.fetch_add(1, Ordering::SeqCst);
    let sent = send_events(&mut stream).await;
    open.fetch_sub(1, Ordering::SeqCst);
    sent
}

async fn send_events(stream: &mut TcpStream) -> std::io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        .await?;
    let word = "x".repeat(EVENT);
    let event = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}},\"finish_reason\":null}}]}}\n\n"
    );
    let mut chunk = Vec::new();
    write!(chunk, "{:x}\r\n{event}\r\n", event.len())?;
    loop {
        stream.write_all(&chunk).await?;
    }
}
