//! Accepting connections, and what is at which path.

mod control;

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
    chat::Asked,
    gate::Gate,
    http::{NoRequest, Request},
    play::{Over, Stage, Then},
    script::{Script, Turn, names},
    wire::Wire,
};

const MODELS: &str = r#"{"object":"list","data":[{"id":"fake-echo","object":"model","created":1700000000,"owned_by":"fake"},{"id":"fake-60x100","object":"model","created":1700000000,"owned_by":"fake"}]}"#;

/// What all connections of a fake share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) calls: CallLog,
    scripts: RwLock<HashMap<String, Arc<Scripted>>>,
    connections: AtomicUsize,
}

/// A script and how far it is.
#[derive(Debug)]
struct Scripted {
    script: Script,
    calls: AtomicUsize,
    gate: Gate,
}

/// Counts a connection while it lives.
struct Open(Arc<Shared>);

// === impl Shared ===

impl Shared {
    pub(crate) fn script(&self, model: String, script: Script) -> Gate {
        let gate = Gate::closed();
        let scripted = Arc::new(Scripted { script, calls: AtomicUsize::new(0), gate: gate.clone() });
        self.scripts.write().unwrap_or_else(PoisonError::into_inner).insert(model, scripted);
        gate
    }

    pub(crate) fn gate(&self, model: &str) -> Option<Gate> {
        let scripts = self.scripts.read().unwrap_or_else(PoisonError::into_inner);
        scripts.get(model).map(|scripted| scripted.gate.clone())
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// What the next call of `model` gets: its script, else what its name says, else an echo.
    fn next_turn(&self, model: &str) -> (Turn, Gate) {
        let scripted = self.scripts.read().unwrap_or_else(PoisonError::into_inner).get(model).cloned();
        match scripted {
            Some(scripted) => {
                let call = scripted.calls.fetch_add(1, Ordering::SeqCst);
                (scripted.script.turn(call), scripted.gate.clone())
            }
            None => (names::turn(model).unwrap_or_default(), Gate::closed()),
        }
    }
}

// === impl Open ===

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        shared.calls.touch();
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
        self.0.calls.touch();
    }
}

/// Serves until it is dropped, and all its connections with it.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                }
                // Most likely out of file descriptors: do not spin.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection. Its errors are the client's doing and are told by the log of calls.
async fn connection(stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let _open = Open::new(Arc::clone(&shared));
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
        let keep_alive = request.keep_alive;
        let then = match answer(&mut wire, request, &shared).await {
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

async fn answer(wire: &mut Wire, request: Request, shared: &Shared) -> Then {
    let path = request.path.split('?').next().unwrap_or_default();
    if path.starts_with("/_fake/") {
        let (status, body) = control::answer(&request, shared);
        return send(wire, status, &body).await.then;
    }
    match (request.method.as_str(), path) {
        ("POST", "/v1/chat/completions") => chat(wire, request, shared).await,
        (method, path) => {
            let (status, body) = match (method, path) {
                ("GET", "/v1/models") => (200, MODELS.to_owned()),
                ("GET", "/health") => (200, r#"{"status":"ok"}"#.to_owned()),
                _ => (404, error("unknown_url", "There is nothing at this path.")),
            };
            let entry = shared.calls.begin(request, String::new());
            let over = send(wire, status, &body).await;
            shared.calls.end(&entry, over.end);
            over.then
        }
    }
}

async fn chat(wire: &mut Wire, request: Request, shared: &Shared) -> Then {
    let body = request.body.clone();
    let asked = match serde_json::from_slice::<Asked<'_>>(&body) {
        Ok(asked) => asked,
        Err(reason) => {
            let entry = shared.calls.begin(request, String::new());
            let over = send(wire, 400, &error("invalid_json", &reason.to_string())).await;
            shared.calls.end(&entry, over.end);
            return over.then;
        }
    };
    let entry = shared.calls.begin(request, asked.model.clone().into_owned());
    let (turn, gate) = shared.next_turn(&asked.model);
    let stage = Stage { wire, turn: &turn, gate: &gate, calls: &shared.calls, entry: &entry };
    let over = stage.perform(&asked).await;
    shared.calls.end(&entry, over.end);
    over.then
}

async fn send(wire: &mut Wire, status: u16, body: &str) -> Over {
    match wire.send(plain(status, body).as_bytes()).await {
        Ok(()) => Over { end: End::Completed, then: Then::Reuse },
        Err(_) => Over { end: End::ClientLeft, then: Then::Close },
    }
}

fn plain(status: u16, body: &str) -> String {
    let len = body.len();
    format!("HTTP/1.1 {status} Plain\r\ncontent-type: application/json\r\ncontent-length: {len}\r\n\r\n{body}")
}

fn error(code: &str, message: &str) -> String {
    let kind = "invalid_request_error";
    serde_json::json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string()
}
