//! The address of a client behind reverse proxies.
//!
//! A proxy writes the address of its client into `X-Forwarded-For` or `Forwarded` (RFC 7239), behind what the client
//! sent itself. So these headers count only if the connection comes from a trusted proxy, and they are read from their
//! end: the first address that is not that of a trusted proxy is the client's. What stands before it is the client's own
//! claim, and is ignored.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::{HeaderMap, HeaderName, header::FORWARDED};
use signalbox_core::network::Network;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Address of a client that a trusted proxy does not name. No key that is bound to addresses may be used from it.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Networks of the reverse proxies whose headers count.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Box<[Network]>);

// === impl TrustedProxies ===

impl TrustedProxies {
    /// Creates the list. Entries that are no networks are left out; [`Self::is_valid_entry`] tells them apart.
    #[must_use]
    pub fn new(entries: &[String]) -> Self {
        Self(entries.iter().filter_map(|entry| entry.parse().ok()).collect())
    }

    /// Returns whether an entry is an address or a network.
    #[must_use]
    pub fn is_valid_entry(entry: &str) -> bool {
        entry.parse::<Network>().is_ok()
    }

    /// Returns whether an address is that of a trusted proxy.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Returns the address of the client of a request that came from `peer`; `0.0.0.0` if a trusted proxy does not say, or
    /// if the two headers disagree: one of them may be the client's own. The port of another address than `peer` is 0.
    #[must_use]
    pub fn client_of(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        if !self.trusts(peer.ip()) {
            return peer;
        }
        let client = match (self.by_list(headers), self.by_elements(headers)) {
            (None, None) => return peer,
            (Some(client), None) | (None, Some(client)) => client,
            (Some(one), Some(other)) if one == other => one,
            (Some(_), Some(_)) => UNKNOWN,
        };
        SocketAddr::new(client.to_canonical(), 0)
    }

    /// Returns the client that `X-Forwarded-For` names; `None` without the header.
    fn by_list(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let values = headers.get_all(X_FORWARDED_FOR);
        let mut lines: Vec<&[u8]> = values.iter().map(http::HeaderValue::as_bytes).collect();
        lines.reverse();
        self.last_untrusted(lines.into_iter().flat_map(|line| line.rsplit(|byte| *byte == b',')).map(|item| {
            let item = std::str::from_utf8(item).ok()?;
            node(item.trim())
        }))
    }

    /// Returns the client that `Forwarded` names; `None` without the header.
    fn by_elements(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let mut nodes: Vec<Option<IpAddr>> = Vec::new();
        for value in headers.get_all(FORWARDED) {
            let elements = value.to_str().ok().and_then(elements);
            // A line that cannot be read names no address.
            nodes.extend(elements.unwrap_or_else(|| vec![None]));
        }
        nodes.reverse();
        self.last_untrusted(nodes.into_iter())
    }

    /// Returns the first address, from the end of the list, that is not that of a trusted proxy; the outermost proxy if
    /// all are. An address that cannot be read is `0.0.0.0`.
    fn last_untrusted(&self, from_end: impl Iterator<Item = Option<IpAddr>>) -> Option<IpAddr> {
        let mut outermost = None;
        for node in from_end {
            match node {
                Some(address) if self.trusts(address) => outermost = Some(address),
                Some(address) => return Some(address),
                None => return Some(UNKNOWN),
            }
        }
        outermost
    }
}

/// Reads an address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn node(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6)
}

/// Returns the `for` of each element of a `Forwarded` header; `None` if its quotes do not end.
fn elements(value: &str) -> Option<Vec<Option<IpAddr>>> {
    let each = |element: &str| {
        let pairs = split(element, ';')?;
        let named = pairs.into_iter().filter_map(|pair| pair.trim().split_once('='));
        let mut values = named.filter(|(name, _)| name.trim_end().eq_ignore_ascii_case("for")).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(value), None) => node(&unquoted(value.trim())),
            // It names no address, or several.
            _ => None,
        }
    };
    Some(split(value, ',')?.into_iter().map(each).collect())
}

/// Splits a text outside of its quotes; `None` if they do not end.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut begin, mut is_quoted, mut is_escaped) = (Vec::new(), 0, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            letter if letter == separator && !is_quoted => {
                parts.push(&text[begin..at]);
                begin = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    (!is_quoted).then_some(parts)
}

/// Returns a value without its quotes and escapes.
fn unquoted(value: &str) -> Cow<'_, str> {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return value.into() };
    let mut text = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        text.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn proxies(entries: &[&str]) -> TrustedProxies {
        TrustedProxies::new(&entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>())
    }

    /// Returns the client of a request from 10.0.0.1:5000, behind proxies in 10.0.0.0/8 and 2001:db8:1::/48.
    fn client(headers: &[(&str, &[u8])]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value).unwrap());
        }
        let found = proxies(&["10.0.0.0/8", "2001:db8:1::/48"]).client_of("10.0.0.1:5000".parse().unwrap(), &map);
        if found.port() == 0 { found.ip().to_string() } else { found.to_string() }
    }

    #[test]
    fn the_last_address_that_is_no_proxy_is_the_client() {
        for (value, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:4711", "192.0.2.7"),
            ("  192.0.2.7\t", "192.0.2.7"),
            ("6.6.6.6, 192.0.2.7", "192.0.2.7"),
            ("6.6.6.6, 192.0.2.7, 10.1.1.1", "192.0.2.7"),
            ("6.6.6.6,192.0.2.7,10.1.1.1,[2001:db8:1::5]:80", "192.0.2.7"),
            ("127.0.0.1, 192.0.2.7", "192.0.2.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::ffff:10.1.1.1", "10.1.1.1"),
            ("10.1.1.1", "10.1.1.1"),
            ("10.2.2.2, 10.1.1.1", "10.2.2.2"),
            // No address is named.
            ("", "0.0.0.0"),
            (",", "0.0.0.0"),
            ("192.0.2.7,", "0.0.0.0"),
            ("unknown", "0.0.0.0"),
            ("192.0.2.7, _hidden", "0.0.0.0"),
            ("192.0.2.7, client.example", "0.0.0.0"),
            ("192.0.2.07", "0.0.0.0"),
            ("192.0.2.7:", "0.0.0.0"),
            ("192.0.2.7:99999", "0.0.0.0"),
            ("fe80::1%eth0", "0.0.0.0"),
            ("[192.0.2.7]", "0.0.0.0"),
            ("3221225991", "0.0.0.0"),
            ("192.0.2.7 192.0.2.8", "0.0.0.0"),
        ] {
            assert_eq!(client(&[("x-forwarded-for", value.as_bytes())]), expected, "{value:?}");
        }
        assert_eq!(client(&[("x-forwarded-for", b"192.0.2.7, \xff")]), "0.0.0.0");
        assert_eq!(client(&[]), "10.0.0.1:5000", "the proxy itself sent the request");
        let lines: &[(&str, &[u8])] = &[("x-forwarded-for", b"6.6.6.6"), ("x-forwarded-for", b"192.0.2.7, 10.1.1.1")];
        assert_eq!(client(lines), "192.0.2.7", "a repeated header is one list");
    }

    #[test]
    fn forwarded_is_read_with_its_quotes_and_escapes() {
        for (value, expected) in [
            ("for=192.0.2.7", "192.0.2.7"),
            ("For=\"192.0.2.7:80\";proto=https;by=10.0.0.1", "192.0.2.7"),
            ("proto=https ; for = 192.0.2.7", "192.0.2.7"),
            ("for=6.6.6.6, for=192.0.2.7;host=\"a,b;for=7.7.7.7\", for=10.1.1.1", "192.0.2.7"),
            ("for=\"[2001:db8::7]:80\"", "2001:db8::7"),
            ("for=\"192.0.2.\\7\"", "192.0.2.7"),
            ("for=10.1.1.1", "10.1.1.1"),
            ("for=unknown", "0.0.0.0"),
            ("for=192.0.2.7, for=_x1", "0.0.0.0"),
            ("proto=https", "0.0.0.0"),
            ("for=192.0.2.7;for=192.0.2.8", "0.0.0.0"),
            ("for=\"192.0.2.7", "0.0.0.0"),
            ("for=6.6.6.6, \"for=192.0.2.7", "0.0.0.0"),
            ("", "0.0.0.0"),
        ] {
            assert_eq!(client(&[("forwarded", value.as_bytes())]), expected, "{value:?}");
        }
    }

    #[test]
    fn two_headers_have_to_agree() {
        let both = |list: &str, element: &str| {
            client(&[("x-forwarded-for", list.as_bytes()), ("forwarded", element.as_bytes())])
        };
        assert_eq!(both("6.6.6.6, 192.0.2.7", "for=192.0.2.7"), "192.0.2.7");
        assert_eq!(both("192.0.2.7", "for=6.6.6.6"), "0.0.0.0", "one of them may be the client's own");
        assert_eq!(both("unknown", "for=6.6.6.6"), "0.0.0.0");
    }

    #[test]
    fn headers_of_others_are_ignored() {
        let forged = HeaderMap::from_iter([(X_FORWARDED_FOR, HeaderValue::from_static("192.0.2.7"))]);
        let ask = |entries: &[&str], peer: &str| proxies(entries).client_of(peer.parse().unwrap(), &forged).to_string();
        assert_eq!(ask(&[], "10.0.0.1:5000"), "10.0.0.1:5000");
        assert_eq!(ask(&["10.0.0.2"], "10.0.0.1:5000"), "10.0.0.1:5000");
        assert_eq!(ask(&["10.0.0.1"], "[::ffff:10.0.0.1]:5000"), "192.0.2.7:0");
        assert_eq!(ask(&["::1"], "[::1]:5000"), "192.0.2.7:0");
        assert!(
            ["10.0.0.0/8", "10.0.0.1", "::1", "2001:db8::/32"]
                .iter()
                .all(|entry| TrustedProxies::is_valid_entry(entry))
        );
        for entry in ["", "10.0.0.0/33", "proxy.lan", "10.0.0.1:80", "*", "10.0.0.0/8/8"] {
            assert!(!TrustedProxies::is_valid_entry(entry), "{entry}");
        }
    }

    proptest! {
        #[test]
        fn what_the_client_wrote_before_never_counts(forged in "\\PC{0,40}", tail in 0_usize..3) {
            let Ok(forged) = HeaderValue::from_str(&forged) else { return Ok(()) };
            let mut value = forged.as_bytes().to_vec();
            value.extend_from_slice(b", 192.0.2.7");
            (0..tail).for_each(|_| value.extend_from_slice(b", 10.9.9.9"));
            prop_assert_eq!(client(&[("x-forwarded-for", &value)]), "192.0.2.7");
        }
    }
}
