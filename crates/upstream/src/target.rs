//! The base URL of a provider, parsed and checked once.

mod unix_socket;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use http::uri::{self, Authority, InvalidUri, PathAndQuery};
use http::{HeaderValue, Uri};
use rustls::pki_types::ServerName;
use url::{Host, Url};

use crate::host_name::HostName;
use crate::policy::{AddressPolicy, RefusedAddress};
use crate::proxy::ProxyChoice;
use crate::tls::TlsFiles;

/// A provider's base URL. Cheap to clone; create it once, when the catalogue is loaded.
#[derive(Clone)]
pub struct Target(Arc<Inner>);

/// The reason why a base URL cannot be used. The messages do not contain the URL, which may include a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The text is not a URL.
    #[error("the base URL is not valid: {0}")]
    Url(#[from] url::ParseError),
    /// The scheme is neither `http` nor `https`.
    #[error("the base URL must begin with http:// or https://, not {0}:")]
    Scheme(String),
    /// The URL contains credentials, which would appear in logs and error messages.
    #[error("the base URL must not contain a user name or password; use an API key or a header")]
    UserInfo,
    /// The URL has a query or a fragment, but paths are appended to it.
    #[error("the base URL must end with its path: no query and no fragment")]
    QueryOrFragment,
    /// The Unix socket is not an absolute path, or what follows it is not a path.
    #[error("the base URL of a Unix socket must be unix:/path/to.sock, or unix:/path/to.sock:/v1 with a path")]
    Socket,
    /// The policy denies private addresses, and a socket leads to a program of this machine.
    #[error("Unix sockets are not allowed where private upstreams are denied")]
    SocketDenied,
    /// The operating system has no Unix sockets.
    #[error("Unix sockets are not supported on this operating system; use http://127.0.0.1 and a port")]
    NoSockets,
    /// No certificate can be issued for the host name, for instance because a label is too long.
    #[error("the base URL's host is not a valid server name")]
    Host,
    /// The host is an address that is never allowed, or not with this policy.
    #[error(transparent)]
    Address(#[from] RefusedAddress),
}

/// The properties that two requests must share to use the same connection. They include the policy: a connection opened
/// under a permissive policy must not be used under a strict one.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) host: HostName,
    pub(crate) port: u16,
    pub(crate) tls: Option<ServerName<'static>>,
    pub(crate) policy: AddressPolicy,
    pub(crate) proxy: ProxyChoice,
    pub(crate) files: TlsFiles,
    /// The Unix socket to connect to instead of host and port.
    pub(crate) socket: Option<PathBuf>,
}

struct Inner {
    origin: Arc<Origin>,
    authority: String,
    host_header: HeaderValue,
    /// The path of the base URL, without a trailing slash.
    base_path: String,
}

// === impl Target ===

impl Target {
    /// Parses `base_url`, such as `https://api.example.com/v1`, or `unix:/run/model.sock:/v1` for a Unix socket and the
    /// path behind it (the notation of nginx, with or without `http://` in front). A host that is an address, in any notation, is checked
    /// against the policy here; a name is checked when it has been resolved, for every new connection.
    ///
    /// # Errors
    /// [`TargetError`] says what to change.
    pub fn parse(base_url: &str, policy: &AddressPolicy) -> Result<Self, TargetError> {
        if let Some(rest) = unix_socket::after_scheme(base_url) {
            return Self::of_socket(rest, policy);
        }
        let url = Url::parse(base_url)?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(TargetError::Scheme(other.to_owned())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(TargetError::QueryOrFragment);
        }
        let (host, text) = match url.host().ok_or(TargetError::Host)? {
            Host::Domain(name) => (HostName::Name(name.to_owned()), name.to_owned()),
            Host::Ipv4(address) => (HostName::Address(address.into()), address.to_string()),
            Host::Ipv6(address) => (HostName::Address(address.into()), format!("[{address}]")),
        };
        let server_name = match &host {
            HostName::Address(address) => {
                policy.check(*address)?;
                ServerName::from(*address)
            }
            HostName::Name(name) => ServerName::try_from(name.clone()).map_err(|_| TargetError::Host)?,
        };
        let port = url.port_or_known_default().ok_or(TargetError::Host)?;
        let authority = url.port().map_or_else(|| text.clone(), |port| format!("{text}:{port}"));
        Ok(Self(Arc::new(Inner {
            host_header: HeaderValue::try_from(&authority).map_err(|_| TargetError::Host)?,
            authority,
            base_path: url.path().trim_end_matches('/').to_owned(),
            origin: Arc::new(Origin {
                host,
                port,
                tls: tls.then_some(server_name),
                policy: *policy,
                proxy: ProxyChoice::default(),
                files: TlsFiles::default(),
                socket: None,
            }),
        })))
    }

    /// Creates a target from what follows `unix:`.
    fn of_socket(rest: &str, policy: &AddressPolicy) -> Result<Self, TargetError> {
        let (path, base_path) = unix_socket::split(rest)?;
        if !cfg!(unix) {
            return Err(TargetError::NoSockets);
        }
        if policy.is_strict() {
            return Err(TargetError::SocketDenied);
        }
        Ok(Self(Arc::new(Inner {
            host_header: HeaderValue::from_static("localhost"),
            authority: format!("unix:{path}"),
            base_path,
            origin: Arc::new(Origin {
                host: HostName::Name("localhost".to_owned()),
                port: 0,
                tls: None,
                policy: *policy,
                proxy: ProxyChoice::default(),
                files: TlsFiles::default(),
                socket: Some(path.into()),
            }),
        })))
    }

    /// Returns the target with this proxy. By default, the proxy of the environment is used.
    #[must_use]
    pub fn with_proxy(&self, proxy: ProxyChoice) -> Self {
        self.with_origin(|origin| origin.proxy = proxy)
    }

    /// Returns the target with these files for its TLS connections. By default, the settings of the client are used.
    #[must_use]
    pub fn with_tls_files(&self, files: TlsFiles) -> Self {
        self.with_origin(|origin| origin.files = files)
    }

    /// Returns whether connections are encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.origin.tls.is_some()
    }

    fn with_origin(&self, change: impl FnOnce(&mut Origin)) -> Self {
        let mut origin = Origin::clone(&self.0.origin);
        change(&mut origin);
        Self(Arc::new(Inner {
            origin: Arc::new(origin),
            authority: self.0.authority.clone(),
            host_header: self.0.host_header.clone(),
            base_path: self.0.base_path.clone(),
        }))
    }

    /// Returns the base path followed by `suffix`, with exactly one slash between them: `/v1` and `/models` become
    /// `/v1/models`. The suffix may contain a query.
    ///
    /// # Errors
    /// [`InvalidUri`] if the suffix contains characters that a path cannot have, such as a space: encode them first.
    pub fn path(&self, suffix: &str) -> Result<PathAndQuery, InvalidUri> {
        let base = &self.0.base_path;
        let separator = match suffix.bytes().next() {
            Some(b'/') => "",
            None | Some(b'?') if !base.is_empty() => "",
            _ => "/",
        };
        PathAndQuery::try_from(format!("{base}{separator}{suffix}"))
    }

    /// Returns the host and, unless it is the default of the scheme, the port: `api.example.com`, `127.0.0.1:8080`.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.0.authority
    }

    /// Returns the absolute URI of a path on this (unencrypted) target, for a forwarding proxy.
    pub(crate) fn absolute(&self, path: PathAndQuery) -> Uri {
        let mut parts = uri::Parts::default();
        parts.scheme = Some(uri::Scheme::HTTP);
        parts.authority = Authority::try_from(self.authority()).ok();
        parts.path_and_query = Some(path.clone());
        Uri::from_parts(parts).unwrap_or_else(|_| Uri::from(path))
    }

    pub(crate) fn origin(&self) -> &Arc<Origin> {
        &self.0.origin
    }

    pub(crate) fn host_header(&self) -> HeaderValue {
        self.0.host_header.clone()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.0.origin.tls.is_some() { "https" } else { "http" };
        write!(f, "Target({scheme}://{}{})", self.0.authority, self.0.base_path)
    }
}

// === impl Origin ===

/// Only hashes host and port, which distinguish almost all origins; each request computes the hash twice.
impl Hash for Origin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.host.hash(state);
        self.port.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(url: &str) -> Result<Target, TargetError> {
        Target::parse(url, &AddressPolicy::default())
    }

    #[test]
    fn paths_are_joined_with_one_slash() {
        for base in ["http://localhost/v1", "http://localhost/v1/"] {
            let target = parse(base).unwrap();
            assert_eq!(target.path("/models").unwrap(), "/v1/models");
            assert_eq!(target.path("models?limit=1").unwrap(), "/v1/models?limit=1");
            assert_eq!(target.path("").unwrap(), "/v1");
        }
        let bare = parse("http://localhost").unwrap();
        assert_eq!(bare.path("/x").unwrap(), "/x");
        assert_eq!(bare.path("").unwrap(), "/");
        assert_eq!(bare.path("?x=1").unwrap(), "/?x=1");
        assert!(bare.path("/a b").is_err());
    }

    #[test]
    fn the_authority_contains_only_a_non_default_port() {
        for (url, authority) in [
            ("https://API.Example.com/v1", "api.example.com"),
            ("https://api.example.com:443", "api.example.com"),
            ("http://api.example.com:443", "api.example.com:443"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("http://0x7f.1", "127.0.0.1"),
        ] {
            assert_eq!(parse(url).unwrap().authority(), authority);
        }
    }

    #[test]
    fn invalid_base_urls_are_refused() {
        for (url, error) in [
            ("ftp://example.com", TargetError::Scheme("ftp".into())),
            ("file:///etc/passwd", TargetError::Scheme("file".into())),
            ("unix:run/socket", TargetError::Socket),
            ("unix:", TargetError::Socket),
            ("unix:/run/socket:/a b", TargetError::Socket),
            ("unix:/run/socket:/v1?x=1", TargetError::QueryOrFragment),
            ("http://user@example.com", TargetError::UserInfo),
            ("http://:secret@example.com", TargetError::UserInfo),
            ("http://example.com/?key=secret", TargetError::QueryOrFragment),
            ("http://example.com/#x", TargetError::QueryOrFragment),
            ("http://", TargetError::Url(url::ParseError::EmptyHost)),
            ("example.com", TargetError::Url(url::ParseError::RelativeUrlWithoutBase)),
        ] {
            assert_eq!(parse(url).unwrap_err(), error, "{url}");
        }
    }

    #[test]
    fn forbidden_addresses_are_refused_in_every_spelling() {
        for host in [
            "169.254.169.254",
            "2852039166",
            "0xA9FEA9FE",
            "0251.0376.0251.0376",
            "169.254.43518",
            "１６９.254.169.254",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:a9fe:a9fe::]",
            "[::ffff:0:a9fe:a9fe]",
            "[2001:0:a9fe:a9fe::]",
            "[2001::5601:5601]",
            "[fd00:ec2::254]",
            "0",
            "[::]",
        ] {
            let error = parse(&format!("http://{host}/latest/meta-data")).unwrap_err();
            assert!(matches!(error, TargetError::Address(_)), "{host}: {error}");
        }
        let strict = AddressPolicy { allow_private: false, allow_loopback: false };
        for host in ["127.0.0.1", "2130706433", "0177.1", "[::1]", "10.0.0.1", "[fd00::1]"] {
            assert!(parse(&format!("http://{host}")).is_ok(), "{host}");
            let error = Target::parse(&format!("http://{host}"), &strict).unwrap_err();
            assert!(matches!(error, TargetError::Address(_)), "{host}: {error}");
        }
    }

    proptest! {
        #[test]
        fn i18_any_text_is_a_base_url_or_refused(
            text in any::<String>(),
            host in "[a-z0-9.@:%\\[\\]-]{0,30}",
            path in "[ -~]{0,20}",
            suffix in "/[a-z]{0,9}",
        ) {
            for url in [text, format!("http://{host}/{path}"), format!("https://{host}")] {
                if let Ok(target) = parse(&url) {
                    prop_assert!(!target.authority().contains('@'), "{url}");
                    prop_assert!(target.path(&suffix).is_ok(), "{url}");
                }
            }
        }
    }
}
