//! Listeners of the events.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use signalbox_daemon::{ClientKeys, Denied};
use socketioxide::SocketIo;
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::handler::ConnectHandler as _;
use socketioxide::layer::SocketIoLayer;
use tokio::task::AbortHandle;

use super::audit::AUDIT;
use super::emit::emit;
use super::metrics::METRICS;
use super::pages::PageGuard;
use super::processes::PROCESSES;
use super::requests::RequestSubscribers;
use super::room::Room;
use super::tail::{LogSubscriptions, Subscription};
use super::{PATH, payload};
use crate::app::App;
use crate::status::status_value;

/// Maximum connected listeners, well above the expected number of dashboards.
const MAX_LISTENERS: usize = 64;
/// Maximum packets queued for one listener. A dashboard further behind needs a snapshot, not the history.
const QUEUE_CAPACITY: usize = 128;
/// Maximum bytes of one message from a listener; usual ones are short.
const MAX_MESSAGE: usize = 64 * 1024;
/// Socket.IO room of the browser extensions.
const EXTENSIONS: &str = "extensions";
/// Socket.IO room of the listeners whose statuses have no lists of providers and models.
const SHORT: &str = "short";
/// Parameter of the address of the handshake with which a listener asks for that.
const SHORT_VIEW: &str = "view=short";

/// All listeners. Clones share them.
#[derive(Clone, Debug)]
pub struct Broadcaster {
    io: SocketIo,
    processes: Room,
    metrics: Room,
    audit: Room,
    requests: RequestSubscribers,
}

/// Authentication sent with the connect packet, because pages cannot set headers on a WebSocket.
#[derive(Debug, Default, Deserialize)]
struct ConnectAuth {
    #[serde(default)]
    token: Option<String>,
}

/// Reason why a listener is refused; sent as Socket.IO's `connect_error`.
#[derive(Debug, thiserror::Error)]
enum ConnectRefused {
    #[error("Unauthorized: connect with auth: {{token: \"<control token>\"}}")]
    Unauthorized,
    #[error("Too many wrong tokens from this address; try again in {0} s")]
    WrongTokens(u64),
    #[error("the maximum of {MAX_LISTENERS} listeners is connected; try again later")]
    Full,
}

impl From<Denied> for ConnectRefused {
    fn from(denied: Denied) -> Self {
        denied.retry_after().map_or(Self::Unauthorized, Self::WrongTokens)
    }
}

/// Creates the Socket.IO server, and the handle to it.
pub(super) fn server() -> (SocketIoLayer, SocketIo) {
    SocketIo::builder()
        .req_path(PATH)
        .max_buffer_size(QUEUE_CAPACITY)
        .max_payload(MAX_MESSAGE as u64)
        .ws_max_message_size(MAX_MESSAGE)
        .ws_max_frame_size(MAX_MESSAGE)
        .connect_timeout(Duration::from_secs(10))
        .build_layer()
}

async fn welcome(socket: &SocketRef, app: App, broadcaster: Broadcaster, logs: LogSubscriptions) {
    socket.on("ping", async |socket: SocketRef| {
        emit(&socket, "pong", &json!({ "timestamp": payload::timestamp() }));
    });
    let counter = logs.clone();
    socket.on("logs:subscribe", async move |socket: SocketRef, TryData(said): TryData<Subscription>| {
        counter.begin(socket, said.ok()).await;
    });
    socket.on("logs:unsubscribe", async move |socket: SocketRef, TryData(said): TryData<Subscription>| {
        logs.end(socket, said.ok()).await;
    });
    broadcaster.serve_subscriptions(socket);
    let (joining, everybody) = (app.clone(), broadcaster.clone());
    socket.on("extension:connect", async move |socket: SocketRef| {
        if is_extension(&socket) {
            return;
        }
        socket.join(EXTENSIONS);
        joining.extensions.joined();
        everybody.emit_status(&joining).await;
    });
    let until_signed_out = end_with_session(socket, &app);
    let (leaving, everybody) = (app.clone(), broadcaster);
    socket.on_disconnect(async move |socket: SocketRef| {
        if let Some(until_signed_out) = &until_signed_out {
            until_signed_out.abort();
        }
        // The rooms of a socket are left only after this handler.
        if is_extension(&socket) {
            leaving.extensions.left();
            everybody.emit_status(&leaving).await;
        }
    });
    let is_short = asks_for_short(socket);
    if is_short {
        socket.join(SHORT);
    }
    let snapshot = payload::snapshot(status_value(&app).await);
    let snapshot = if is_short { payload::without_catalogue(snapshot) } else { snapshot };
    emit(socket, payload::PROXY_STATUS, &snapshot);
}

fn asks_for_short(socket: &SocketRef) -> bool {
    let query = socket.req_parts().uri.query().unwrap_or_default();
    query.split('&').any(|parameter| parameter == SHORT_VIEW)
}

/// Ends a connection that a signed-in browser has opened when its session ends.
fn end_with_session(socket: &SocketRef, app: &App) -> Option<AbortHandle> {
    let headers = &socket.req_parts().headers;
    if !app.sessions.admits(headers) {
        return None;
    }
    let (sessions, headers, socket) = (app.sessions.clone(), headers.clone(), socket.clone());
    let task = tokio::spawn(async move {
        sessions.ended(&headers).await;
        // It may have gone in the meantime.
        let _ = socket.disconnect();
    });
    Some(task.abort_handle())
}

fn is_extension(socket: &SocketRef) -> bool {
    socket.rooms().iter().any(|room| room == EXTENSIONS)
}

// === impl Broadcaster ===

impl Broadcaster {
    pub(super) fn new(io: SocketIo, pages: &PageGuard) -> Self {
        Self {
            processes: Room::new(PROCESSES, io.clone(), pages.clone()),
            metrics: Room::new(METRICS, io.clone(), pages.clone()),
            audit: Room::new(AUDIT, io.clone(), pages.clone()),
            requests: RequestSubscribers::new(pages.clone()),
            io,
        }
    }

    /// Admits listeners: each gets a snapshot, and may identify itself as the extension, send `ping`, or subscribe to
    /// a log or to events.
    pub(super) fn admit(&self, app: App, keys: Arc<ClientKeys>, logs: LogSubscriptions) {
        let counted = self.io.clone();
        let sessions = app.sessions.clone();
        let check = async move |socket: SocketRef, TryData(introduction): TryData<ConnectAuth>| {
            let token = introduction.unwrap_or_default().token;
            let request = socket.req_parts();
            if !sessions.admits(&request.headers) {
                keys.admit_with(&request.headers, token.as_deref(), request.extensions.get())
                    .map_err(ConnectRefused::from)?;
            }
            if counted.sockets().len() >= MAX_LISTENERS {
                return Err(ConnectRefused::Full);
            }
            Ok(())
        };
        let broadcaster = self.clone();
        let welcome = async move |socket: SocketRef| welcome(&socket, app, broadcaster, logs).await;
        self.io.ns("/", welcome.with(check));
    }

    /// Handles the subscriptions of a listener to events.
    fn serve_subscriptions(&self, socket: &SocketRef) {
        self.processes.serve(socket);
        self.metrics.serve(socket);
        self.audit.serve(socket);
        let requests = self.requests.clone();
        socket.on("requests:subscribe", async move |socket: SocketRef, TryData(filter): TryData<Value>| {
            requests.begin(socket, filter.ok());
        });
        let requests = self.requests.clone();
        socket.on("requests:unsubscribe", async move |socket: SocketRef| requests.end(&socket));
    }

    /// Returns the subscribers of `audit:new`.
    pub(super) const fn audit(&self) -> &Room {
        &self.audit
    }

    /// Returns the subscribers of `metrics:tick`.
    pub(super) const fn metrics(&self) -> &Room {
        &self.metrics
    }

    /// Returns the subscribers of `requests:started` and `requests:ended`.
    pub(super) const fn requests(&self) -> &RequestSubscribers {
        &self.requests
    }

    /// Returns the subscribers of `process:stats`.
    pub(super) const fn processes(&self) -> &Room {
        &self.processes
    }

    /// Returns whether there are no listeners, so that no event needs to be built.
    pub(super) fn is_empty(&self) -> bool {
        self.io.sockets().is_empty()
    }

    /// Sends an event to all listeners except the extensions.
    pub(super) fn emit(&self, event: &str, payload: &Value) {
        for socket in self.io.except(EXTENSIONS).sockets() {
            emit(&socket, event, payload);
        }
    }

    /// Sends an event with a status to all listeners except the extensions: without the lists of providers and models to
    /// those that have asked for that.
    pub(super) fn emit_with_status(&self, event: &str, payload: &Value) {
        for socket in self.io.except(EXTENSIONS).except(SHORT).sockets() {
            emit(&socket, event, payload);
        }
        let short = self.io.to(SHORT).except(EXTENSIONS).sockets();
        if short.is_empty() {
            return;
        }
        let payload = payload::without_catalogue(payload.clone());
        for socket in short {
            emit(&socket, event, &payload);
        }
    }

    /// Sends the complete status.
    pub(super) async fn emit_status(&self, app: &App) {
        self.emit_with_status(payload::PROXY_STATUS, &payload::proxy_status(status_value(app).await));
    }

    pub(super) async fn close(&self) {
        self.io.close().await;
    }
}
