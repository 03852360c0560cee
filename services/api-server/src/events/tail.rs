//! Live log lines, for listeners that send `logs:subscribe`.
//!
//! The log rotator publishes new lines, and one task forwards them. A subscription starts with the last lines
//! (`logs:subscribed`); a line written while these are read is sent twice instead of never. No listener is waited for:
//! lines that do not fit into an event, or into the queue of a slow listener, are left out, and the next event counts
//! them (`missed`).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use socketioxide::extract::SocketRef;
use socketioxide::{SendError, SocketError};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};

use super::emit::emit;
use super::pages::PageGuard;
use super::payload;
use crate::logs::{COMBINED, LogDir, LogOutput, MAX_LINES, SERVICES, last_lines};

/// Capacity of the queue of subscriptions. The task handles them at once, so the bound is never reached in practice.
const QUEUE_CAPACITY: usize = 64;
/// Default number of lines at the start of a subscription.
const DEFAULT_LINES: usize = 50;
/// Maximum bytes of the lines in one event. Up to 128 events are queued per listener.
const EVENT_LIMIT: usize = 64 * 1024;
/// Maximum bytes of the lines at the start of a subscription.
const HISTORY_LIMIT: usize = 1024 * 1024;

/// Message of a listener; `lines` only applies to a new subscription.
#[derive(Debug, Deserialize)]
pub(super) struct Subscription {
    service: String,
    #[serde(default)]
    lines: Option<usize>,
}

/// Handle that accepts the messages of listeners. Clones lead to the same task.
#[derive(Clone, Debug)]
pub(super) struct LogSubscriptions {
    logs: LogDir,
    pages: PageGuard,
    requests: mpsc::Sender<SubscriptionRequest>,
}

/// Subscribers of the logs; [`super::publish`] runs the task.
#[derive(Debug)]
pub struct LogTails {
    requests: mpsc::Receiver<SubscriptionRequest>,
    readers: HashMap<String, Vec<Reader>>,
}

#[derive(Debug)]
enum SubscriptionRequest {
    Begin { socket: SocketRef, service: String, file: PathBuf, lines: usize },
    End { socket: SocketRef, service: String },
}

#[derive(Debug)]
struct Reader {
    socket: SocketRef,
    /// Lines left out because the queue of the listener was full.
    missed: usize,
}

/// Lines of one event.
#[derive(Debug, PartialEq, Eq)]
struct Lines {
    lines: Vec<String>,
    /// Number of lines left out before them.
    missed: usize,
}

/// Creates the handle for messages of listeners, and the task that handles them.
pub(super) fn open(logs: LogDir, pages: PageGuard) -> (LogSubscriptions, LogTails) {
    let (sender, requests) = mpsc::channel(QUEUE_CAPACITY);
    (LogSubscriptions { logs, pages, requests: sender }, LogTails { requests, readers: HashMap::new() })
}

// === impl LogSubscriptions ===

impl LogSubscriptions {
    /// Handles `logs:subscribe`.
    pub(super) async fn begin(&self, socket: SocketRef, said: Option<Subscription>) {
        let Some(Subscription { service, lines }) = said else {
            return refuse(&socket, None, "name a log: {service: \"provider-router\", lines: 50}");
        };
        let lines = lines.unwrap_or(DEFAULT_LINES);
        if lines > MAX_LINES {
            return refuse(&socket, Some(&service), &format!("lines must be at most {MAX_LINES}"));
        }
        if !self.pages.admits(&socket, "/api/logs/combined") {
            return refuse(&socket, Some(&service), "the origin of this page is not allowed to read the logs");
        }
        let Some(file) = self.logs.file(&service) else {
            let names = SERVICES.join(", ");
            return refuse(
                &socket,
                Some(&service),
                &format!("the log does not exist; the logs are {COMBINED}, {names}"),
            );
        };
        // Without the task the server is shutting down.
        self.requests.send(SubscriptionRequest::Begin { socket, service, file, lines }).await.ok();
    }

    /// Handles the end of a subscription.
    pub(super) async fn end(&self, socket: SocketRef, said: Option<Subscription>) {
        match said {
            Some(Subscription { service, .. }) => {
                drop(self.requests.send(SubscriptionRequest::End { socket, service }).await)
            }
            None => refuse(&socket, None, "name a log: {service: \"provider-router\"}"),
        }
    }
}

// === impl LogTails ===

impl LogTails {
    /// Forwards new log lines to the subscribers.
    pub(super) async fn run(mut self, mut news: broadcast::Receiver<Arc<LogOutput>>) {
        loop {
            tokio::select! {
                Some(wish) = self.requests.recv() => self.handle(wish).await,
                written = news.recv() => match written {
                    Ok(written) => self.pass_on(&written),
                    Err(RecvError::Lagged(_)) => self.interrupt(),
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    async fn handle(&mut self, wish: SubscriptionRequest) {
        match wish {
            SubscriptionRequest::End { socket, service } => self.forget(&socket, &service),
            SubscriptionRequest::Begin { socket, service, file, lines } => {
                self.forget(&socket, &service);
                let read = tokio::task::spawn_blocking(move || last_lines(&file, lines)).await;
                match read.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
                    Ok(last) => {
                        let Lines { lines, missed } = bounded(last, HISTORY_LIMIT);
                        let event = json!({"service": service, "lines": lines, "missed": missed, "timestamp": payload::timestamp()});
                        emit(&socket, payload::LOG_SUBSCRIBED, &event);
                        self.readers.entry(service).or_default().push(Reader { socket, missed: 0 });
                    }
                    Err(error) => refuse(&socket, Some(&service), &format!("cannot read the log: {error}")),
                }
            }
        }
    }

    fn forget(&mut self, socket: &SocketRef, service: &str) {
        if let Some(readers) = self.readers.get_mut(service) {
            readers.retain(|reader| reader.socket.id != socket.id);
        }
    }

    fn pass_on(&mut self, written: &LogOutput) {
        for (service, prefix) in [(written.name, String::new()), (COMBINED, format!("[{}] ", written.name))] {
            if self.is_read(service) {
                let text = String::from_utf8_lossy(&written.text);
                let gap = (written.left_out > 0).then(|| format!("… {} bytes omitted …", written.left_out));
                let lines = text.lines().map(|line| format!("{prefix}{line}"));
                self.emit(service, &bounded(gap.into_iter().chain(lines).collect(), EVENT_LIMIT));
            }
        }
    }

    /// Tells subscribers that an unknown number of lines was left out, because this task was slower than the keeper.
    fn interrupt(&mut self) {
        let services: Vec<String> = self.readers.keys().cloned().collect();
        let note = Lines { lines: vec!["… some lines omitted …".to_owned()], missed: 0 };
        for service in services {
            if self.is_read(&service) {
                self.emit(&service, &note);
            }
        }
    }

    /// Returns whether a log has connected subscribers; removes the disconnected ones.
    fn is_read(&mut self, service: &str) -> bool {
        let Some(readers) = self.readers.get_mut(service) else { return false };
        readers.retain(|reader| reader.socket.connected());
        if readers.is_empty() {
            self.readers.remove(service);
            return false;
        }
        true
    }

    fn emit(&mut self, service: &str, Lines { lines, missed }: &Lines) {
        for reader in self.readers.get_mut(service).into_iter().flatten() {
            let missed = reader.missed + missed;
            let event =
                json!({"service": service, "lines": lines, "missed": missed, "timestamp": payload::timestamp()});
            reader.missed = match reader.socket.emit(payload::LOG_LINE, &event) {
                Err(SendError::Socket(SocketError::InternalChannelFull)) => missed + lines.len(),
                _ => 0,
            };
        }
    }
}

/// Returns the last lines that fit into `limit` bytes.
fn bounded(mut lines: Vec<String>, limit: usize) -> Lines {
    let mut room = limit;
    let fitting = lines.iter().rev().take_while(|line| {
        let fits = line.len() < room;
        room = room.saturating_sub(line.len() + 1);
        fits
    });
    let missed = lines.len() - fitting.count();
    Lines { lines: lines.split_off(missed), missed }
}

fn refuse(socket: &SocketRef, service: Option<&str>, why: &str) {
    emit(socket, payload::LOG_ERROR, &json!({ "service": service, "error": why }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excess_lines_are_counted_and_the_last_ones_sent() {
        let lines = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(bounded(lines(&["a", "b"]), 4), Lines { lines: lines(&["a", "b"]), missed: 0 });
        assert_eq!(bounded(lines(&["aa", "b", "c"]), 6), Lines { lines: lines(&["b", "c"]), missed: 1 });
        assert_eq!(bounded(lines(&["a", "too long", "c"]), 6), Lines { lines: lines(&["c"]), missed: 2 });
        assert_eq!(bounded(Vec::new(), 6), Lines { lines: Vec::new(), missed: 0 });
    }
}
