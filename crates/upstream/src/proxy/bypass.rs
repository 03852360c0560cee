//! `NO_PROXY`: the hosts that are connected to directly.

use std::net::IpAddr;

use crate::host_name::HostName;

/// A parsed list. Loopback hosts need no entry.
#[derive(Clone, Debug, Default)]
pub(super) struct Bypass(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    hosts: Hosts,
    /// The port that the entry is limited to.
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Hosts {
    /// `*`
    All,
    /// `example.com`, `.example.com`, `*.example.com`: the domain and everything below it.
    Domain(String),
    /// An address, or a network in CIDR notation, with the number of bits that count.
    Network { address: IpAddr, bits: u8 },
}

// === impl Bypass ===

impl Bypass {
    /// Parses a list that is separated by commas or blanks. Entries that are not valid are reported in the log and
    /// ignored.
    pub(super) fn parse(list: &str) -> Self {
        let entries = list.split([',', ' ', '\t', '\n']).filter(|entry| !entry.is_empty());
        Self(
            entries
                .filter_map(|text| {
                    let entry = Entry::parse(text);
                    if entry.is_none() {
                        tracing::warn!(entry = text, "NO_PROXY has an entry that is neither a host nor a network");
                    }
                    entry
                })
                .collect(),
        )
    }

    /// Returns whether this host is connected to directly. Names are compared as text and never resolved.
    pub(super) fn applies(&self, host: &HostName, port: u16) -> bool {
        match host {
            HostName::Address(address) => {
                let address = address.to_canonical();
                address.is_loopback() || self.any(port, |hosts| hosts.contain_address(address))
            }
            HostName::Name(name) => {
                let name = name.trim_end_matches('.');
                is_within(name, "localhost") || self.any(port, |hosts| hosts.contain_name(name))
            }
        }
    }

    fn any(&self, port: u16, contain: impl Fn(&Hosts) -> bool) -> bool {
        self.0.iter().any(|entry| entry.port.is_none_or(|only| only == port) && contain(&entry.hosts))
    }
}

// === impl Entry ===

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let whole = |hosts| Some(Self { hosts, port: None });
        if let Some(network) = Hosts::network(text) {
            return whole(network);
        }
        if let Some((inside, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
            let hosts = Hosts::network(inside)?;
            return match rest.strip_prefix(':') {
                Some(port) => Some(Self { hosts, port: Some(port.parse().ok()?) }),
                None => rest.is_empty().then_some(Self { hosts, port: None }),
            };
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text, None),
        };
        let hosts = Hosts::network(host).or_else(|| Hosts::named(host))?;
        Some(Self { hosts, port })
    }
}

// === impl Hosts ===

impl Hosts {
    fn network(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self::Network { address, bits })
    }

    fn named(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let domain = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(text);
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        let is_name = !domain.is_empty() && !domain.contains(['*', '/', '[', ']', '@']);
        is_name.then_some(Self::Domain(domain))
    }

    fn contain_name(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Domain(domain) => is_within(name, domain),
            Self::Network { .. } => false,
        }
    }

    fn contain_address(&self, other: IpAddr) -> bool {
        match self {
            Self::All => true,
            Self::Domain(_) => false,
            Self::Network { address, bits } => match (address, other) {
                (IpAddr::V4(network), IpAddr::V4(other)) => {
                    let differ = u32::from(*network) ^ u32::from(other);
                    differ.leading_zeros() >= u32::from(*bits)
                }
                (IpAddr::V6(network), IpAddr::V6(other)) => {
                    let differ = u128::from(*network) ^ u128::from(other);
                    differ.leading_zeros() >= u32::from(*bits)
                }
                _ => false,
            },
        }
    }
}

/// Returns whether `name` is `domain` or below it. Both are in lower case.
fn is_within(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applies(list: &str, host: &str, port: u16) -> bool {
        let host = host.parse().map_or_else(|_| HostName::Name(host.to_owned()), HostName::Address);
        Bypass::parse(list).applies(&host, port)
    }

    #[test]
    fn hosts_suffixes_addresses_networks_and_ports_are_understood() {
        for (list, host, port, direct) in [
            ("", "api.test", 443, false),
            ("*", "api.test", 443, true),
            ("*", "8.8.8.8", 443, true),
            ("api.test", "api.test", 443, true),
            ("API.Test", "api.test", 443, true),
            ("api.test", "x.api.test", 443, true),
            ("api.test", "notapi.test", 443, false),
            (".test", "api.test", 443, true),
            ("*.test", "api.test", 443, true),
            (".api.test", "api.test", 443, true),
            ("other, api.test", "api.test", 443, true),
            ("other api.test", "api.test.", 443, true),
            ("api.test:8443", "api.test", 443, false),
            ("api.test:8443", "api.test", 8443, true),
            ("*:80", "api.test", 80, true),
            ("10.0.0.1", "10.0.0.1", 443, true),
            ("10.0.0.1:80", "10.0.0.1", 443, false),
            ("10.0.0.0/8", "10.9.9.9", 443, true),
            ("10.0.0.0/8", "11.0.0.1", 443, false),
            ("0.0.0.0/0", "11.0.0.1", 443, true),
            ("10.0.0.0/8", "::ffff:10.1.1.1", 443, true),
            ("fd00::/8", "fd12::1", 443, true),
            ("fd00::/8", "fe12::1", 443, false),
            ("[fd12::1]:80", "fd12::1", 80, true),
            ("[fd12::1]:80", "fd12::1", 81, false),
            ("[fd12::1]", "fd12::1", 81, true),
            ("10.0.0.0/33,api.test", "api.test", 443, true),
            ("10.0.0.0/33", "10.0.0.1", 443, false),
            ("api.test:many", "api.test", 443, false),
            ("", "127.0.0.1", 80, true),
            ("", "::ffff:127.0.0.1", 80, true),
            ("", "localhost", 80, true),
            ("", "a.localhost", 80, true),
            ("", "notlocalhost", 80, false),
        ] {
            assert_eq!(applies(list, host, port), direct, "{list} {host} {port}");
        }
    }
}
