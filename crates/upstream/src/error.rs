//! Errors of exchanges with a provider.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;

use crate::policy::RefusedAddress;
use crate::proxy::ProxyUrlError;
use crate::tls_error::advice;

/// The reason why an exchange failed. Its [`code`](Self::code) is stable, for clients and logs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name could not be resolved.
    #[error("cannot resolve {host}: {source}")]
    Dns {
        /// The name.
        host: String,
        /// The error of the resolver.
        source: io::Error,
    },
    /// The name only resolves to addresses that may not be called.
    #[error("cannot connect to {host}: {source}")]
    Policy {
        /// The name.
        host: String,
        /// The first of its addresses, with the reason.
        source: RefusedAddress,
    },
    /// The target is a socket of this process.
    #[error("{address} is this server itself, which cannot be its own provider; change the base URL")]
    OwnAddress {
        /// The address.
        address: SocketAddr,
    },
    /// No connection could be established; contains the last attempt.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// No connection to the Unix socket could be established.
    #[error("cannot connect to the Unix socket {}: {source}", path.display())]
    ConnectSocket {
        /// The socket.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The TLS handshake failed: an untrusted certificate, a certificate for another name, or a server without TLS.
    #[error("no secure connection to {host}: {source}{}", advice(source))]
    Tls {
        /// The expected name.
        host: String,
        /// The error of the handshake.
        source: io::Error,
    },
    /// The name belongs to a cloud metadata service, and a proxy would resolve it.
    #[error("{host} is not called: it names a cloud metadata service, which is not allowed")]
    PolicyName {
        /// The name.
        host: String,
    },
    /// No connection could be established through the proxy.
    #[error("the proxy {proxy} {source}")]
    Proxy {
        /// Host and port of the proxy.
        proxy: String,
        /// The reason.
        source: ProxyError,
    },
    /// The files for TLS of the target cannot be used.
    #[error("no secure connection to {host}: {source}")]
    TlsFiles {
        /// The host.
        host: String,
        /// The reason.
        source: Box<ConfigError>,
    },
    /// Resolving, connecting and the handshake took too long.
    #[error("no connection within {:?}", whole_ms(*.after))]
    ConnectTimeout {
        /// The deadline.
        after: Duration,
    },
    /// The provider closed a new connection before the request was written.
    #[error("the provider closed the connection before the request was sent")]
    Unsent {
        /// The error of the connection.
        source: hyper::Error,
    },
    /// The head of the response was not complete in time.
    #[error("no response within {:?}", whole_ms(*.after))]
    HeadersTimeout {
        /// The deadline.
        after: Duration,
    },
    /// The body paused for too long.
    #[error("the response paused for more than {:?}", whole_ms(*.after))]
    IdleTimeout {
        /// The deadline.
        after: Duration,
    },
    /// The exchange as a whole took too long.
    #[error("the exchange took more than {:?}", whole_ms(*.after))]
    TotalTimeout {
        /// The deadline.
        after: Duration,
    },
    /// The connection was lost after the request, or a part of it, was written.
    #[error("the provider broke the connection {}", if *head_received { "in the middle of its response" } else { "before it answered" })]
    Reset {
        /// Whether the head of the response had been received.
        head_received: bool,
        /// The error of the connection.
        source: hyper::Error,
    },
    /// The connection ended in an orderly way, but before the declared end of the body.
    #[error("the response ended before it was complete")]
    Truncated {
        /// The error of the connection.
        source: hyper::Error,
    },
    /// The response is not HTTP, or its head is too large.
    #[error("the provider's response is not valid HTTP: {}", root_cause(source))]
    Protocol {
        /// The error of the parser.
        source: hyper::Error,
    },
    /// The body is damaged, or ends before the encoded data are complete.
    #[error("the response cannot be decoded ({coding}): {source}")]
    Decoding {
        /// The content coding.
        coding: &'static str,
        /// The error of the decoder.
        source: io::Error,
    },
    /// The provider switched to another protocol, which was not requested.
    #[error("the provider switched to another protocol")]
    SwitchedProtocols,
    /// Informational responses (1xx) keep arriving, but no final response.
    #[error("the provider sent too many provisional responses and no final one")]
    NoFinalResponse,
}

/// Returns a duration without parts of a millisecond, which is what was left of a deadline for a message.
fn whole_ms(after: Duration) -> Duration {
    let millis = after.saturating_add(Duration::from_micros(500)).as_millis();
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// The reason why a proxy could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// No connection to the proxy itself could be established.
    #[error("cannot be reached: {0}; check the provider's `proxy` or HTTPS_PROXY and HTTP_PROXY")]
    Connect(io::Error),
    /// The connection through the proxy took too long.
    #[error("did not establish the connection within {0:?}")]
    Timeout(Duration),
    /// The connection ended before the proxy answered.
    #[error("closed the connection before it answered: {0}")]
    Lost(io::Error),
    /// The proxy wants credentials, or others.
    #[error("does not accept the credentials (status 407); put user name and password into its URL")]
    Credentials,
    /// The proxy refuses to connect to the target, or cannot.
    #[error("refused to connect to the provider: status {0}")]
    Refused(StatusCode),
    /// Informational responses (1xx) keep arriving, but no answer to `CONNECT`.
    #[error("sent too many provisional responses and no final one; check its port")]
    NoFinalResponse,
    /// The response to `CONNECT` is not valid.
    #[error("did not answer like an HTTP proxy; check its port")]
    NotHttp,
}

/// The reason why a client could not be created.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file with additional certificate authorities cannot be read or is not PEM.
    #[error("cannot read the certificates in {}: {source}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The error.
        source: rustls::pki_types::pem::Error,
    },
    /// The file contains no certificate.
    #[error("there is no certificate in {}", .0.display())]
    CaFileEmpty(PathBuf),
    /// The proxy in a variable of the environment cannot be used.
    #[error("the proxy in {variable} cannot be used: {source}")]
    Proxy {
        /// The name of the variable.
        variable: &'static str,
        /// The reason.
        source: ProxyUrlError,
    },
    /// The file with the certificate of the client cannot be read or is not PEM.
    #[error("cannot read the client certificate in {}: {source}", path.display())]
    ClientCert {
        /// The file.
        path: PathBuf,
        /// The error.
        source: rustls::pki_types::pem::Error,
    },
    /// The file with the private key of the client cannot be read or contains none.
    #[error("cannot read the private key in {}: {source}", path.display())]
    ClientKey {
        /// The file.
        path: PathBuf,
        /// The error.
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key of the client do not belong together, or are of an unknown kind.
    #[error("the private key in {} does not belong to the certificate in {}: {source}", key.display(), cert.display())]
    ClientIdentity {
        /// The file with the certificate.
        cert: PathBuf,
        /// The file with the key.
        key: PathBuf,
        /// The error.
        source: rustls::Error,
    },
    /// The certificate of the client is older than TLS allows.
    #[error(
        "the client certificate in {} has X.509 version 1; version 3 is needed. Issue it again with an extension, such as \
        `extendedKeyUsage = clientAuth`",
        .0.display()
    )]
    ClientCertVersion(PathBuf),
    /// Only one of certificate and key is given.
    #[error("clientCert and clientKey belong together; give both or none")]
    ClientPair,
    /// The process ends while files are read.
    #[error("the files were not read, because the process ends")]
    Interrupted,
    /// TLS refused the configuration or a certificate.
    #[error("the TLS configuration is not usable: {0}")]
    Tls(#[from] rustls::Error),
    /// The certificate verifier cannot be built.
    #[error("the TLS configuration is not usable: {0}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

// === impl Error ===

impl Error {
    /// Returns the stable code of the failure.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Dns { .. } => "upstream_dns",
            Self::Policy { .. } | Self::PolicyName { .. } | Self::OwnAddress { .. } => "upstream_policy",
            Self::Proxy { source, .. } => source.code(),
            Self::Connect { .. } | Self::ConnectSocket { .. } | Self::Unsent { .. } => "upstream_connect",
            Self::Tls { .. } | Self::TlsFiles { .. } => "upstream_tls",
            Self::ConnectTimeout { .. }
            | Self::HeadersTimeout { .. }
            | Self::IdleTimeout { .. }
            | Self::TotalTimeout { .. } => "upstream_timeout",
            Self::Reset { .. } | Self::Truncated { .. } => "upstream_reset",
            Self::Protocol { .. } | Self::Decoding { .. } | Self::SwitchedProtocols | Self::NoFinalResponse => {
                "upstream_protocol"
            }
        }
    }

    /// Returns whether the provider certainly did not begin to work on the request, so that a retry cannot perform its
    /// work (or incur its cost) twice.
    #[must_use]
    pub const fn may_retry(&self) -> bool {
        match self {
            Self::Dns { .. }
            | Self::Policy { .. }
            | Self::PolicyName { .. }
            | Self::OwnAddress { .. }
            | Self::Proxy { .. }
            | Self::Connect { .. }
            | Self::ConnectSocket { .. }
            | Self::Tls { .. }
            | Self::TlsFiles { .. }
            | Self::ConnectTimeout { .. }
            | Self::Unsent { .. } => true,
            Self::HeadersTimeout { .. }
            | Self::IdleTimeout { .. }
            | Self::TotalTimeout { .. }
            | Self::Reset { .. }
            | Self::Truncated { .. }
            | Self::Protocol { .. }
            | Self::Decoding { .. }
            | Self::SwitchedProtocols
            | Self::NoFinalResponse => false,
        }
    }

    /// Returns whether a deadline has passed.
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        matches!(
            self,
            Self::ConnectTimeout { .. }
                | Self::HeadersTimeout { .. }
                | Self::IdleTimeout { .. }
                | Self::TotalTimeout { .. }
                | Self::Proxy { source: ProxyError::Timeout(_), .. }
        )
    }

    /// Classifies a failure of the connection after the request was written and before the head of the response was
    /// complete.
    pub(crate) fn before_head(source: hyper::Error) -> Self {
        if source.is_parse() { Self::Protocol { source } } else { Self::Reset { head_received: false, source } }
    }

    /// Classifies a failure of the connection within the body of a response.
    pub(crate) fn within_body(source: hyper::Error) -> Self {
        match io_kind(&source) {
            Some(io::ErrorKind::UnexpectedEof) => Self::Truncated { source },
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => Self::Protocol { source },
            _ => Self::Reset { head_received: true, source },
        }
    }
}

// === impl ProxyError ===

impl ProxyError {
    const fn code(&self) -> &'static str {
        match self {
            Self::Connect(_) | Self::Lost(_) => "proxy_connect",
            Self::Timeout(_) => "proxy_timeout",
            Self::Credentials => "proxy_auth",
            Self::Refused(_) => "proxy_refused",
            Self::NotHttp | Self::NoFinalResponse => "proxy_protocol",
        }
    }
}

/// Returns the kind of the underlying I/O error, by which hyper reports all failures of decoding a body.
fn io_kind(error: &hyper::Error) -> Option<io::ErrorKind> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

/// Returns the innermost message, which is the most specific one.
fn root_cause(error: &hyper::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_told_in_whole_milliseconds() {
        for (nanos, told) in [(199_699_186, "200ms"), (4_999_702_282, "5s"), (1_500_000_000, "1.5s"), (400, "0ns")] {
            let after = Duration::from_nanos(nanos);
            assert_eq!(Error::TotalTimeout { after }.to_string(), format!("the exchange took more than {told}"));
        }
        assert!(Error::IdleTimeout { after: Duration::MAX }.to_string().contains("paused for more than"));
    }
}
