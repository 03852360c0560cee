//! The host of a target or of a proxy: a name or an address.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A host as it is connected to.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum HostName {
    Name(String),
    Address(IpAddr),
}

// === impl HostName ===

impl HostName {
    /// Returns `host:port`, with brackets around an IPv6 address.
    pub(crate) fn with_port(&self, port: u16) -> String {
        match self {
            Self::Name(name) => format!("{name}:{port}"),
            Self::Address(address) => SocketAddr::new(*address, port).to_string(),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}
