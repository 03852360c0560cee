//! HTTP proxies: their addresses, the choice of a target, and the variables of the environment.
//!
//! A request to an `https` target goes through a `CONNECT` tunnel, so the proxy sees only host and port. A request to an
//! `http` target is sent to the proxy in absolute form.

mod bypass;
mod tunnel;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use self::bypass::Bypass;
use crate::error::ConfigError;
use crate::target::{HostName, Origin};

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

/// The proxies of the environment, and the hosts that they are not used for.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentProxies {
    https: Option<Proxy>,
    http: Option<Proxy>,
    bypass: Bypass,
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

// === impl EnvironmentProxies ===

impl EnvironmentProxies {
    /// The names of the variables. The name in lower case wins over the one in upper case.
    pub const VARIABLES: [[&str; 2]; 4] = [
        ["https_proxy", "HTTPS_PROXY"],
        ["http_proxy", "HTTP_PROXY"],
        ["all_proxy", "ALL_PROXY"],
        ["no_proxy", "NO_PROXY"],
    ];

    /// Reads the variables. `ALL_PROXY` is used for the schemes that have no proxy of their own.
    ///
    /// # Errors
    /// [`ConfigError::Proxy`] if the URL of a proxy that would be used is not valid: requests that are meant for a proxy
    /// must not be sent directly.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let given = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| {
                let value = variable(name)?;
                let value = value.trim();
                (!value.is_empty()).then(|| (name, value.to_owned()))
            })
        };
        let [https, http, all, no] = Self::VARIABLES;
        let proxy = |names| {
            let Some((name, value)) = given(names).or_else(|| given(all)) else { return Ok(None) };
            Proxy::parse(&value).map(Some).map_err(|source| ConfigError::Proxy { variable: name, source })
        };
        let bypass = given(no).map(|(_, list)| Bypass::parse(&list)).unwrap_or_default();
        Ok(Self { https: proxy(https)?, http: proxy(http)?, bypass })
    }

    /// Returns the proxy for connections to `origin`. Loopback hosts are always connected to directly.
    pub(crate) fn of<'a>(&'a self, origin: &'a Origin) -> Option<&'a Proxy> {
        if origin.socket.is_some() {
            return None;
        }
        match &origin.proxy {
            ProxyChoice::Direct => None,
            ProxyChoice::Proxy(proxy) => Some(proxy),
            ProxyChoice::Environment => {
                let proxy = if origin.tls.is_some() { &self.https } else { &self.http };
                proxy.as_ref().filter(|_| !self.bypass.applies(&origin.host, origin.port))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AddressPolicy, Target};

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

    fn of(variables: &[(&str, &str)], url: &str, choice: &str) -> Option<String> {
        let read =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let proxies = EnvironmentProxies::from_variables(read).unwrap();
        let target = Target::parse(url, &AddressPolicy::default()).unwrap();
        let target = target.with_proxy(ProxyChoice::parse(choice).unwrap());
        proxies.of(target.origin()).map(ToString::to_string)
    }

    #[test]
    fn the_environment_chooses_by_scheme_and_the_target_wins() {
        let some = |text: &str| Some(text.to_owned());
        let both = [("HTTPS_PROXY", "http://s:1"), ("HTTP_PROXY", "http://p:2"), ("ALL_PROXY", "socks5://unused")];
        assert_eq!(of(&both, "https://api.test", ""), some("s:1"));
        assert_eq!(of(&both, "http://api.test", ""), some("p:2"));
        assert_eq!(of(&both, "http://api.test", "off"), None);
        assert_eq!(of(&both, "http://127.0.0.1", "own:3"), some("own:3"));
        for loopback in ["http://127.0.0.1:1", "http://localhost", "http://x.localhost", "http://[::1]"] {
            assert_eq!(of(&both, loopback, ""), None, "{loopback}");
        }
        let all = [("all_proxy", "http://a:1"), ("https_proxy", "http://low:1"), ("HTTPS_PROXY", "http://up:1")];
        assert_eq!(of(&all, "http://api.test", ""), some("a:1"));
        assert_eq!(of(&all, "https://api.test", ""), some("low:1"));
        let not = [("ALL_PROXY", "http://a:1"), ("NO_PROXY", "corp.test,10.0.0.0/8")];
        assert_eq!(of(&not, "https://api.corp.test", ""), None);
        assert_eq!(of(&not, "https://10.1.2.3", ""), None);
        assert_eq!(of(&not, "https://api.test", ""), some("a:1"));
        assert_eq!(of(&[("HTTP_PROXY", " ")], "http://api.test", ""), None);
    }

    #[test]
    fn an_invalid_variable_is_named() {
        let read = |name: &str| (name == "HTTPS_PROXY").then(|| "socks5://user:canary@x".to_owned());
        let error = EnvironmentProxies::from_variables(read).unwrap_err().to_string();
        assert!(error.contains("HTTPS_PROXY") && error.contains("socks5") && !error.contains("canary"), "{error}");
    }
}
