//! Selection of the login: the active one of the database, otherwise the configured one, otherwise guest access if
//! enabled.
//!
//! The database is read for every request, so that a new login takes effect at once. While it is unavailable, the last
//! known login is used.

use std::sync::{Mutex, MutexGuard, PoisonError};

use signalbox_store::{
    Sealer, Store,
    credentials::{self, DecryptedCredential},
};
use tokio::time::{Duration, timeout};

use crate::{
    clock,
    config::LoginConfig,
    qwen::{Failure, Login, Source},
};

/// Timeout of the database.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(1);

/// Reason why there is no usable login.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLogin {
    /// No login exists. The first sentence is that of the Node.js version; clients recognise the error by its code.
    #[error("Qwen credentials not configured. Log in with `qwen-proxy login`.")]
    Missing,
    /// The login has expired.
    #[error("the login at chat.qwen.ai has expired; log in again (`qwen-proxy login`)")]
    Expired,
    /// The login cannot be decrypted.
    #[error("the login at chat.qwen.ai cannot be used: {0}")]
    Unreadable(String),
    /// The login is cooling down after the site's rate limit was exceeded.
    #[error(
        "the rate limit of chat.qwen.ai is exceeded; wait {} seconds and try again, or use another login",
        .0.as_secs()
    )]
    CoolingDown(Duration),
}

/// Available logins.
#[derive(Debug)]
pub struct Logins {
    store: Store,
    sealer: Sealer,
    configured: Option<Configured>,
    guest: bool,
    /// Last login read from the database.
    last: Mutex<Option<DecryptedCredential>>,
}

/// Login of the configuration, and the end of its cool-down (Unix milliseconds).
#[derive(Debug)]
struct Configured {
    login: Login,
    cooldown_until: Mutex<Option<i64>>,
}

// === impl Logins ===

impl Logins {
    /// Creates the logins of this database and configuration.
    #[must_use]
    pub fn new(store: Store, sealer: Sealer, config: &LoginConfig) -> Self {
        let is_given = !(config.token.expose().is_empty() && config.cookies.expose().is_empty());
        let configured = is_given.then(|| Configured {
            login: Login::new(Source::Configured, config.token.clone(), config.cookies.clone()),
            cooldown_until: Mutex::default(),
        });
        Self { store, sealer, configured, guest: config.guest, last: Mutex::default() }
    }

    /// Returns the login to use at `now_ms` (Unix milliseconds).
    ///
    /// # Errors
    /// Returns [`NoLogin`] if there is no usable login.
    pub async fn current(&self, now_ms: i64) -> Result<Login, NoLogin> {
        let stored = self.stored().await;
        let refused = match stored {
            Ok(Some(opened)) if !opened.row.is_expired(now_ms / 1000) => {
                check_cool_down(opened.row.cooldown_until, now_ms)?;
                let failed = opened.row.last_error.is_some();
                return Ok(Login::new(Source::Stored { id: opened.row.id, failed }, opened.token, opened.cookies));
            }
            Ok(Some(_)) => NoLogin::Expired,
            Ok(None) => NoLogin::Missing,
            Err(unreadable) => unreadable,
        };
        if let Some(configured) = &self.configured {
            check_cool_down(*lock(&configured.cooldown_until), now_ms)?;
            return Ok(configured.login.clone());
        }
        match refused {
            NoLogin::Missing if self.guest => Ok(Login::new(Source::Guest, Default::default(), Default::default())),
            refused => Err(refused),
        }
    }

    /// Records that a call with this login failed. If a rate limit was exceeded, the login cools down.
    pub async fn record_failure(&self, login: &Login, failure: &Failure, now_ms: i64) {
        let rest = failure.cool_down().map(|rest| now_ms.saturating_add(clock::millis(rest)));
        match (login.source, rest) {
            (Source::Stored { id, .. }, Some(until)) => {
                self.note(credentials::cool_down(&self.store, id, until, &failure.to_string())).await;
            }
            (Source::Stored { id, .. }, None) if failure.requires_new_login() => {
                self.note(credentials::note(&self.store, id, Some(&failure.to_string()))).await;
            }
            (Source::Configured, Some(until)) => {
                if let Some(configured) = &self.configured {
                    *lock(&configured.cooldown_until) = Some(until);
                }
            }
            _ => {}
        }
    }

    /// Records that the login works, if its last use had failed.
    pub async fn record_success(&self, login: &Login) {
        if let Source::Stored { id, failed: true } = login.source {
            self.note(credentials::note(&self.store, id, None)).await;
        }
    }

    async fn stored(&self) -> Result<Option<DecryptedCredential>, NoLogin> {
        match timeout(DATABASE_TIMEOUT, credentials::active(&self.store, &self.sealer)).await {
            Ok(Ok(opened)) => {
                lock(&self.last).clone_from(&opened);
                Ok(opened)
            }
            Ok(Err(error @ signalbox_store::Error::Sealed(_))) => Err(NoLogin::Unreadable(error.to_string())),
            Ok(Err(error)) => {
                tracing::warn!("cannot read the login, using the last known one: {error}");
                Ok(lock(&self.last).clone())
            }
            Err(_) => {
                tracing::warn!("cannot read the login within {DATABASE_TIMEOUT:?}, using the last known one");
                Ok(lock(&self.last).clone())
            }
        }
    }

    /// Waits for the update of a login's state. Errors are only logged.
    async fn note(&self, note: impl Future<Output = Result<(), signalbox_store::Error>>) {
        if let Ok(Err(error)) = timeout(DATABASE_TIMEOUT, note).await {
            tracing::warn!("cannot store the state of the login: {error}");
        }
    }
}

/// Returns an error while the login is cooling down.
fn check_cool_down(until: Option<i64>, now_ms: i64) -> Result<(), NoLogin> {
    match until.map(|until| until.saturating_sub(now_ms)) {
        // Round up to whole seconds, so that a retry is not too early.
        Some(left) if left > 0 => Err(NoLogin::CoolingDown(Duration::from_secs(left.unsigned_abs().div_ceil(1000)))),
        _ => Ok(()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
