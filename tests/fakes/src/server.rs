//! Accepting connections, and state common to all fakes.

pub(crate) mod control;

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    calls::{CallLog, End},
    gate::Gate,
    http::{NoRequest, Request},
    play::{Over, Then},
    script::{Script, Turn},
    wire::Wire,
};

/// The endpoints of a fake.
pub(crate) trait Api: Send + Sync + 'static {
    /// The fake's own form of an answer.
    type Chat: Send + Sync;

    fn shared(&self) -> &Shared<Self::Chat>;

    fn answer(&self, wire: &mut Wire, request: Request) -> impl Future<Output = Then> + Send;
}

/// State shared by all connections of a fake.
#[derive(Debug)]
pub(crate) struct Shared<C> {
    pub(crate) calls: CallLog,
    scripts: RwLock<HashMap<String, Arc<Scripted<C>>>>,
    connections: AtomicUsize,
}

/// A script and its progress.
#[derive(Debug)]
struct Scripted<C> {
    script: Script<C>,
    calls: AtomicUsize,
    gate: Gate,
}

/// Counts a connection as open until it is dropped.
struct Open<A: Api>(Arc<A>);

// === impl Shared ===

impl<C> Default for Shared<C> {
    fn default() -> Self {
        Self { calls: CallLog::default(), scripts: RwLock::default(), connections: AtomicUsize::new(0) }
    }
}

impl<C: Clone + Default> Shared<C> {
    /// Makes the calls of `name` follow `script`, starting with its first turn.
    pub(crate) fn script(&self, name: String, script: Script<C>) -> Gate {
        let gate = Gate::closed();
        let scripted = Arc::new(Scripted { script, calls: AtomicUsize::new(0), gate: gate.clone() });
        self.scripts.write().unwrap_or_else(PoisonError::into_inner).insert(name, scripted);
        gate
    }

    pub(crate) fn gate(&self, name: &str) -> Option<Gate> {
        let scripts = self.scripts.read().unwrap_or_else(PoisonError::into_inner);
        scripts.get(name).map(|scripted| scripted.gate.clone())
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Returns the turn of the next call of `name` and its gate; `None` if there is no script.
    pub(crate) fn next_turn(&self, name: &str) -> Option<(Turn<C>, Gate)> {
        let scripted = self.scripts.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()?;
        let call = scripted.calls.fetch_add(1, Ordering::SeqCst);
        Some((scripted.script.turn(call), scripted.gate.clone()))
    }
}

// === impl Open ===

impl<A: Api> Open<A> {
    fn new(api: Arc<A>) -> Self {
        api.shared().connections.fetch_add(1, Ordering::SeqCst);
        api.shared().calls.touch();
        Self(api)
    }
}

impl<A: Api> Drop for Open<A> {
    fn drop(&mut self) {
        self.0.shared().connections.fetch_sub(1, Ordering::SeqCst);
        self.0.shared().calls.touch();
    }
}

/// Serves until dropped, which also ends all its connections.
pub(crate) async fn serve<A: Api>(listener: TcpListener, api: Arc<A>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&api)));
                }
                // Most likely out of file descriptors: pause instead of spinning.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection. Its errors are caused by the client and recorded in the call log.
async fn connection<A: Api>(stream: TcpStream, api: Arc<A>) -> io::Result<()> {
    let _open = Open::new(Arc::clone(&api));
    let mut wire = Wire::new(stream)?;
    loop {
        let request = match Request::read(&mut wire).await {
            Ok(request) => request,
            Err(NoRequest::Gone) => return Ok(()),
            Err(NoRequest::Bad(reason)) => {
                let answer = plain(400, &error("bad_request", reason));
                return if wire.send(answer.as_bytes()).await.is_ok() { wire.close().await } else { Ok(()) };
            }
        };
        wire.requests += 1;
        let keep_alive = request.keep_alive;
        let then = match api.answer(&mut wire, request).await {
            Then::Reuse if !keep_alive => Then::Close,
            then => then,
        };
        match then {
            Then::Reuse => {}
            Then::Close => return wire.close().await,
            Then::Reset => return wire.reset(),
        }
    }
}

/// Sends a JSON body.
pub(crate) async fn send(wire: &mut Wire, status: u16, body: &str) -> Over {
    match wire.send(plain(status, body).as_bytes()).await {
        Ok(()) => Over { end: End::Completed, then: Then::Reuse },
        Err(_) => Over { end: End::ClientLeft, then: Then::Close },
    }
}

/// Sends a whole stream of events.
pub(crate) async fn send_events(wire: &mut Wire, body: &str) -> Over {
    let len = body.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len}\r\n\r\n");
    match wire.send(format!("{head}{body}").as_bytes()).await {
        Ok(()) => Over { end: End::Completed, then: Then::Reuse },
        Err(_) => Over { end: End::ClientLeft, then: Then::Close },
    }
}

fn plain(status: u16, body: &str) -> String {
    let len = body.len();
    format!("HTTP/1.1 {status} Plain\r\ncontent-type: application/json\r\ncontent-length: {len}\r\n\r\n{body}")
}

/// Returns an error body in OpenAI's format.
pub(crate) fn error(code: &str, message: &str) -> String {
    let kind = "invalid_request_error";
    serde_json::json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string()
}
