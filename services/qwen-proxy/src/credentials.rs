//! Which login is used: the active one of the database, or else the configured one, or else none where guests are wanted.
//!
//! The database is read for every request, so that a new login is used by the next one. While it is away, what it last said
//! counts.

use std::sync::{Mutex, MutexGuard, PoisonError};

use signalbox_store::{
    Sealer, Store,
    credentials::{self, Opened},
};
use tokio::time::{Duration, timeout};

use crate::{
    clock,
    config::LoginConfig,
    qwen::{Failure, Login, Source},
};

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// There is no login that could be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLogin {
    /// Nobody has logged in. Existing clients look for these words.
    #[error("Qwen credentials not configured. Please configure credentials through the Electron app Settings.")]
    Missing,
    /// It was a while ago.
    #[error("the login at chat.qwen.ai has expired: log in again (`qwen-proxy login`, or the dashboard)")]
    Expired,
    /// It is there but cannot be read.
    #[error("the login at chat.qwen.ai cannot be used: {0}")]
    Unreadable(String),
    /// The site asked to wait.
    #[error("chat.qwen.ai's rate limit is exceeded: wait {} seconds and try again, or use another login", .0.as_secs())]
    Resting(Duration),
}

/// The logins there are.
#[derive(Debug)]
pub struct Logins {
    store: Store,
    sealer: Sealer,
    configured: Option<Configured>,
    guest: bool,
    /// What the database last said.
    last: Mutex<Option<Opened>>,
}

/// The login of the configuration, and until when it rests (Unix milliseconds).
#[derive(Debug)]
struct Configured {
    login: Login,
    rests_until: Mutex<Option<i64>>,
}

// === impl Logins ===

impl Logins {
    /// The logins of this database and configuration.
    #[must_use]
    pub fn new(store: Store, sealer: Sealer, config: &LoginConfig) -> Self {
        let is_given = !(config.token.expose().is_empty() && config.cookies.expose().is_empty());
        let configured = is_given.then(|| Configured {
            login: Login::new(Source::Configured, config.token.clone(), config.cookies.clone()),
            rests_until: Mutex::default(),
        });
        Self { store, sealer, configured, guest: config.guest, last: Mutex::default() }
    }

    /// The login to use at `now_ms` (Unix milliseconds).
    ///
    /// # Errors
    /// [`NoLogin`].
    pub async fn current(&self, now_ms: i64) -> Result<Login, NoLogin> {
        let stored = self.stored().await;
        let refused = match stored {
            Ok(Some(opened)) if !opened.row.is_expired(now_ms / 1000) => {
                rested(opened.row.cooldown_until, now_ms)?;
                let failed = opened.row.last_error.is_some();
                return Ok(Login::new(Source::Stored { id: opened.row.id, failed }, opened.token, opened.cookies));
            }
            Ok(Some(_)) => NoLogin::Expired,
            Ok(None) => NoLogin::Missing,
            Err(unreadable) => unreadable,
        };
        if let Some(configured) = &self.configured {
            rested(*lock(&configured.rests_until), now_ms)?;
            return Ok(configured.login.clone());
        }
        match refused {
            NoLogin::Missing if self.guest => Ok(Login::new(Source::Guest, Default::default(), Default::default())),
            refused => Err(refused),
        }
    }

    /// Notes that a login failed; after a limit was exceeded it rests.
    pub async fn failed(&self, login: &Login, failure: &Failure, now_ms: i64) {
        let rest = failure.rest().map(|rest| now_ms.saturating_add(clock::millis(rest)));
        match (login.source, rest) {
            (Source::Stored { id, .. }, Some(until)) => {
                self.note(credentials::cool_down(&self.store, id, until, &failure.to_string())).await;
            }
            (Source::Stored { id, .. }, None) if failure.blames_login() => {
                self.note(credentials::note(&self.store, id, Some(&failure.to_string()))).await;
            }
            (Source::Configured, Some(until)) => {
                if let Some(configured) = &self.configured {
                    *lock(&configured.rests_until) = Some(until);
                }
            }
            _ => {}
        }
    }

    /// Notes that a login works.
    pub async fn worked(&self, login: &Login) {
        if let Source::Stored { id, failed: true } = login.source {
            self.note(credentials::note(&self.store, id, None)).await;
        }
    }

    async fn stored(&self) -> Result<Option<Opened>, NoLogin> {
        match timeout(PATIENCE, credentials::active(&self.store, &self.sealer)).await {
            Ok(Ok(opened)) => {
                lock(&self.last).clone_from(&opened);
                Ok(opened)
            }
            Ok(Err(error @ signalbox_store::Error::Sealed(_))) => Err(NoLogin::Unreadable(error.to_string())),
            Ok(Err(error)) => {
                tracing::warn!("the login cannot be read, the last one known is used: {error}");
                Ok(lock(&self.last).clone())
            }
            Err(_) => {
                tracing::warn!("the login cannot be read within {PATIENCE:?}, the last one known is used");
                Ok(lock(&self.last).clone())
            }
        }
    }

    /// A note that cannot be made is no reason to fail.
    async fn note(&self, note: impl Future<Output = Result<(), signalbox_store::Error>>) {
        if let Ok(Err(error)) = timeout(PATIENCE, note).await {
            tracing::warn!("the state of the login cannot be noted: {error}");
        }
    }
}

/// Says no while the site wants a login to rest.
fn rested(until: Option<i64>, now_ms: i64) -> Result<(), NoLogin> {
    match until.map(|until| until.saturating_sub(now_ms)) {
        // Whole seconds, and no second too early.
        Some(left) if left > 0 => Err(NoLogin::Resting(Duration::from_secs(left.unsigned_abs().div_ceil(1000)))),
        _ => Ok(()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
