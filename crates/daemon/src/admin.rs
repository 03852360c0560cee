//! Shutdown over HTTP, equivalent to SIGTERM, for programs that cannot send signals or do not know the process id.
//!
//! The control token of the installation is sufficient authorisation. If neither the service nor the installation
//! requires it, a program on the same machine needs no token, provided that it connects directly: a proxied request may
//! come from anywhere.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, StatusCode};

use crate::auth::ClientKeys;
use crate::control_token::existing_control_token;
use crate::peer::PeerAddr;
use crate::shutdown::Shutdown;
use crate::token_requirement::TokenRequirement;

/// Path of the route. Services exempt it from the client key check, because [`request_shutdown`] applies a stricter
/// one.
pub const SHUTDOWN_PATH: &str = "/v1/admin/shutdown";

/// Headers by which proxies name the original client, in addition to those that begin with `x-forwarded`.
const FORWARDED: [&str; 6] = ["forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"];

/// Reason why a shutdown request is refused, in one sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShutdownDenied {
    /// The control token is required, and is missing or wrong.
    #[error(
        "a shutdown needs the control token: send it as `Authorization: Bearer <token>`; `api-server token` prints it"
    )]
    Token,
    /// The client is on another machine, or its address is unknown.
    #[error("a shutdown from another machine needs the control token, which `api-server token` prints")]
    Remote,
    /// The request came through a proxy.
    #[error("a shutdown through a proxy needs the control token, which `api-server token` prints")]
    Forwarded,
    /// The `Host` header is not a loopback name. A web page may have pointed its own name at this machine (DNS
    /// rebinding).
    #[error("a shutdown must be sent to localhost or a loopback address; use such a URL or the control token")]
    Host,
    /// The request was sent by a web page.
    #[error("web pages may not shut down the service")]
    Origin,
}

/// Authorisation check for shutdown requests.
#[derive(Clone, Debug)]
pub struct ShutdownControl {
    /// Whether programs on this machine need a token, too.
    requirement: TokenRequirement,
    /// Accepted tokens in addition to the one in the data directory.
    tokens: ClientKeys,
}

/// Begins the drain if the request is authorised. The response to the request itself is still sent.
///
/// # Errors
/// Returns [`ShutdownDenied`] if the request is not authorised.
pub async fn request_shutdown(
    shutdown: &Shutdown,
    control: &ShutdownControl,
    peer: Option<&PeerAddr>,
    headers: &HeaderMap,
) -> Result<(), ShutdownDenied> {
    control.admit(peer, headers).await?;
    tracing::info!("shutdown requested over HTTP");
    shutdown.trigger();
    Ok(())
}

// === impl ShutdownDenied ===

impl ShutdownDenied {
    /// Returns the status of the response.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::Remote | Self::Forwarded | Self::Host | Self::Origin => StatusCode::FORBIDDEN,
        }
    }

    /// Returns the stable error code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Token => "control_token_required",
            Self::Remote | Self::Forwarded | Self::Host | Self::Origin => "not_local",
        }
    }
}

// === impl ShutdownControl ===

impl ShutdownControl {
    /// Creates the check. The only accepted token is the control token in the data directory, once that file exists.
    #[must_use]
    pub fn new(requirement: TokenRequirement) -> Self {
        Self::with_tokens(requirement, ClientKeys::of(&[]))
    }

    /// Creates the check of a service that accepts these `tokens`, too.
    #[must_use]
    pub const fn with_tokens(requirement: TokenRequirement, tokens: ClientKeys) -> Self {
        Self { requirement, tokens }
    }

    async fn admit(&self, peer: Option<&PeerAddr>, headers: &HeaderMap) -> Result<(), ShutdownDenied> {
        // Browsers send one of these with every POST; other programs do not send them by themselves.
        if headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site") {
            return Err(ShutdownDenied::Origin);
        }
        if self.tokens.contains_valid_key(headers) || self.has_file_token(headers) {
            return Ok(());
        }
        if self.requirement.is_in_force().await {
            return Err(ShutdownDenied::Token);
        }
        is_direct(peer, headers)
    }

    /// Returns `true` if the headers carry the control token of the data directory. The file is read on every call,
    /// because it may have been created or changed since the last one.
    fn has_file_token(&self, headers: &HeaderMap) -> bool {
        match existing_control_token(self.requirement.data_dir()) {
            Ok(token) => token.is_some_and(|token| ClientKeys::of(&[token]).contains_valid_key(headers)),
            Err(error) => {
                tracing::warn!(%error, "the control token cannot be read");
                false
            }
        }
    }
}

/// Checks that a program on this machine sent the request without a proxy.
fn is_direct(peer: Option<&PeerAddr>, headers: &HeaderMap) -> Result<(), ShutdownDenied> {
    if !peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback()) {
        return Err(ShutdownDenied::Remote);
    }
    if headers.keys().any(|name| name.as_str().starts_with("x-forwarded") || FORWARDED.contains(&name.as_str())) {
        return Err(ShutdownDenied::Forwarded);
    }
    if !headers.get(HOST).and_then(|host| host.to_str().ok()).is_some_and(is_loopback) {
        return Err(ShutdownDenied::Host);
    }
    Ok(())
}

/// Returns `true` if `host` is a loopback address or `localhost`. Other names are refused even if they resolve to this
/// machine.
fn is_loopback(host: &str) -> bool {
    let port_of =
        |rest: &str| rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    if let Some(rest) = host.strip_prefix("[::1]") {
        return port_of(rest);
    }
    let (name, rest) = host.split_at(host.find(':').unwrap_or(host.len()));
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_local = name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    is_local && port_of(rest)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use http::HeaderValue;
    use signalbox_core::secret::Secret;

    fn control(data_dir: &Path, always: bool) -> ShutdownControl {
        ShutdownControl::new(TokenRequirement::of(data_dir, always, false))
    }

    fn open() -> ShutdownControl {
        control(Path::new("/nowhere"), false)
    }

    async fn ask(
        control: &ShutdownControl,
        peer: Option<&str>,
        headers: &[(&'static str, &'static str)],
    ) -> Result<(), ShutdownDenied> {
        let peer = peer.map(|peer| PeerAddr(peer.parse().unwrap()));
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let shutdown = Shutdown::new();
        let answer = request_shutdown(&shutdown, control, peer.as_ref(), &headers).await;
        assert_eq!(shutdown.is_draining(), answer.is_ok());
        answer
    }

    #[tokio::test]
    async fn local_programs_may_request_shutdown() {
        for (peer, host) in
            [("127.0.0.1:9", "localhost:3001"), ("[::1]:9", "[::1]:3001"), ("[::ffff:127.0.0.1]:9", "127.0.0.1")]
        {
            assert_eq!(ask(&open(), Some(peer), &[("host", host)]).await, Ok(()), "{peer} {host}");
        }
    }

    #[tokio::test]
    async fn other_callers_may_not_request_shutdown() {
        let here = Some("127.0.0.1:9");
        let open = open();
        let ask = async |peer, headers: &[_]| ask(&open, peer, headers).await;
        assert_eq!(ask(Some("192.168.1.7:9"), &[("host", "localhost")]).await, Err(ShutdownDenied::Remote));
        assert_eq!(ask(None, &[("host", "localhost")]).await, Err(ShutdownDenied::Remote));
        for host in ["evil.example", "localhost.evil.example", "localhost:x", "127.0.0.1.evil.example", "[::1]x", ""] {
            assert_eq!(ask(here, &[("host", host)]).await, Err(ShutdownDenied::Host), "{host}");
        }
        assert_eq!(ask(here, &[]).await, Err(ShutdownDenied::Host));
        for page in [("origin", "http://localhost:3002"), ("origin", "null"), ("sec-fetch-site", "same-origin")] {
            assert_eq!(ask(here, &[("host", "localhost"), page]).await, Err(ShutdownDenied::Origin), "{page:?}");
        }
        for proxy in ["x-forwarded-for", "x-forwarded-host", "forwarded", "via", "x-real-ip", "cf-connecting-ip"] {
            assert_eq!(
                ask(here, &[("host", "localhost"), (proxy, "127.0.0.1")]).await,
                Err(ShutdownDenied::Forwarded),
                "{proxy}"
            );
        }
    }

    #[tokio::test]
    async fn with_client_keys_shutdown_requires_the_control_token() {
        let dir = tempfile::tempdir().unwrap();
        let control = control(dir.path(), true);
        let (here, host) = (Some("127.0.0.1:9"), ("host", "localhost"));
        let bearer = |key: &str| -> &'static str { Box::leak(format!("Bearer {key}").into_boxed_str()) };
        for headers in
            [&[host][..], &[host, ("authorization", bearer("client-key"))], &[host, ("x-api-key", "client-key")]]
        {
            assert_eq!(ask(&control, here, headers).await, Err(ShutdownDenied::Token));
        }
        let (token, _) = crate::control_token(dir.path()).unwrap();
        let right = ("authorization", bearer(token.expose()));
        assert_eq!(ask(&control, here, &[host]).await, Err(ShutdownDenied::Token));
        assert_eq!(ask(&control, here, &[host, right]).await, Ok(()));
        assert_eq!(ask(&control, Some("192.168.1.7:9"), &[("host", "box.lan"), ("via", "1.1 x"), right]).await, Ok(()));
        assert_eq!(ask(&control, here, &[host, right, ("origin", "null")]).await, Err(ShutdownDenied::Origin));

        let tokens = ClientKeys::of(&[Secret::new("chosen".to_owned())]);
        let chosen = ShutdownControl::with_tokens(TokenRequirement::of(Path::new("/nowhere"), true, false), tokens);
        assert_eq!(ask(&chosen, here, &[host]).await, Err(ShutdownDenied::Token));
        assert_eq!(ask(&chosen, here, &[host, ("x-api-key", "chosen")]).await, Ok(()));
    }

    #[tokio::test]
    async fn shutdown_requires_the_token_where_the_running_api_server_does() {
        let dir = tempfile::tempdir().unwrap();
        let (here, host) = (Some("127.0.0.1:9"), ("host", "localhost"));
        for requires_token in [false, true] {
            let record = crate::token_requirement::tests::record(requires_token);
            let _server = crate::instance::Instance::acquire(dir.path(), &record).await.unwrap();
            let expected = if requires_token { Err(ShutdownDenied::Token) } else { Ok(()) };
            assert_eq!(ask(&control(dir.path(), false), here, &[host]).await, expected);
        }
    }
}
