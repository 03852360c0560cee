//! HTTP proxies: their addresses, the choice of a target, and the variables of the environment.
//!
//! A request to an `https` target goes through a `CONNECT` tunnel, so the proxy sees only host and port. A request to an
//! `http` target is sent to the proxy in absolute form.

mod bypass;
mod environment;
mod tunnel;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::host_name::HostName;

pub use self::environment::EnvironmentProxies;
pub(crate) use self::tunnel::connect;

/// An HTTP proxy. Neither `Display` nor `Debug` shows its credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    host: HostName,
    port: u16,
    /// Host and port, for messages.
    authority: String,
    /// Value of `Proxy-Authorization`.
    authorization: Option<HeaderValue>,
}

/// The proxy of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyChoice {
    /// The proxy of the environment, if there is one for the target.
    #[default]
    Environment,
    /// No proxy.
    Direct,
    /// This proxy, for every host.
    Proxy(Proxy),
}

/// The reason why the URL of a proxy cannot be used. The messages do not contain the URL, which may include a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyUrlError {
    /// The text is not a URL.
    #[error("it is not a valid URL: {0}")]
    Url(#[from] url::ParseError),
    /// The scheme is not `http`.
    #[error("it must begin with http://, not {0}://; proxies are spoken to in plain HTTP")]
    Scheme(String),
    /// The URL names no host, or more than host and port.
    #[error("it must be http://host:port, or http://user:password@host:port")]
    Parts,
}

// === impl Proxy ===

impl Proxy {
    /// Parses `http://user:password@host:port`; scheme and credentials are optional, and the port is 80 if none is
    /// given.
    ///
    /// # Errors
    /// [`ProxyUrlError`] says what to change.
    pub fn parse(text: &str) -> Result<Self, ProxyUrlError> {
        let url = if text.contains("://") { Url::parse(text)? } else { Url::parse(&format!("http://{text}"))? };
        if url.scheme() != "http" {
            return Err(ProxyUrlError::Scheme(url.scheme().to_owned()));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(ProxyUrlError::Parts);
        }
        let (host, name) = match url.host().ok_or(ProxyUrlError::Parts)? {
            Host::Domain(name) => (HostName::Name(name.to_owned()), name.to_owned()),
            Host::Ipv4(address) => (HostName::Address(address.into()), address.to_string()),
            Host::Ipv6(address) => (HostName::Address(address.into()), format!("[{address}]")),
        };
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(ProxyUrlError::Parts)?;
        Ok(Self(Arc::new(Inner { host, port, authority: format!("{name}:{port}"), authorization: basic(&url)? })))
    }

    pub(crate) fn host(&self) -> &HostName {
        &self.0.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port
    }

    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.0.authorization.as_ref()
    }
}

/// Returns the value of `Proxy-Authorization` for the credentials in a URL (RFC 7617).
fn basic(url: &Url) -> Result<Option<HeaderValue>, ProxyUrlError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let mut credentials: Vec<u8> = percent_decode_str(url.username()).collect();
    credentials.push(b':');
    credentials.extend(percent_decode_str(url.password().unwrap_or_default()));
    let value = format!("Basic {}", STANDARD.encode(credentials));
    let mut value = HeaderValue::try_from(value).map_err(|_| ProxyUrlError::Parts)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.authority)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

// === impl ProxyChoice ===

impl ProxyChoice {
    /// Parses the setting of a target: empty for the environment, `off` or `none` for no proxy, or the URL of a proxy.
    ///
    /// # Errors
    /// See [`Proxy::parse`].
    pub fn parse(text: &str) -> Result<Self, ProxyUrlError> {
        match text.trim() {
            "" => Ok(Self::Environment),
            off if off.eq_ignore_ascii_case("off") || off.eq_ignore_ascii_case("none") => Ok(Self::Direct),
            url => Proxy::parse(url).map(Self::Proxy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_host_and_port_with_or_without_credentials() {
        for (text, authority, authorization) in [
            ("http://proxy.test:3128", "proxy.test:3128", None),
            ("proxy.test:3128", "proxy.test:3128", None),
            ("http://proxy.test", "proxy.test:80", None),
            ("http://[::1]:8080/", "[::1]:8080", None),
            ("http://user:pw@10.0.0.1:3128", "10.0.0.1:3128", Some("Basic dXNlcjpwdw==")),
            ("http://us%40er:p%3Aw@proxy.test:1", "proxy.test:1", Some("Basic dXNAZXI6cDp3")),
            ("http://user@proxy.test:1", "proxy.test:1", Some("Basic dXNlcjo=")),
        ] {
            let proxy = Proxy::parse(text).unwrap();
            assert_eq!(proxy.to_string(), authority, "{text}");
            assert_eq!(proxy.authorization().map(|value| value.to_str().unwrap()), authorization, "{text}");
        }
    }

    #[test]
    fn an_invalid_proxy_is_refused_without_showing_it() {
        for text in [
            "socks5://user:canary@proxy.test:1080",
            "https://user:canary@proxy.test",
            "http://user:canary@proxy.test/path",
            "http://user:canary@proxy.test?x=1",
            "http://user:canary@proxy.test:99999",
            "http://user:canary@proxy.test:0",
            "http://user:canary@",
            "http://user:can ary@pro xy",
        ] {
            let error = Proxy::parse(text).unwrap_err().to_string();
            assert!(!error.contains("canary"), "{text}: {error}");
        }
    }

    #[test]
    fn no_credentials_are_printed() {
        let choice = ProxyChoice::parse("http://user:canary@proxy.test:3128").unwrap();
        assert_eq!(format!("{choice:?}"), "Proxy(Proxy(proxy.test:3128))");
        for off in ["off", "None", " OFF "] {
            assert_eq!(ProxyChoice::parse(off), Ok(ProxyChoice::Direct), "{off}");
        }
        assert_eq!(ProxyChoice::parse(" "), Ok(ProxyChoice::Environment));
    }
}
