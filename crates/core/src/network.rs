//! Networks: an address, or all addresses with the same prefix.

use std::net::IpAddr;
use std::str::FromStr;

/// A network, as `10.0.0.0/8`, `2001:db8::/32`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The address without the bits after the prefix.
    bits: u128,
    /// Bits of the prefix; the first 96 are fixed for IPv4.
    prefix: u8,
    is_v4: bool,
}

/// The text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANetwork;

// === impl Network ===

impl Network {
    /// Returns whether an address is in the network. An IPv4 address that is written as an IPv6 one counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.is_v4 && bits_of(address) & mask(self.prefix) == self.bits
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let given: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let address = given.to_canonical();
        let (first, width) = if given.is_ipv4() { (96, 32) } else { (0, 128) };
        let length = match prefix {
            None => width,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse::<u8>().ok().filter(|length| *length <= width).ok_or(NotANetwork)?
            }
            Some(_) => return Err(NotANetwork),
        };
        let prefix = first + length;
        // A short prefix of an IPv4-mapped address covers both kinds of addresses; it is meant as IPv6.
        let is_v4 = address.is_ipv4() && prefix >= 96;
        Ok(Self { bits: bits_of(address) & mask(prefix), prefix, is_v4 })
    }
}

/// Returns an address as IPv6 bits.
fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Returns the bits of a prefix.
const fn mask(prefix: u8) -> u128 {
    match 128 - prefix {
        128 => 0,
        rest => u128::MAX << rest,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn networks_contain_their_addresses() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.1.2.3/8", "10.9.9.9", "9.0.0.1"),
            ("192.168.1.7", "192.168.1.7", "192.168.1.8"),
            ("192.168.1.7", "::ffff:192.168.1.7", "::192.168.1.7"),
            ("::ffff:10.0.0.0/104", "10.1.1.1", "11.1.1.1"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "2001:db8::1", "1.2.3.4"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::1", "::1", "::2"),
        ] {
            assert!(contains(network, inside), "{network} {inside}");
            assert!(!contains(network, outside), "{network} {outside}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/+8", "localhost", "10.0.0.0/8/8"] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_in_each_network_of_its_prefixes(address in any::<IpAddr>(), length in 0_u8..=128) {
            let length = if address.is_ipv4() { length % 33 } else { length };
            prop_assume!(address.to_canonical() == address);
            let network: Network = format!("{address}/{length}").parse().unwrap();
            prop_assert!(network.contains(address));
        }
    }
}
