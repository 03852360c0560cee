//! What can go wrong on the way to a provider and back.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::policy::RefusedAddress;

/// Why an exchange failed. [`code`](Self::code) is stable and meant for clients and logs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name could not be resolved.
    #[error("cannot resolve {host}: {source}")]
    Dns {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The name resolves only to addresses that may not be called.
    #[error("{host} is not called: {source}")]
    Policy {
        /// The name.
        host: String,
        /// The first of its addresses.
        source: RefusedAddress,
    },
    /// The target is a socket of this process.
    #[error("{address} is this server itself, which cannot be its own provider; change the base URL")]
    Own {
        /// The address.
        address: SocketAddr,
    },
    /// No connection could be made; the last address that was tried.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The handshake failed: a certificate that is not trusted, a name that is not in it, a server without TLS.
    #[error("no secure connection to {host}: {source}")]
    Tls {
        /// The name that was expected.
        host: String,
        /// What was wrong.
        source: io::Error,
    },
    /// Resolving, connecting and shaking hands took too long.
    #[error("no connection within {after:?}")]
    ConnectTimeout {
        /// The deadline.
        after: Duration,
    },
    /// The provider closed a new connection before the request was written.
    #[error("the provider closed the connection before the request was sent")]
    Unsent {
        /// What the connection said.
        source: hyper::Error,
    },
    /// No complete head came in time.
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
    /// The connection broke after the request, or a part of it, was written.
    #[error("the provider broke the connection {}", if *head_received { "in the middle of its response" } else { "before it answered" })]
    Reset {
        /// Whether the head of the response had come.
        head_received: bool,
        /// What the connection said.
        source: hyper::Error,
    },
    /// The connection ended in good order, but before the end of the body that its head or its chunks had announced.
    #[error("the response ended before it was complete")]
    Truncated {
        /// What the connection said.
        source: hyper::Error,
    },
    /// What came is not HTTP, or has a head that is too large.
    #[error("the provider's response is not valid HTTP: {}", root_cause(source))]
    Protocol {
        /// What was wrong.
        source: hyper::Error,
    },
    /// The body is damaged, or ends before what it encodes does.
    #[error("the response cannot be decoded ({coding}): {source}")]
    Decoding {
        /// How it is encoded.
        coding: &'static str,
        /// What was wrong.
        source: io::Error,
    },
    /// The provider wants to speak another protocol, which nobody asked for.
    #[error("the provider switched to another protocol")]
    SwitchedProtocols,
    /// Provisional responses (1xx) come one after the other, and never the response.
    #[error("the provider sends provisional responses without an end instead of a response")]
    NoAnswer,
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file with additional certificate authorities cannot be read or is not PEM.
    #[error("cannot read the certificates in {}: {source}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        source: rustls::pki_types::pem::Error,
    },
    /// The file has no certificate in it.
    #[error("there is no certificate in {}", .0.display())]
    CaFileEmpty(PathBuf),
    /// TLS refused the configuration or a certificate.
    #[error("the TLS configuration is not usable: {0}")]
    Tls(#[from] rustls::Error),
    /// The verifier of certificates cannot be built.
    #[error("the TLS configuration is not usable: {0}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

// === impl Error ===

impl Error {
    /// A stable name of the failure's kind.
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

    /// Whether the provider certainly did not begin to work on the request, so that sending it again cannot do its work
    /// (or cost its price) twice.
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

    /// The failure of a connection whose request was written, before the head of the response was complete.
    pub(crate) fn before_head(source: hyper::Error) -> Self {
        if source.is_parse() { Self::Protocol { source } } else { Self::Reset { head_received: false, source } }
    }

    /// The failure of a connection in the middle of a response's body.
    pub(crate) fn within_body(source: hyper::Error) -> Self {
        match io_kind(&source) {
            Some(io::ErrorKind::UnexpectedEof) => Self::Truncated { source },
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => Self::Protocol { source },
            _ => Self::Reset { head_received: true, source },
        }
    }
}

/// The kind of the I/O error behind a failure: decoding a body reports all its troubles this way.
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

/// The innermost message, which says most.
fn root_cause(error: &hyper::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
