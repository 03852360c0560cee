//! Asking a service to leave over HTTP, as SIGTERM does: for whoever has no signals, or does not know the process.

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

use crate::serve::PeerAddr;
use crate::shutdown::Shutdown;

/// Why somebody may not do that, one sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The client is on another machine, or came through something that does not say so.
    #[error("only processes of this machine may ask the service to leave")]
    Remote,
    /// The request is for another host: a page may have made its own name point here.
    #[error("address the service as localhost or by a loopback address")]
    Host,
    /// A page asks.
    #[error("pages may not ask the service to leave")]
    Origin,
}

/// Begins to drain, if a program of this machine asks for it. The answer to the request is still sent. Whether it needs a
/// client key is up to the caller.
///
/// # Errors
/// Why not.
pub fn leave(shutdown: &Shutdown, peer: Option<&PeerAddr>, headers: &HeaderMap) -> Result<(), Refused> {
    if !peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback()) {
        return Err(Refused::Remote);
    }
    if !headers.get(HOST).and_then(|host| host.to_str().ok()).is_some_and(is_loopback) {
        return Err(Refused::Host);
    }
    // No program sends this by itself, and every browser does with a POST.
    if headers.contains_key(ORIGIN) || headers.get("sec-fetch-site").is_some() {
        return Err(Refused::Origin);
    }
    tracing::info!("asked to leave over HTTP");
    shutdown.trigger();
    Ok(())
}

/// Whether `Host` means this machine, whatever names lead here.
fn is_loopback(host: &str) -> bool {
    let port_of =
        |rest: &str| rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    if let Some(rest) = host.strip_prefix("[::1]") {
        return port_of(rest);
    }
    let (name, rest) = host.split_at(host.find(':').unwrap_or(host.len()));
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_local = name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    is_local && port_of(rest)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn ask(peer: Option<&str>, headers: &[(&'static str, &'static str)]) -> Result<(), Refused> {
        let peer = peer.map(|peer| PeerAddr(peer.parse().unwrap()));
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let shutdown = Shutdown::new();
        let answer = leave(&shutdown, peer.as_ref(), &headers);
        assert_eq!(shutdown.is_draining(), answer.is_ok());
        answer
    }

    #[test]
    fn a_program_of_this_machine_may() {
        for (peer, host) in
            [("127.0.0.1:9", "localhost:3001"), ("[::1]:9", "[::1]:3001"), ("[::ffff:127.0.0.1]:9", "127.0.0.1")]
        {
            assert_eq!(ask(Some(peer), &[("host", host)]), Ok(()), "{peer} {host}");
        }
    }

    #[test]
    fn nobody_else_may() {
        let here = Some("127.0.0.1:9");
        assert_eq!(ask(Some("192.168.1.7:9"), &[("host", "localhost")]), Err(Refused::Remote));
        assert_eq!(ask(None, &[("host", "localhost")]), Err(Refused::Remote));
        for host in ["evil.example", "localhost.evil.example", "localhost:x", "127.0.0.1.evil.example", "[::1]x", ""] {
            assert_eq!(ask(here, &[("host", host)]), Err(Refused::Host), "{host}");
        }
        assert_eq!(ask(here, &[]), Err(Refused::Host));
        for page in [("origin", "http://localhost:3002"), ("origin", "null"), ("sec-fetch-site", "same-origin")] {
            assert_eq!(ask(here, &[("host", "localhost"), page]), Err(Refused::Origin), "{page:?}");
        }
    }
}
