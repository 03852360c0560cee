//! The built-in fake providers: one server on loopback, whose paths name the scene and the provider.
//!
//! In each scene the target that is asked first is the *primary* one. It does what the scene says; all others answer.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use signalbox_core::Api;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{Duration, Instant, sleep},
};

use super::speech::{self, Counts, WORDS};

/// Maximum bytes of a request.
const MAX_REQUEST: usize = 8 << 20;

/// A call that a fake received.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// Number of the provider in the route.
    pub(super) provider: usize,
    /// Requested model.
    pub(super) model: String,
    /// Whether it is of the primary target.
    pub(super) is_primary: bool,
    pub(super) at: Instant,
    pub(super) body: Bytes,
    /// Time at which the router closed the connection before the answer was complete.
    pub(super) left: Option<Instant>,
}

/// The parts of a call on which the behaviour of a fake depends.
#[derive(Debug)]
pub(super) struct Heard<'a> {
    pub(super) is_primary: bool,
    /// Number of earlier calls of the same target.
    pub(super) before: usize,
    /// Value of the header with the key.
    pub(super) key: &'a str,
}

/// Behaviour of a fake.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Say(Speech),
    /// Answers with a status, headers and JSON.
    Refuse(u16, Vec<(&'static str, String)>, String),
    /// Answers 200 with a body that is not what was asked for.
    Raw(&'static str, String),
    /// Resets the connection.
    Reset,
    /// Says nothing for this time, and closes the connection.
    Silent(Duration),
}

/// A stream.
#[derive(Clone, Debug)]
pub(super) struct Speech {
    pub(super) words: usize,
    pub(super) tool: bool,
    /// Silence between the head and the first event.
    pub(super) pause: Duration,
    /// Interval of comments during that silence.
    pub(super) comments: Option<Duration>,
    /// Time between words.
    pub(super) pace: Duration,
    /// Disturbance after some pieces of the content.
    pub(super) fault: Option<(usize, StreamFault)>,
    /// Whether the last event is sent.
    pub(super) ends: bool,
    pub(super) counts: Option<Counts>,
}

/// Disturbance in the middle of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) enum StreamFault {
    /// The connection is lost.
    Cut,
    /// The body ends properly, without the events that end the answer.
    End,
    /// Nothing more comes for this time; then the connection is lost.
    Stall(Duration),
    /// An event reports an error.
    Error,
    /// A line that is no JSON; then the stream goes on.
    BadLine,
}

type Script = Arc<dyn Fn(&Heard<'_>) -> Act + Send + Sync>;

/// State of a scene.
#[derive(Default)]
struct Played {
    script: Option<Script>,
    primary: Option<(usize, String)>,
    calls: Vec<Call>,
}

/// The fakes of a run.
pub(super) struct Fakes {
    addr: SocketAddr,
    scenes: Mutex<HashMap<String, Played>>,
}

/// The server of the fakes. Dropping this stops it.
#[derive(Debug)]
pub(super) struct Serving(JoinHandle<()>);

/// A request to a fake.
struct Asked {
    scene: String,
    provider: usize,
    api: Option<Api>,
    key: String,
    body: Bytes,
}

/// The router has closed the connection.
struct Left;

// === impl Fakes ===

impl Fakes {
    /// Starts the server on a free port of loopback.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub(super) async fn start() -> io::Result<(Arc<Self>, Serving)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let fakes = Arc::new(Self { addr: listener.local_addr()?, scenes: Mutex::default() });
        let serving = Arc::clone(&fakes);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fakes = Arc::clone(&serving);
                tokio::spawn(async move { fakes.serve(stream).await });
            }
        });
        Ok((fakes, Serving(task)))
    }

    /// Returns the base URL of a provider in a scene.
    pub(super) fn url(&self, scene: &str, provider: usize) -> String {
        format!("http://{}/{scene}/{provider}", self.addr)
    }

    /// Sets what is done in a scene.
    pub(super) fn script(&self, scene: &str, script: impl Fn(&Heard<'_>) -> Act + Send + Sync + 'static) {
        self.scenes().entry(scene.to_owned()).or_default().script = Some(Arc::new(script));
    }

    /// Returns the calls of a scene.
    pub(super) fn calls(&self, scene: &str) -> Vec<Call> {
        self.scenes().get(scene).map(|played| played.calls.clone()).unwrap_or_default()
    }

    fn scenes(&self) -> MutexGuard<'_, HashMap<String, Played>> {
        self.scenes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, mut stream: TcpStream) {
        // The router sees whatever went wrong here.
        let Ok(Some(asked)) = read(&mut stream).await else { return };
        let Some(api) = asked.api else {
            let _ = stream.write_all(whole(404, "application/json", &[], "{}").as_bytes()).await;
            return;
        };
        let fields: serde_json::Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let model = fields["model"].as_str().unwrap_or_default().to_owned();
        let asks_counts = api != Api::Chat || fields["stream_options"]["include_usage"] == true;
        let (act, place) = self.note(&asked, &model);
        let done = match act {
            Act::Reset => {
                let _ = stream.set_zero_linger();
                return;
            }
            Act::Silent(span) => pause(&mut stream, span).await.map(|()| false),
            Act::Refuse(status, headers, body) => {
                let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                write(&mut stream, &whole(status, "application/json", &headers, &body)).await.map(|()| true)
            }
            Act::Raw(kind, body) => write(&mut stream, &whole(200, kind, &[], &body)).await.map(|()| true),
            Act::Say(mut speech) => {
                speech.counts = speech.counts.filter(|_| asks_counts);
                say(&mut stream, api, &model, &speech).await
            }
        };
        match done {
            Ok(true) => drop(stream.shutdown().await),
            Ok(false) => {}
            Err(Left) => {
                if let Some(call) = self.scenes().get_mut(&asked.scene).and_then(|played| played.calls.get_mut(place)) {
                    call.left = Some(Instant::now());
                }
            }
        }
    }

    /// Records a call. Returns what to do, and its number.
    fn note(&self, asked: &Asked, model: &str) -> (Act, usize) {
        let mut scenes = self.scenes();
        let played = scenes.entry(asked.scene.clone()).or_default();
        let target = (asked.provider, model.to_owned());
        let is_primary = *played.primary.get_or_insert_with(|| target.clone()) == target;
        let is_same = |call: &&Call| call.provider == asked.provider && call.model == model;
        let heard = Heard { is_primary, before: played.calls.iter().filter(is_same).count(), key: &asked.key };
        let act = played.script.as_ref().map_or_else(|| Act::Say(Speech::default()), |script| script(&heard));
        played.calls.push(Call {
            provider: asked.provider,
            model: model.to_owned(),
            is_primary,
            at: Instant::now(),
            body: asked.body.clone(),
            left: None,
        });
        (act, played.calls.len() - 1)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

// === impl Speech ===

impl Default for Speech {
    fn default() -> Self {
        Self {
            words: WORDS,
            tool: false,
            pause: Duration::ZERO,
            comments: None,
            pace: Duration::ZERO,
            fault: None,
            ends: true,
            counts: Some(Counts { prompt: 10, cached: 0, answer: 60 }),
        }
    }
}

/// Reads a request. Returns `None` if it is too large.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Asked>> {
    let mut bytes = BytesMut::with_capacity(8 << 10);
    let head = loop {
        if let Some(end) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
            break bytes.split_to(end + 4);
        }
        if bytes.len() > MAX_REQUEST || stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&head).into_owned();
    let header = |wanted: &str| {
        let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    let length: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
    while bytes.len() < length {
        if length > MAX_REQUEST || stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    let mut parts = path.trim_start_matches('/').splitn(3, '/');
    let (scene, provider) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let rest = parts.next().unwrap_or_default();
    let api = Api::ALL.into_iter().find(|api| rest.ends_with(api.path().trim_start_matches('/')));
    let key = header("authorization").or_else(|| header("x-api-key")).unwrap_or_default().to_owned();
    let (scene, provider) = (scene.to_owned(), provider.parse().unwrap_or_default());
    Ok(Some(Asked { scene, provider, api, key, body: bytes.freeze() }))
}

fn whole(status: u16, kind: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    )
}

/// Streams an answer. Returns whether the body ended properly.
async fn say(stream: &mut TcpStream, api: Api, model: &str, speech: &Speech) -> Result<bool, Left> {
    // Before the head, with which the deadlines of the router begin.
    let events = speech::events(api, model, speech.words, speech.tool, speech.counts);
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    write(stream, head).await?;
    let mut silent = speech.pause;
    while let Some(interval) = speech.comments.filter(|interval| silent > *interval) {
        pause(stream, interval).await?;
        chunk(stream, ": keep-alive\n\n").await?;
        silent -= interval;
    }
    pause(stream, silent).await?;
    for event in &events.preamble {
        chunk(stream, event).await?;
    }
    for (n, event) in events.content.iter().enumerate() {
        match speech.fault.filter(|(after, _)| *after == n).map(|(_, fault)| fault) {
            Some(StreamFault::Cut) => return Ok(false),
            Some(StreamFault::End) => return end(stream).await,
            Some(StreamFault::Stall(span)) => return pause(stream, span).await.map(|()| false),
            Some(StreamFault::Error) => {
                chunk(stream, &speech::error(api, "the quota is exhausted", "insufficient_quota")).await?;
                return end(stream).await;
            }
            Some(StreamFault::BadLine) => chunk(stream, "data: {\"broken\": tru\n\n").await?,
            None => {}
        }
        chunk(stream, event).await?;
        if !speech.pace.is_zero() {
            pause(stream, speech.pace).await?;
        }
    }
    for event in &events.closing {
        chunk(stream, event).await?;
    }
    if speech.ends {
        chunk(stream, &events.last).await?;
    }
    end(stream).await
}

async fn end(stream: &mut TcpStream) -> Result<bool, Left> {
    write(stream, "0\r\n\r\n").await.map(|()| true)
}

async fn chunk(stream: &mut TcpStream, text: &str) -> Result<(), Left> {
    write(stream, &format!("{:x}\r\n{text}\r\n", text.len())).await
}

async fn write(stream: &mut TcpStream, text: &str) -> Result<(), Left> {
    stream.write_all(text.as_bytes()).await.map_err(|_| Left)
}

/// Waits, unless the router closes the connection.
async fn pause(stream: &mut TcpStream, span: Duration) -> Result<(), Left> {
    if span.is_zero() {
        return Ok(());
    }
    let mut byte = [0];
    tokio::select! {
        () = sleep(span) => Ok(()),
        read = stream.read(&mut byte) => match read {
            Ok(1) => Ok(()),
            _ => Err(Left),
        },
    }
}
