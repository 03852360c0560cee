//! A page that imitates chat.qwen.ai: a visitor gets cookies at once, and a token after the test has logged in.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The token of the logged-in user. Its payload is `{"id":"u-1","exp":1900000000}`.
pub(super) const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6InUtMSIsImV4cCI6MTkwMDAwMDAwMH0.bm9ib2R5IGNoZWNrcyBpdA";
/// Expiry of the token, in Unix seconds.
pub(super) const EXPIRES_AT: i64 = 1_900_000_000;

/// The page for visitors: polls every half second for a login and then continues.
const VISITOR: &str = "<script>setInterval(async () => {
    if (await (await fetch('/asked')).text() === 'yes') location = '/home'
}, 500)</script>";
/// The page after the login: sets one more cookie after a delay.
const HOME: &str = "<script>setTimeout(() => { document.cookie = 'late=1' }, 700)</script>";

/// A server of the page, until dropped.
#[derive(Debug)]
pub(super) struct Page {
    port: u16,
    logged_in: Arc<AtomicBool>,
    asked: watch::Receiver<usize>,
    server: JoinHandle<()>,
}

// === impl Page ===

impl Page {
    pub(super) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let logged_in = Arc::new(AtomicBool::new(false));
        let (asks, asked) = watch::channel(0);
        let says = Arc::clone(&logged_in);
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, asks.clone(), Arc::clone(&says)));
            }
        });
        Self { port, logged_in, asked, server }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Waits until the page for visitors has polled `times` times.
    pub(super) async fn asked(&self, times: usize) {
        self.asked.clone().wait_for(|asked| *asked >= times).await.unwrap();
    }

    /// Simulates the user's login.
    pub(super) fn log_in(&self) {
        self.logged_in.store(true, Ordering::Relaxed);
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Answers one request. Browsers also open connections that they do not use, and close them at any time.
async fn answer(mut stream: TcpStream, asks: watch::Sender<usize>, logged_in: Arc<AtomicBool>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let (cookies, body) = match head.split(' ').nth(1) {
        Some("/asked") => {
            asks.send_modify(|asked| *asked += 1);
            (String::new(), if logged_in.load(Ordering::Relaxed) { "yes" } else { "no" })
        }
        Some("/home") => (format!("set-cookie: token={TOKEN}; Path=/; HttpOnly\r\n"), HOME),
        _ => ("set-cookie: aui=visitor; Path=/; Max-Age=2000000000\r\n".to_owned(), VISITOR),
    };
    let len = body.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n{cookies}content-length: {len}\r\n\r\n{body}"
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}
