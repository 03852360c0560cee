//! The logs as they grow: who wants to read along says `logs:subscribe`.
//!
//! The keeper of the logs tells what has been written, and one task passes it on. A subscription begins with the last
//! lines (`logs:subscribed`); what is written while they are read comes twice rather than never. Nobody is waited for:
//! lines that do not fit into an event, or into the queue of a slow listener, are left out, and the next event says how
//! many (`missed`).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use http::Request;
use http::header::ORIGIN;
use serde::Deserialize;
use serde_json::json;
use signalbox_daemon::Doors;
use socketioxide::extract::SocketRef;
use socketioxide::{SendError, SocketError};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};

use super::payload;
use crate::logs::{COMBINED, LogDir, MAX_LINES, SERVICES, Written, last_lines};

/// Wishes that wait. They are granted at once, so the bound is only a bound.
const WISHES: usize = 64;
/// Lines a subscription begins with unless it says how many.
const LINES: usize = 50;
/// Bytes of the lines of one event. 128 such events may wait for a listener.
const EVENT_LIMIT: usize = 64 * 1024;
/// Bytes of the lines a subscription begins with.
const HISTORY_LIMIT: usize = 1024 * 1024;

/// What a listener says; `lines` only to begin.
#[derive(Debug, Deserialize)]
pub(super) struct Subscription {
    service: String,
    #[serde(default)]
    lines: Option<usize>,
}

/// Takes what listeners say. Clones lead to the same task.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    logs: LogDir,
    doors: Arc<Doors>,
    wishes: mpsc::Sender<Wish>,
}

/// Who reads along. [`super::publish`] makes it run.
#[derive(Debug)]
pub struct Tails {
    wishes: mpsc::Receiver<Wish>,
    readers: HashMap<String, Vec<Reader>>,
}

#[derive(Debug)]
enum Wish {
    Begin { socket: SocketRef, service: String, file: PathBuf, lines: usize },
    End { socket: SocketRef, service: String },
}

#[derive(Debug)]
struct Reader {
    socket: SocketRef,
    /// Lines that found its queue full.
    missed: usize,
}

/// The lines of an event.
#[derive(Debug, PartialEq, Eq)]
struct Lines {
    lines: Vec<String>,
    /// How many in front of them were left out.
    missed: usize,
}

/// Where listeners are heard, and where that leads.
pub(super) fn open(logs: LogDir, doors: Arc<Doors>) -> (Counter, Tails) {
    let (sender, wishes) = mpsc::channel(WISHES);
    (Counter { logs, doors, wishes: sender }, Tails { wishes, readers: HashMap::new() })
}

// === impl Counter ===

impl Counter {
    /// Of a listener that wants to read along.
    pub(super) async fn begin(&self, socket: SocketRef, said: Option<Subscription>) {
        let Some(Subscription { service, lines }) = said else {
            return refuse(&socket, None, "say which log: {service: \"provider-router\", lines: 50}");
        };
        let lines = lines.unwrap_or(LINES);
        if lines > MAX_LINES {
            return refuse(&socket, Some(&service), &format!("lines takes a number up to {MAX_LINES}"));
        }
        if !self.is_open_to(&socket) {
            return refuse(&socket, Some(&service), "this page may not read the logs");
        }
        let Some(file) = self.logs.file(&service) else {
            let names = SERVICES.join(", ");
            return refuse(&socket, Some(&service), &format!("there is no such log; there are {COMBINED}, {names}"));
        };
        // Without the task the server is closing.
        self.wishes.send(Wish::Begin { socket, service, file, lines }).await.ok();
    }

    /// Of a listener that has read enough.
    pub(super) async fn end(&self, socket: SocketRef, said: Option<Subscription>) {
        match said {
            Some(Subscription { service, .. }) => drop(self.wishes.send(Wish::End { socket, service }).await),
            None => refuse(&socket, None, "say which log: {service: \"provider-router\"}"),
        }
    }

    /// Whether the page, if it is one, may read `/api/logs` too: extensions may listen, and that is all.
    fn is_open_to(&self, socket: &SocketRef) -> bool {
        let parts = socket.req_parts();
        if !parts.headers.contains_key(ORIGIN) {
            return true;
        }
        let mut request = Request::new(());
        *request.uri_mut() = http::Uri::from_static("/api/logs/combined");
        *request.headers_mut() = parts.headers.clone();
        self.doors.page(&request).is_some()
    }
}

// === impl Tails ===

impl Tails {
    /// Passes on what is written.
    pub(super) async fn run(mut self, mut news: broadcast::Receiver<Arc<Written>>) {
        loop {
            tokio::select! {
                Some(wish) = self.wishes.recv() => self.grant(wish).await,
                written = news.recv() => match written {
                    Ok(written) => self.pass_on(&written),
                    Err(RecvError::Lagged(_)) => self.interrupt(),
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    async fn grant(&mut self, wish: Wish) {
        match wish {
            Wish::End { socket, service } => self.forget(&socket, &service),
            Wish::Begin { socket, service, file, lines } => {
                self.forget(&socket, &service);
                let read = tokio::task::spawn_blocking(move || last_lines(&file, lines)).await;
                match read.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
                    Ok(last) => {
                        let Lines { lines, missed } = bounded(last, HISTORY_LIMIT);
                        let event = json!({"service": service, "lines": lines, "missed": missed, "timestamp": payload::timestamp()});
                        super::audience::tell(&socket, payload::LOG_SUBSCRIBED, &event);
                        self.readers.entry(service).or_default().push(Reader { socket, missed: 0 });
                    }
                    Err(error) => refuse(&socket, Some(&service), &format!("the log cannot be read: {error}")),
                }
            }
        }
    }

    fn forget(&mut self, socket: &SocketRef, service: &str) {
        if let Some(readers) = self.readers.get_mut(service) {
            readers.retain(|reader| reader.socket.id != socket.id);
        }
    }

    fn pass_on(&mut self, written: &Written) {
        for (service, prefix) in [(written.name, String::new()), (COMBINED, format!("[{}] ", written.name))] {
            if self.is_read(service) {
                let text = String::from_utf8_lossy(&written.text);
                let gap = (written.left_out > 0).then(|| format!("… {} bytes left out …", written.left_out));
                let lines = text.lines().map(|line| format!("{prefix}{line}"));
                self.tell(service, &bounded(gap.into_iter().chain(lines).collect(), EVENT_LIMIT));
            }
        }
    }

    /// The keeper was faster than we are. Nobody knows how many lines that were.
    fn interrupt(&mut self) {
        let services: Vec<String> = self.readers.keys().cloned().collect();
        let note = Lines { lines: vec!["… some lines left out …".to_owned()], missed: 0 };
        for service in services {
            if self.is_read(&service) {
                self.tell(&service, &note);
            }
        }
    }

    /// Whether anybody is there; who has left is forgotten.
    fn is_read(&mut self, service: &str) -> bool {
        let Some(readers) = self.readers.get_mut(service) else { return false };
        readers.retain(|reader| reader.socket.connected());
        if readers.is_empty() {
            self.readers.remove(service);
            return false;
        }
        true
    }

    fn tell(&mut self, service: &str, Lines { lines, missed }: &Lines) {
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

/// The last of the lines that have room.
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
    super::audience::tell(socket, payload::LOG_ERROR, &json!({ "service": service, "error": why }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_lines_the_last_ones_are_told_and_the_others_counted() {
        let lines = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(bounded(lines(&["a", "b"]), 4), Lines { lines: lines(&["a", "b"]), missed: 0 });
        assert_eq!(bounded(lines(&["aa", "b", "c"]), 6), Lines { lines: lines(&["b", "c"]), missed: 1 });
        assert_eq!(bounded(lines(&["a", "too long", "c"]), 6), Lines { lines: lines(&["c"]), missed: 2 });
        assert_eq!(bounded(Vec::new(), 6), Lines { lines: Vec::new(), missed: 0 });
    }
}
