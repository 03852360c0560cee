//! Errors of exchanges with a provider.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::policy::RefusedAddress;

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
    Own {
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
    /// The TLS handshake failed: an untrusted certificate, a certificate for another name, or a server without TLS.
    #[error("no secure connection to {host}: {source}")]
    Tls {
        /// The expected name.
        host: String,
        /// The error of the handshake.
        source: io::Error,
    },
    /// Resolving, connecting and the handshake took too long.
    #[error("no connection within {after:?}")]
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
    #[error("no response within {after:?}")]
    HeadersTimeout {
        /// The deadline.
        after: Duration,
    },
    /// The body paused for too long.
    #[error("the response paused for more than {after:?}")]
    IdleTimeout {
        /// The deadline.
        after: Duration,
    },
    /// The exchange as a whole took too long.
    #[error("the exchange took more than {after:?}")]
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
    NoAnswer,
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
            Self::Policy { .. } | Self::Own { .. } => "upstream_policy",
            Self::Connect { .. } | Self::Unsent { .. } => "upstream_connect",
            Self::Tls { .. } => "upstream_tls",
            Self::ConnectTimeout { .. }
            | Self::HeadersTimeout { .. }
            | Self::IdleTimeout { .. }
            | Self::TotalTimeout { .. } => "upstream_timeout",
            Self::Reset { .. } | Self::Truncated { .. } => "upstream_reset",
            Self::Protocol { .. } | Self::Decoding { .. } | Self::SwitchedProtocols | Self::NoAnswer => {
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
            | Self::Own { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
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
            | Self::NoAnswer => false,
        }
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
