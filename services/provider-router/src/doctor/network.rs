//! Checks of the connections: name, TCP, TLS, answer, clock and models of each provider, from a single request for its
//! list of models, which costs no tokens.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use http::{HeaderMap, StatusCode, header::DATE};
use jiff::fmt::rfc2822;
use signalbox_core::provider_type::QWEN_PROXY;
use signalbox_upstream::{Client, Deadlines, Error};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{CHECK_TIMEOUT, Check, subject::Subject};
use crate::{
    clock::unix_ms,
    config::Config,
    model_list,
    probe::{Probe, probe},
    provider::{Adapter, Provider, Remote},
};

/// Maximum number of providers that are asked at the same time.
const AT_ONCE: usize = 8;
/// Difference of the clocks, in milliseconds, above which something may be wrong, and above which certificates and
/// signed requests fail.
const SKEW: (u64, u64) = (30_000, 300_000);

const STAGES: [&str; 3] = ["dns", "tcp", "tls"];
const LINK: &str = "docs/providers.md#testing-and-loading";

/// Checks of the network, and the models that each provider lists.
#[derive(Debug, Default)]
pub(super) struct Networked {
    pub(super) checks: Vec<Check>,
    /// By provider; those that did not answer are missing.
    pub(super) listed: HashMap<String, HashSet<String>>,
}

/// Returns the checks that a run without network leaves out.
pub(super) fn skipped(subject: &Subject) -> Networked {
    let remote = subject.snapshot.providers().iter().filter(|provider| matches!(provider.adapter, Adapter::Remote(_)));
    let checks = remote.map(|provider| {
        Check::skipped(format!("provider.{}.connection", provider.id), "it is not asked, because of --offline")
    });
    Networked { checks: checks.collect(), listed: known_lists(subject) }
}

/// Asks all enabled providers.
pub(super) async fn checks(subject: &Subject, config: &Config) -> Networked {
    let settings = config.upstream.client(Vec::new());
    let Some(client) = settings.ok().and_then(|settings| Client::new(&settings).ok()) else {
        // `config.connections` has the reason.
        return Networked { listed: known_lists(subject), ..Networked::default() };
    };
    let deadlines = Deadlines { connect: CHECK_TIMEOUT, ..config.upstream.deadlines() };
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut asked = JoinSet::new();
    for (place, provider) in subject.snapshot.providers().iter().enumerate() {
        let (client, provider, permits) = (client.clone(), Arc::clone(provider), Arc::clone(&permits));
        asked.spawn(async move {
            let _permit = permits.acquire_owned().await;
            (place, ask(&client, &deadlines, &provider).await)
        });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(place, _)| *place);
    let mut networked = Networked { listed: known_lists(subject), ..Networked::default() };
    for ((_, (checks, listed)), provider) in answers.into_iter().zip(subject.snapshot.providers()) {
        networked.checks.extend(checks);
        if let Some(listed) = listed {
            networked.listed.insert(provider.id.clone(), listed);
        }
    }
    networked
}

/// Returns the lists that the router has kept.
fn known_lists(subject: &Subject) -> HashMap<String, HashSet<String>> {
    let list = |provider: &Arc<Provider>| {
        let models = subject.snapshot.own_list(provider)?;
        Some((provider.id.clone(), models.iter().map(|model| model.id.clone()).collect()))
    };
    subject.snapshot.providers().iter().filter_map(list).collect()
}

async fn ask(client: &Client, deadlines: &Deadlines, provider: &Provider) -> (Vec<Check>, Option<HashSet<String>>) {
    let Adapter::Remote(remote) = &provider.adapter else { return (Vec::new(), None) };
    let id = |aspect: &str| format!("provider.{}.{aspect}", provider.id);
    let began = Instant::now();
    match timeout(CHECK_TIMEOUT, probe(client, deadlines, remote)).await {
        Err(_elapsed) => {
            let finding = format!("it has not answered within {} s", CHECK_TIMEOUT.as_secs());
            (vec![Check::fail(id("answer"), finding).remedy("check `baseURL` and the network").link(LINK)], None)
        }
        Ok(Err(error)) => (unreached(&id, &error, remote, &provider.row.kind), None),
        Ok(Ok(probed)) => {
            let millis = began.elapsed().as_millis();
            let mut checks = reached(&id, remote);
            checks.push(answered(&id, &probed, millis));
            checks.push(clock(&id, &probed.headers, unix_ms()));
            let listed = probed.list.ok().and_then(|list| model_list::read(&list, &provider.id).ok());
            let listed = listed.map(|list| list.models.into_iter().map(|model| model.id).collect::<HashSet<_>>());
            checks.push(match &listed {
                Some(models) => Check::ok(id("models"), format!("it lists {} models", models.len())).link(LINK),
                None => Check::skipped(id("models"), "it returned no list of models").link(LINK),
            });
            (checks, listed)
        }
    }
}

/// Returns the stages of a connection that was established.
fn reached(id: &impl Fn(&str) -> String, remote: &Remote) -> Vec<Check> {
    let is_https = remote.target.is_https();
    STAGES.iter().map(|stage| stage_ok(id, stage, remote.target.authority(), is_https)).collect()
}

fn stage_ok(id: &impl Fn(&str) -> String, stage: &str, authority: &str, is_https: bool) -> Check {
    let check = match stage {
        "dns" => Check::ok(id(stage), format!("{authority} has an address that may be called")),
        "tcp" => Check::ok(id(stage), format!("{authority} accepts connections")),
        _ if is_https => Check::ok(id(stage), format!("{authority} has a certificate that is valid and trusted")),
        _ => Check::skipped(id(stage), "`baseURL` begins with http://"),
    };
    check.link("docs/security.md#outgoing-connections")
}

/// Returns the stages up to the one that failed.
fn unreached(id: &impl Fn(&str) -> String, error: &Error, remote: &Remote, kind: &str) -> Vec<Check> {
    let (stage, remedy) = match error {
        Error::Dns { .. } => ("dns", "check the host name in `baseURL`, and the name server of this machine"),
        Error::Policy { .. } | Error::PolicyName { .. } => {
            ("dns", "use a `baseURL` that may be called, or change upstream.deny_private")
        }
        Error::Connect { .. } | Error::ConnectSocket { .. } | Error::OwnAddress { .. } => {
            ("tcp", "check that the server runs, the port in `baseURL`, and the firewall")
        }
        Error::ConnectTimeout { .. } => ("tcp", "check the firewall, and whether a proxy is needed"),
        Error::Proxy { .. } => ("tcp", "check the provider's `proxy`, or HTTPS_PROXY and HTTP_PROXY"),
        Error::Tls { .. } | Error::TlsFiles { .. } => {
            ("tls", "check the host name in `baseURL` and the clock, or trust its authority with `caFile`")
        }
        _ => ("answer", "check that `baseURL` is the address of an API"),
    };
    let finding = remote.masker.mask_text(&error.to_string()).into_owned();
    let before = STAGES.iter().take_while(|earlier| **earlier != stage);
    let authority = remote.target.authority();
    let mut checks: Vec<Check> =
        before.map(|earlier| stage_ok(id, earlier, authority, remote.target.is_https())).collect();
    let check = if kind == QWEN_PROXY {
        // Every new installation has one, which many do not run.
        Check::warn(id(stage), finding).remedy("start it with `api-server start`, or disable the provider")
    } else {
        Check::fail(id(stage), finding).remedy(remedy)
    };
    checks.push(check.link("docs/security.md#outgoing-connections"));
    checks
}

fn answered(id: &impl Fn(&str) -> String, probed: &Probe, millis: u128) -> Check {
    let check = match (&probed.list, probed.status) {
        (Ok(_), _) => Check::ok(id("answer"), format!("it answered within {millis} ms")),
        (Err(reason), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            Check::fail(id("answer"), reason).remedy("the key is wrong or lacks a permission: set another `apiKey`")
        }
        (Err(reason), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) => Check::warn(id("answer"), reason)
            .remedy("if the provider has a list of models, correct the path of `baseURL`; otherwise ignore this"),
        (Err(reason), StatusCode::TOO_MANY_REQUESTS) => {
            Check::warn(id("answer"), reason).remedy("it limits the rate now: try again later")
        }
        (Err(reason), _) => Check::fail(id("answer"), reason).remedy("look at its status page, and try again later"),
    };
    check.link(LINK)
}

/// Compares the clock of this machine with the `Date` of an answer.
fn clock(id: &impl Fn(&str) -> String, headers: &HeaderMap, now_ms: i64) -> Check {
    const REMEDY: &str = "synchronise the clock of this machine, for instance with `timedatectl set-ntp true`";
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| rfc2822::parse(date).ok());
    let Some(date) = date else { return Check::skipped(id("clock"), "its answer has no date") };
    let skew = now_ms.abs_diff(date.timestamp().as_millisecond());
    let finding = format!("the clock of this machine differs by {} s from its", skew / 1_000);
    let check = match skew {
        _ if skew <= SKEW.0 => Check::ok(id("clock"), finding),
        _ if skew <= SKEW.1 => Check::warn(id("clock"), finding).remedy(REMEDY),
        _ => Check::fail(id("clock"), finding).remedy(REMEDY),
    };
    check.link("docs/operations.md#platforms")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    fn id(aspect: &str) -> String {
        format!("provider.p.{aspect}")
    }

    #[test]
    fn clocks_are_compared_in_both_directions() {
        let mut headers = HeaderMap::new();
        assert_eq!(clock(&id, &headers, 0).state, State::Skipped);
        headers.insert(DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        let there = 784_111_777_000;
        for (ahead, state) in [
            (0, State::Ok),
            (29_999, State::Ok),
            (-60_000, State::Warn),
            (60_000, State::Warn),
            (-301_000, State::Fail),
            (400_000, State::Fail),
        ] {
            let check = clock(&id, &headers, there + ahead);
            assert_eq!(check.state, state, "{check:?}");
        }
        headers.insert(DATE, "yesterday".parse().unwrap());
        assert_eq!(clock(&id, &headers, there).state, State::Skipped);
    }

    #[test]
    fn answers_are_judged_by_their_status() {
        for (status, state) in
            [(401, State::Fail), (403, State::Fail), (404, State::Warn), (429, State::Warn), (500, State::Fail)]
        {
            let status = StatusCode::from_u16(status).unwrap();
            let probed = Probe { status, headers: HeaderMap::new(), list: Err("refused".to_owned()) };
            let check = answered(&id, &probed, 1);
            assert_eq!(check.state, state, "{status}");
            assert!(check.remedy.is_some(), "{status}");
        }
    }
}
