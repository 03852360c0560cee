//! `test-ports`: reports which ports are free, and which processes hold the others.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _};

use anyhow::Context as _;
use serde_json::{Value, json};
use signalbox_daemon::listener::{Holder, holder_of};

use super::installation::Installation;
use super::output::{Code, CommandResult, Output};
use crate::config::Args;

/// Number of ports above a taken one that are tried.
const MAX_SCANNED_PORTS: u16 = 100;

#[derive(Debug, clap::Args)]
pub(super) struct TestPorts {
    /// Port to test; without it, the three configured ones
    #[arg(value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

/// Whether a process could listen on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Available,
    /// Taken; with the process that holds it, where the operating system tells.
    Held(Option<Holder>),
    /// Not permitted: a privileged port, or an address of another machine.
    Refused(String),
}

pub(super) async fn test_ports(command: &TestPorts, args: &Args, out: &mut Output) -> anyhow::Result<CommandResult> {
    let installation = Installation::read(args).await?;
    let host = &installation.common.server.host;
    let asked: Vec<(&str, u16)> = match command.port {
        Some(port) => vec![("", port)],
        // Port 0 is always available.
        None => installation.ports().into_iter().filter(|(_, port)| *port != 0).collect(),
    };
    let mut all_free = true;
    let mut facts = Vec::new();
    for (service, port) in asked {
        let state = state(host, port)?;
        let whose = if service.is_empty() { String::new() } else { format!(" ({service})") };
        out.line(format!("Port {port}{whose}: {}", state.in_words()));
        let mut fact = state.facts(port);
        if state != State::Available {
            all_free = false;
            let free = next_free(host, port)?;
            match free {
                Some(free) => out.line(format!("Next available port: {free}")),
                None => out.line(format!("No port up to {} is available", port.saturating_add(MAX_SCANNED_PORTS))),
            }
            fact["nextAvailable"] = free.into();
        }
        if !service.is_empty() {
            fact["service"] = service.into();
        }
        facts.push(fact);
    }
    Ok(CommandResult::new(if all_free { Code::Done } else { Code::Failed }, json!({ "ports": facts })))
}

/// Tests a port by binding it briefly, at each address on which the service would listen.
pub(super) fn state(host: &str, port: u16) -> anyhow::Result<State> {
    for addr in addresses(host, port)? {
        match TcpListener::bind(addr) {
            Ok(_listener) => {}
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Ok(State::Held(holder_of(addr))),
            // Without IPv6, `localhost` still has its IPv4 address.
            Err(_) if addr == SocketAddr::from((Ipv6Addr::LOCALHOST, port)) && is_localhost(host) => {}
            Err(error) => return Ok(State::Refused(error.to_string())),
        }
    }
    Ok(State::Available)
}

fn next_free(host: &str, port: u16) -> anyhow::Result<Option<u16>> {
    for candidate in (port..=port.saturating_add(MAX_SCANNED_PORTS)).skip(1) {
        if state(host, candidate)? == State::Available {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

/// Returns the addresses on which a service listens when it is configured with this host.
fn addresses(host: &str, port: u16) -> anyhow::Result<Vec<SocketAddr>> {
    if is_localhost(host) {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut found =
        (bare, port).to_socket_addrs().with_context(|| format!("`{host}` is not an address of this machine"))?;
    Ok(vec![found.next().with_context(|| format!("`{host}` does not resolve to an address"))?])
}

// === impl State ===

impl State {
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Available => "Available".to_owned(),
            Self::Held(Some(holder)) => format!("In use by {holder}"),
            Self::Held(None) => "In use by a process of another user".to_owned(),
            Self::Refused(why) => format!("Refused: {why}"),
        }
    }

    pub(super) fn facts(&self, port: u16) -> Value {
        let holder = match self {
            Self::Held(Some(holder)) => json!({ "pid": holder.pid, "name": holder.name }),
            _ => Value::Null,
        };
        json!({ "port": port, "available": *self == Self::Available, "holder": holder })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_port_differs_from_a_free_one() {
        let unused = signalbox_harness::ports::unused().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", unused)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(matches!(state("127.0.0.1", port).unwrap(), State::Held(_)));
        assert_ne!(next_free("127.0.0.1", port).unwrap(), Some(port));
        drop(listener);
        assert_eq!(state("127.0.0.1", port).unwrap(), State::Available);
        assert!(matches!(state("192.0.2.1", port).unwrap(), State::Refused(_)), "an address of another machine");
        assert!(state("no such host", port).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_holder_listens_on_the_same_address() {
        // A different program listens on the same port of another address, and has bound it first.
        let there = TcpListener::bind("127.0.0.2:0").unwrap();
        let port = there.local_addr().unwrap().port();
        assert_eq!(state("127.0.0.1", port).unwrap(), State::Available);
        let State::Held(Some(holder)) = state("127.0.0.2", port).unwrap() else { panic!() };
        assert_eq!((holder.pid, holder.addr), (std::process::id(), there.local_addr().unwrap()));
        let State::Held(Some(holder)) = state("0.0.0.0", port).unwrap() else { panic!() };
        assert_eq!(holder.addr, there.local_addr().unwrap());
        let here = TcpListener::bind(("127.0.0.1", port)).unwrap();
        for host in ["127.0.0.1", "localhost"] {
            let State::Held(Some(holder)) = state(host, port).unwrap() else { panic!() };
            assert_eq!(holder.addr, here.local_addr().unwrap());
        }
    }

    #[test]
    fn no_port_above_65535_is_tried() {
        assert!(next_free("127.0.0.1", 65535).unwrap().is_none());
    }
}
