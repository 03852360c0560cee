//! Access to the request log over HTTP.
//!
//! The log is that of the whole installation: prompts and answers of all services and all keys. As on the other two
//! services, a client key does not open it; the control token does, where it is required.

use http::HeaderMap;
use signalbox_daemon::{ClientKeys, Context, Denied, PeerAddr, TokenRequirement, control_token};

/// Whether callers need the control token: beyond loopback, if there are client keys, and if the api-server in the same
/// data directory requires it.
#[derive(Debug)]
pub struct LogAccess {
    requirement: TokenRequirement,
    /// The control token, or the reason why it cannot be read.
    token: Result<ClientKeys, String>,
}

/// Reason why a caller may not see the log.
#[derive(Debug, thiserror::Error)]
pub enum LogDenied {
    /// The control token is missing or wrong.
    #[error(
        "the request log needs the control token, not a client key: send the output of `api-server token` as \
         `Authorization: Bearer <token>`"
    )]
    Unauthorized,
    /// The control token cannot be read.
    #[error("the request log needs the control token, which cannot be read: {0}")]
    NoToken(String),
    /// The caller has guessed too often.
    #[error(transparent)]
    TooMany(Denied),
}

// === impl LogAccess ===

impl LogAccess {
    /// Creates the check of a service whose clients need a key if `has_keys`.
    #[must_use]
    pub fn new(context: &Context, has_keys: bool) -> Self {
        let always = has_keys || !context.listener.local_addr().ip().is_loopback();
        Self::of(TokenRequirement::new(context, always))
    }

    fn of(requirement: TokenRequirement) -> Self {
        let token = control_token(requirement.data_dir()).map(|(token, _)| ClientKeys::of(&[token]));
        Self { requirement, token: token.map_err(|exit| exit.to_string()) }
    }

    /// Admits a caller.
    ///
    /// # Errors
    /// Returns the reason why the log is closed to it.
    pub async fn admit(&self, headers: &HeaderMap, peer: Option<&PeerAddr>) -> Result<(), LogDenied> {
        if !self.requirement.is_in_force().await {
            return Ok(());
        }
        let keys = self.token.as_ref().map_err(|reason| LogDenied::NoToken(reason.clone()))?;
        keys.admit(headers, peer).map_err(|denied| match denied {
            Denied::TooMany { .. } => LogDenied::TooMany(denied),
            // The control token neither expires nor is bound to an address.
            Denied::Unknown | Denied::Expired | Denied::Revoked | Denied::Address(_) => LogDenied::Unauthorized,
        })
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::*;

    fn bearer(token: &str) -> HeaderMap {
        [(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap())].into_iter().collect()
    }

    #[tokio::test]
    async fn the_log_needs_the_control_token_unless_the_service_is_alone_and_open() {
        for (always, supervised, is_open) in [(false, false, true), (true, false, false), (false, true, false)] {
            let dir = tempfile::tempdir().unwrap();
            let access = LogAccess::of(TokenRequirement::of(dir.path(), always, supervised));
            let (token, _) = control_token(dir.path()).unwrap();
            let admit = async |headers: &HeaderMap| access.admit(headers, None).await.is_ok();
            assert_eq!(admit(&HeaderMap::new()).await, is_open, "{always} {supervised}");
            assert_eq!(admit(&bearer("a client key")).await, is_open);
            assert!(admit(&bearer(token.expose())).await);
        }
    }
}
