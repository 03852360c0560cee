//! Webhook notifications about events of the services.
//!
//! # Layout
//! - [`event`]: events worth reporting, as a pure function of two states of a service.
//! - [`delivery`]: the queue, with retries.
//! - [`signature`]: authentication of messages.
//!
//! # Theory
//! One task watches the services, and puts events into a bounded queue; another takes messages from it, and retries
//! until the receiver has responded 2xx. Neither ever delays a service or a command: when the queue is full, new
//! messages are dropped, counted and logged.
//!
//! # Invariants
//! - A receiver gets the events in the order in which they happened, with an id that stays the same when a message is
//!   repeated.
//! - The URL, which may contain a token, and the secret are never logged.

mod delivery;
mod event;
mod signature;

use signalbox_core::secret::Secret;
use signalbox_daemon::Exit;
use signalbox_daemon::config::Duration;
use signalbox_upstream::{AddressPolicy, Client, ClientConfig, EnvironmentProxies, Target};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::delivery::{Message, WebhookSender};
use self::event::LastState;
use crate::supervisor::Snapshot;

pub use self::event::Kind;
pub use self::signature::sign;

/// Maximum messages queued while the receiver does not respond.
const QUEUE_CAPACITY: usize = 64;

/// Minimum length of the secret; shorter ones could be guessed.
const MIN_SECRET: usize = 16;

/// Section `[notify]` of the configuration.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// URL that receives messages; empty: disabled.
    pub webhook_url: Secret<String>,
    /// Key that messages are signed with.
    pub secret: Secret<String>,
    /// Events that are reported.
    pub events: Vec<Kind>,
    /// Maximum attempts per message.
    pub attempts: u32,
    /// Timeout for the receiver's response.
    pub timeout: Duration,
}

/// Handle that shuts the tasks down.
#[derive(Debug)]
pub struct Notifier {
    closing: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts to watch these services, unless no webhook is configured.
///
/// # Errors
/// [`Exit::Config`] when the configuration is invalid.
pub fn launch(config: &Config, services: &[(&'static str, watch::Receiver<Snapshot>)]) -> Result<Notifier, Exit> {
    let closing = CancellationToken::new();
    let Some(target) = config.target()? else { return Ok(Notifier { closing, tasks: Vec::new() }) };
    let client = EnvironmentProxies::from_variables(signalbox_daemon::variable)
        .and_then(|proxies| Client::new(&ClientConfig { proxies, ..ClientConfig::default() }))
        .map_err(|error| Exit::Config(format!("notify: {error}")))?;
    let (messages, inbox) = mpsc::channel(QUEUE_CAPACITY);
    let sender_task = WebhookSender::new(client, target, config);
    let mut tasks = vec![tokio::spawn(sender_task.run(inbox, closing.clone()))];
    for (name, service) in services.iter().cloned() {
        let watcher = Watcher { name, events: config.events.clone(), messages: messages.clone(), dropped: 0 };
        tasks.push(tokio::spawn(watcher.run(service, closing.clone())));
    }
    Ok(Notifier { closing, tasks })
}

// === impl Config ===

impl Config {
    /// Checks the constraints that the types do not express.
    ///
    /// # Errors
    /// [`Exit::Config`] names the key and its permitted values.
    pub fn check(&self) -> Result<(), Exit> {
        self.target().map(drop)
    }

    fn target(&self) -> Result<Option<Target>, Exit> {
        let (url, secret) = (self.webhook_url.expose(), self.secret.expose());
        // A secret of its own is checked without a URL, too, which may be added later.
        if secret.len() < MIN_SECRET && !(url.is_empty() && secret.is_empty()) {
            return Err(Exit::Config(format!(
                "notify.secret, the key for signing messages, must have at least {MIN_SECRET} characters; `openssl \
                 rand -hex 32` creates one"
            )));
        }
        if self.attempts == 0 || self.timeout.get().is_zero() {
            return Err(Exit::Config("notify.attempts and notify.timeout must be greater than zero".to_owned()));
        }
        if url.is_empty() {
            return Ok(None);
        }
        // The receiver may be on this machine or in a private network.
        let policy = AddressPolicy { allow_private: true, allow_loopback: true };
        let target =
            Target::parse(url, &policy).map_err(|error| Exit::Config(format!("notify.webhook_url: {error}")))?;
        Ok(Some(target))
    }
}

// === impl Notifier ===

impl Notifier {
    /// Sends the remaining messages within a short timeout, and ends. To be called after the services have ended.
    pub async fn close(self) {
        self.closing.cancel();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a webhook task failed");
            }
        }
    }
}

/// Watcher of one service.
struct Watcher {
    name: &'static str,
    events: Vec<Kind>,
    messages: mpsc::Sender<Message>,
    dropped: u64,
}

// === impl Watcher ===

impl Watcher {
    async fn run(mut self, mut service: watch::Receiver<Snapshot>, closing: CancellationToken) {
        let mut seen = LastState::of(&service.borrow_and_update());
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                changed = service.changed() => if changed.is_err() { return },
            }
            let now = service.borrow_and_update().clone();
            let (next, kind) = seen.observe(&now);
            seen = next;
            if let Some(kind) = kind.filter(|kind| self.events.contains(kind)) {
                self.post(Message::new(kind, self.name, &now));
            }
        }
    }

    fn post(&mut self, message: Message) {
        if self.messages.try_send(message).is_err() {
            self.dropped += 1;
            tracing::warn!(
                service = self.name,
                dropped = self.dropped,
                "the webhook is too slow, a message was dropped"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str, secret: &str) -> Config {
        Config {
            webhook_url: Secret::new(url.to_owned()),
            secret: Secret::new(secret.to_owned()),
            events: vec![Kind::Crashed],
            attempts: 3,
            timeout: "1s".parse().unwrap(),
        }
    }

    #[test]
    fn a_webhook_requires_a_url_and_a_secret() {
        assert!(config("", "").check().is_ok(), "no notification is wanted");
        let secret = "0123456789abcdef";
        assert!(config("https://hooks.example/x", secret).check().is_ok());
        for (url, secret) in [
            ("https://hooks.example/x", "short"),
            ("", "short"),
            ("ftp://hooks.example/x", secret),
            ("hooks.example", secret),
            ("http://169.254.169.254/latest", secret),
        ] {
            let exit = config(url, secret).check().unwrap_err();
            assert_eq!(exit.code(), 78, "{url}");
            assert!(exit.to_string().starts_with("notify."), "{exit}");
        }
        let never = Config { attempts: 0, ..config("https://hooks.example/x", secret) };
        assert!(never.check().is_err());
    }
}
