//! The names we answer to.
//!
//! A page of `evil.example` whose name is made to resolve to 127.0.0.1 is, to a browser, same-origin with us. What gives
//! it away is the `Host` header, which still says `evil.example`. An address cannot be rebound, a name can.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header;
use http::uri::Authority;

use crate::api::Error;

/// The names we answer to, whatever the port.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// Lower case, without brackets.
    names: Vec<String>,
    /// We listen on every address of the machine, so any address may be ours.
    any_address: bool,
}

// === impl Hosts ===

impl Hosts {
    /// Loopback, the host we were told to listen on, and further names.
    #[must_use]
    pub fn new(configured: &str, further: &[String]) -> Self {
        let names = further.iter().map(String::as_str).chain(["localhost", configured]).map(plain).collect();
        let any_address = plain(configured).parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
        Self { names, any_address }
    }

    /// Whether we answer to this name, as it stands in a URL: without a port, IPv6 addresses in brackets.
    pub(super) fn answer_to(&self, host: &str) -> bool {
        let host = plain(host);
        match host.parse::<IpAddr>() {
            Ok(address) if address.to_canonical().is_loopback() || self.any_address => true,
            _ => self.names.contains(&host),
        }
    }
}

pub(super) async fn require(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Result<Response, Error> {
    match host_of(&request) {
        Some(host) if hosts.answer_to(host.host()) => Ok(next.run(request).await),
        host => Err(Error::ForeignHost(host.map_or_else(String::new, |host| host.to_string()))),
    }
}

/// The one host of a request: in its target, or in its only `Host` header.
pub(super) fn host_of(request: &Request) -> Option<Authority> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.clone());
    }
    let mut values = request.headers().get_all(header::HOST).into_iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    Authority::try_from(value.as_bytes()).ok()
}

fn plain(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_ours_and_names_are_not() {
        let hosts = Hosts::new("127.0.0.1", &[]);
        for ours in ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.8.9.1", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(hosts.answer_to(ours), "{ours}");
        }
        for foreign in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.7", "0.0.0.0", ""]
        {
            assert!(!hosts.answer_to(foreign), "{foreign}");
        }
    }

    #[test]
    fn configured_names_are_ours() {
        let hosts = Hosts::new("192.168.1.7", &["Box.lan".to_owned()]);
        assert!(hosts.answer_to("192.168.1.7") && hosts.answer_to("box.lan"));
        assert!(!hosts.answer_to("192.168.1.8"));
    }

    #[test]
    fn everywhere_means_every_address_but_no_name() {
        let hosts = Hosts::new("0.0.0.0", &[]);
        assert!(hosts.answer_to("192.168.1.7") && hosts.answer_to("[fd00::1]"));
        assert!(!hosts.answer_to("evil.example"));
    }
}
