//! The check of the `Host` header against the names of the service.
//!
//! To a browser, a page of `evil.example` whose name resolves to 127.0.0.1 is same-origin with the service (DNS
//! rebinding). The request is recognised by its `Host` header, which still contains `evil.example`. Names can be
//! rebound, addresses cannot.

use std::net::{IpAddr, Ipv6Addr};

use http::{Request, Version, header};

use super::Forbidden;

/// Names of the service, independent of the port.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    /// Accepted names in lower case, without brackets and trailing dot.
    names: Vec<String>,
    /// Domains with a leading dot, of which all subdomains are accepted.
    domains: Vec<String>,
    /// Whether any IP address is accepted: the service listens on every address of the machine, or on a host name whose
    /// address is not known here.
    any_address: bool,
    /// Whether every name is accepted, by configuration.
    any: bool,
}

/// The only loopback name that is not an address.
const LOCALHOST: &str = "localhost";
/// Names by which containers reach their host. They cannot be rebound: `internal` is not a public domain.
const CONTAINER_HOSTS: [&str; 2] = ["host.docker.internal", "host.containers.internal"];

// === impl Hosts ===

impl Hosts {
    /// Creates the check. It accepts loopback names, `configured` (the host listened on) and the `further` names:
    /// `box.lan`, `*.box.lan` for all subdomains, `*` for all.
    pub(crate) fn new(configured: &str, further: &[String]) -> Self {
        let configured = plain(configured);
        let (mut names, mut domains, mut any) = (vec![configured.clone()], Vec::new(), false);
        for name in further {
            match name.strip_prefix('*') {
                Some("") => any = true,
                Some(domain) => domains.push(plain(domain)),
                None => names.push(plain(name)),
            }
        }
        let any_address = match configured.parse::<IpAddr>() {
            Ok(address) => address.is_unspecified(),
            // A host name resolves to an address that is not known here.
            Err(_) => configured != LOCALHOST,
        };
        Self { names, domains, any_address, any }
    }

    /// Returns `true` if `entry` is valid in the list of further names.
    pub(crate) fn is_valid_entry(entry: &str) -> bool {
        let name = entry.strip_prefix("*.").unwrap_or(entry);
        entry == "*" || split(name).is_some_and(|(host, port)| port.is_none() && !host.starts_with('.'))
    }

    /// Returns `true` if `host`, as found by [`host_of`], is a name of the service. Does not allocate, because it runs
    /// for every request.
    pub(crate) fn accepts(&self, host: &str) -> bool {
        let host = bare(host);
        if self.any || host.eq_ignore_ascii_case(LOCALHOST) {
            return true;
        }
        if CONTAINER_HOSTS.iter().any(|name| host.eq_ignore_ascii_case(name)) {
            return true;
        }
        if let Ok(address) = host.parse::<IpAddr>()
            && (self.any_address || address.to_canonical().is_loopback())
        {
            return true;
        }
        let below = |domain: &String| {
            let start = host.len().checked_sub(domain.len());
            start
                .filter(|start| *start > 0)
                .and_then(|start| host.get(start..))
                .is_some_and(|end| end.eq_ignore_ascii_case(domain))
        };
        self.names.iter().any(|name| host.eq_ignore_ascii_case(name)) || self.domains.iter().any(below)
    }
}

/// Returns the host of a request without a port, from its target or its only `Host` header. Returns `None` for an
/// HTTP/1.0 request without that header, as sent by health checks of load balancers but not by browsers.
pub(super) fn host_of<B>(request: &Request<B>) -> Result<Option<&str>, Forbidden> {
    if let Some(authority) = request.uri().authority() {
        return split(authority.as_str()).map(|(host, _)| Some(host)).ok_or(Forbidden::UnclearHost);
    }
    let mut values = request.headers().get_all(header::HOST).into_iter();
    match (values.next(), values.next()) {
        (Some(value), None) => {
            let parts = value.to_str().ok().and_then(split);
            parts.map(|(host, _)| Some(host)).ok_or(Forbidden::UnclearHost)
        }
        (None, None) if request.version() <= Version::HTTP_10 => Ok(None),
        _ => Err(Forbidden::UnclearHost),
    }
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port` into host and port; `None` for anything else.
fn split(host: &str) -> Option<(&str, Option<&str>)> {
    let (name, rest) = if host.starts_with('[') {
        let (name, rest) = host.split_at(host.find(']')? + 1);
        bare(name).parse::<Ipv6Addr>().ok()?;
        (name, rest)
    } else {
        let (name, rest) = host.split_at(host.find(':').unwrap_or(host.len()));
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if name.is_empty() || !name.bytes().all(known) {
            return None;
        }
        (name, rest)
    };
    if rest.is_empty() {
        return Some((name, None));
    }
    let port = rest.strip_prefix(':')?;
    port.bytes().all(|digit| digit.is_ascii_digit()).then_some((name, Some(port)))
}

fn bare(host: &str) -> &str {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn plain(host: &str) -> String {
    bare(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(configured: &str, further: &[&str]) -> Hosts {
        Hosts::new(configured, &further.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn loopback_hosts_are_accepted_and_other_names_refused() {
        let hosts = hosts("127.0.0.1", &[]);
        for ours in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "127.0.0.1",
            "127.8.9.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "host.docker.internal",
        ] {
            assert!(hosts.accepts(ours), "{ours}");
        }
        for foreign in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.168.1.7",
            "0.0.0.0",
            "",
            "localhost..",
        ] {
            assert!(!hosts.accepts(foreign), "{foreign}");
        }
    }

    #[test]
    fn configured_names_are_accepted() {
        let hosts = hosts("192.168.1.7", &["Box.lan", "[fd00::7]", "*.svc.cluster.local"]);
        for ours in
            ["192.168.1.7", "box.lan", "BOX.LAN.", "[fd00::7]", "router.svc.cluster.local", "a.b.SVC.cluster.local"]
        {
            assert!(hosts.accepts(ours), "{ours}");
        }
        for foreign in
            ["192.168.1.8", "x.box.lan", "svc.cluster.local", ".svc.cluster.local", "evilsvc.cluster.local", "é.svc"]
        {
            assert!(!hosts.accepts(foreign), "{foreign}");
        }
        assert!(Hosts::new("::1", &["*".to_owned()]).accepts("evil.example"), "`*` allows every host");
    }

    #[test]
    fn listening_everywhere_accepts_addresses_but_no_names() {
        let hosts = hosts("0.0.0.0", &[]);
        assert!(hosts.accepts("192.168.1.7") && hosts.accepts("[fd00::1]"));
        assert!(!hosts.accepts("evil.example"));
    }

    #[test]
    fn listening_on_a_name_accepts_the_name_and_addresses() {
        let named = hosts("Box.lan", &[]);
        assert!(named.accepts("box.lan") && named.accepts("192.168.1.7") && !named.accepts("evil.example"));
        assert!(!hosts("localhost", &[]).accepts("192.168.1.7"));
    }

    #[test]
    fn an_allowed_host_is_a_name() {
        for entry in ["box.lan", "192.168.1.7", "[fd00::1]", "*", "*.box.lan", "under_score"] {
            assert!(Hosts::is_valid_entry(entry), "{entry}");
        }
        for entry in
            ["", "http://box.lan", "box.lan:3001", "box.lan/", "*.", "a*.b", "*..b", "[fd00", "a b", "a@b", "ü.de"]
        {
            assert!(!Hosts::is_valid_entry(entry), "{entry}");
        }
    }

    #[test]
    fn exactly_one_host_is_required() {
        let host_in = |version, target: &str, hosts: &[&str]| {
            let mut request = Request::get(target).version(version);
            for host in hosts {
                request = request.header("host", *host);
            }
            host_of(&request.body(()).unwrap()).map(|host| host.map(str::to_owned))
        };
        for (target, hosts, host) in [
            ("/", &["localhost:3001"][..], "localhost"),
            ("/", &["[::1]:3001"], "[::1]"),
            ("/", &["localhost:"], "localhost"),
            // An absolute target overrides the header (RFC 9112).
            ("http://evil.example/", &["localhost"], "evil.example"),
        ] {
            assert_eq!(host_in(Version::HTTP_11, target, hosts), Ok(Some(host.to_owned())), "{target} {hosts:?}");
        }
        for hosts in [
            &[][..],
            &["localhost", "localhost"],
            &[""],
            &[":3001"],
            &["user@localhost"],
            &["localhost:x"],
            &["[::1"],
            &["[localhost]"],
            &["localhost/evil"],
            &["local host"],
        ] {
            assert_eq!(host_in(Version::HTTP_11, "/", hosts), Err(Forbidden::UnclearHost), "{hosts:?}");
        }
        assert_eq!(host_in(Version::HTTP_10, "/", &[]), Ok(None), "health checks of load balancers");
    }
}
