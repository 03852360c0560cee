//! Decides which addresses may be called.
//!
//! The check applies to addresses, never to names or notations: a name is resolved first, and the connection goes to
//! exactly the address that was checked. Therefore neither DNS rebinding nor `http://0xA9FEA9FE/` circumvents the
//! check.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kinds of address that may be called. Private and loopback addresses are allowed by default, because a model
/// server in the local network is the usual case. Addresses that [`Reach`] classifies as link-local, metadata,
/// multicast or reserved are never allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressPolicy {
    /// Whether private networks are allowed: RFC 1918, carrier-grade NAT, unique local IPv6.
    pub allow_private: bool,
    /// Whether loopback addresses are allowed.
    pub allow_loopback: bool,
}

/// The scope of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public internet addresses.
    Public,
    /// The local machine.
    Loopback,
    /// Private networks.
    Private,
    /// Link-local addresses: routers, and the metadata services of cloud providers.
    LinkLocal,
    /// A cloud metadata service outside the link-local range, which provides the credentials of the machine.
    Metadata,
    /// Multicast groups.
    Multicast,
    /// Addresses that identify no single machine: unspecified, "this network", broadcast and reserved addresses.
    Reserved,
}

/// An address that the policy refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address {address} is {reach}, which is not allowed")]
pub struct RefusedAddress {
    /// The address as it was resolved.
    pub address: IpAddr,
    /// The scope for which it was refused.
    pub reach: Reach,
}

/// Metadata services in otherwise ordinary ranges: Azure, Alibaba Cloud, Oracle Cloud.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];

/// Names of metadata services, for connections whose names a proxy resolves.
const METADATA_NAMES: [&str; 4] =
    ["metadata", "metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"];

/// The metadata services of Amazon and Google.
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

// === impl AddressPolicy ===

impl Default for AddressPolicy {
    fn default() -> Self {
        Self { allow_private: true, allow_loopback: true }
    }
}

impl AddressPolicy {
    /// Checks whether `address` may be called.
    ///
    /// # Errors
    /// [`RefusedAddress`] with the reason.
    pub fn check(&self, address: IpAddr) -> Result<(), RefusedAddress> {
        let reach = Reach::of(address);
        let allowed = match reach {
            Reach::Public => true,
            Reach::Loopback => self.allow_loopback,
            Reach::Private => self.allow_private,
            Reach::LinkLocal | Reach::Metadata | Reach::Multicast | Reach::Reserved => false,
        };
        if allowed { Ok(()) } else { Err(RefusedAddress { address, reach }) }
    }

    /// Returns whether some addresses are allowed by default but not by this policy.
    pub(crate) const fn is_strict(&self) -> bool {
        !(self.allow_private && self.allow_loopback)
    }
}

/// Returns whether a host name, in lower case, is that of a metadata service.
pub(crate) fn is_metadata_name(name: &str) -> bool {
    METADATA_NAMES.contains(&name.trim_end_matches('.'))
}

// === impl Reach ===

impl Reach {
    /// Classifies an address. An IPv6 address that embeds IPv4 addresses gets the most restricted class of all of them.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => {
                let carried = embedded_v4(v6).into_iter().flatten().map(Self::of_v4);
                carried.fold(
                    Self::of_v6(v6),
                    |worst, reach| if reach.restriction() > worst.restriction() { reach } else { worst },
                )
            }
        }
    }

    /// Orders the classes by restriction; a higher number is more restricted.
    const fn restriction(self) -> u8 {
        match self {
            Self::Public => 0,
            Self::Private => 1,
            Self::Loopback => 2,
            Self::Multicast => 3,
            Self::Reserved => 4,
            Self::LinkLocal => 5,
            Self::Metadata => 6,
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [a, b, ..] = address.octets();
        if METADATA_V4.contains(&address) {
            return Self::Metadata;
        }
        match a {
            0 | 240..=255 => Self::Reserved,
            127 => Self::Loopback,
            169 if b == 254 => Self::LinkLocal,
            10 => Self::Private,
            172 if (16..32).contains(&b) => Self::Private,
            192 if b == 168 => Self::Private,
            100 if (64..128).contains(&b) => Self::Private,
            224..=239 => Self::Multicast,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        if METADATA_V6.contains(&address) {
            return Self::Metadata;
        }
        if address.is_loopback() {
            return Self::Loopback;
        }
        match address.segments()[0] {
            _ if address.is_unspecified() => Self::Reserved,
            0xfe80..=0xfebf => Self::LinkLocal,
            // fc00::/7, and the deprecated site-local range.
            0xfc00..=0xfdff | 0xfec0..=0xfeff => Self::Private,
            0xff00..=0xffff => Self::Multicast,
            _ => Self::Public,
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Metadata => "a cloud metadata service",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
        })
    }
}

/// Returns the IPv4 addresses inside an IPv4-mapped, IPv4-compatible, IPv4-translated (SIIT), NAT64 (RFC 6052 and
/// 8215), 6to4, Teredo or ISATAP address. A Teredo address contains its server and its client. The length of a
/// network's own NAT64 prefix is unknown, so the addresses for all possible lengths count.
fn embedded_v4(address: Ipv6Addr) -> [Option<Ipv4Addr>; 4] {
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    let one = |high, low| [Some(join(high, low)), None, None, None];
    match address.segments() {
        // `::` and `::1` are not IPv4-compatible addresses.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None; 4],
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..]
        | [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => one(high, low),
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            [Some(join(server_high, server_low)), Some(join(!high, !low)), None, None]
        }
        // Bits 64 to 71 are zero and not part of the IPv4 address; the bits after the address are zero.
        [0x64, 0xff9b, 1, a, b @ 0..=0xff, c, d, e] => {
            let ends = |rest: [u16; 3]| rest == [0; 3];
            [
                ends([c & 0xff, d, e]).then(|| join(a, (b << 8) | (c >> 8))),
                ends([0, d, e]).then(|| join((a << 8) | b, c)),
                ends([0, d & 0xff, e]).then(|| join((b << 8) | (c >> 8), (c << 8) | (d >> 8))),
                (!ends([0, d, e])).then(|| join(d, e)),
            ]
        }
        [0x64, 0xff9b, 1, _, _, _, high, low] => one(high, low),
        _ => [None; 4],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_range_is_classified() {
        let table: &[(Reach, &[&str])] = &[
            (Reach::Public, &["1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "169.253.0.1"]),
            (Reach::Public, &["2606:4700::1111", "64:ff9b::1.1.1.1", "::ffff:1.1.1.1", "2002:101:101::"]),
            (Reach::Loopback, &["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::127.0.0.1"]),
            (
                Reach::Public,
                &["::ffff:0:1.1.1.1", "2001:0:101:101:0:1:fefe:fefe", "64:ff9b:1:101:1:100::", "2001:db8::1"],
            ),
            (Reach::Loopback, &["64:ff9b::127.0.0.1", "2002:7f00:1::", "::ffff:0:127.0.0.1"]),
            (Reach::Private, &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"]),
            (Reach::Private, &["fc00::1", "fdff::1", "fec0::1", "::ffff:10.0.0.1", "64:ff9b:1::192.168.0.1"]),
            (Reach::LinkLocal, &["169.254.169.254", "169.254.0.0", "fe80::1", "febf::1"]),
            (Reach::LinkLocal, &["::ffff:169.254.169.254", "::a9fe:a9fe", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::"]),
            (Reach::LinkLocal, &["::ffff:0:a9fe:a9fe", "2001:0:a9fe:a9fe::", "2001:0:101:101:0:1:5601:5601"]),
            (Reach::LinkLocal, &["64:ff9b:1::a9fe:a9fe", "64:ff9b:1:7:0:7:a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00::"]),
            (Reach::LinkLocal, &["64:ff9b:1:0a9:fe:a9fe::", "64:ff9b:1:1:a9:fea9:fe00:0"]),
            (Reach::LinkLocal, &["2a00::5efe:169.254.169.254", "fe80::5efe:10.0.0.1", "2a00::200:5efe:a9fe:a9fe"]),
            (Reach::Metadata, &["168.63.129.16", "100.100.100.200", "192.0.0.192", "::ffff:168.63.129.16"]),
            (Reach::Metadata, &["fd00:ec2::254", "fd20:ce::254"]),
            (Reach::Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1", "::ffff:224.0.0.1"]),
            (Reach::Reserved, &["0.0.0.0", "0.1.2.3", "240.0.0.1", "255.255.255.255", "::", "::ffff:0.0.0.0"]),
        ];
        for (reach, addresses) in table {
            for address in *addresses {
                assert_eq!(Reach::of(address.parse().unwrap()), *reach, "{address}");
            }
        }
    }

    #[test]
    fn the_policy_applies_to_private_and_loopback_addresses_only() {
        for allow_private in [false, true] {
            for allow_loopback in [false, true] {
                let policy = AddressPolicy { allow_private, allow_loopback };
                let allows = |address: &str| policy.check(address.parse().unwrap()).is_ok();
                assert!(allows("8.8.8.8"));
                assert_eq!(allows("10.1.2.3"), allow_private);
                assert_eq!(allows("fd12::1"), allow_private);
                assert_eq!(allows("127.0.0.1"), allow_loopback);
                assert_eq!(allows("::1"), allow_loopback);
                assert!(!allows("169.254.169.254") && !allows("fd00:ec2::254") && !allows("0.0.0.0"));
            }
        }
    }
}
