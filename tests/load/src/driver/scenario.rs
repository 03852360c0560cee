//! The scenarios: the requests sent to the targets.

use signalbox_core::Api;

use crate::{
    driver::target::{
        Kind::{self, Direct, JournalOff, JournalOn, JournalPower, Nginx, Null, QwenProxy, QwenSite, Rules},
        Site, Target,
    },
    load::{self, Load, Mode},
    prompt,
};

/// One scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Short name.
    pub name: &'static str,
    /// Description.
    pub title: &'static str,
    /// Targets, in the order of the first round.
    pub targets: &'static [Kind],
    mode: Mode,
    connections: u32,
    rate: f64,
    prompt: prompt::Kind,
    stream: bool,
    model: &'static str,
    /// API of the client.
    client: Api,
    /// API of the provider.
    provider: Api,
    /// Whether requests present a client key.
    has_key: bool,
    /// Whether client keys are changed in the meantime.
    pub changes_keys: bool,
    /// When the scenario is run.
    pub run: Run,
}

/// When a scenario is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// In every round.
    Rounds,
    /// In every round, but after all lighter scenarios, because it leaves much work for the database.
    HeavyRounds,
    /// Once, after all rounds, with its own duration.
    Once,
    /// Once, for twenty times the duration of a round.
    Long,
}

const ALL: &[Kind] = &[Null, JournalOn, Nginx, JournalOff, JournalPower];
const NOT_POWER: &[Kind] = &[Null, JournalOn, Nginx, JournalOff];
/// Translation is compared with the null proxy, which forwards the same bytes of the provider to a client of its API.
const TRANSLATED: &[Kind] = &[Null, JournalOn, JournalOff];
/// The same requests with the same key go to a router that asks for none.
const RULES: &[Kind] = &[JournalOn, Rules];
const QWEN: &[Kind] = &[QwenSite, QwenProxy];
const PLAIN: Scenario = Scenario {
    name: "",
    title: "",
    targets: ALL,
    mode: Mode::Closed,
    connections: 64,
    rate: 0.0,
    prompt: prompt::Kind::Short,
    stream: false,
    model: "mock-100x0",
    client: Api::Chat,
    provider: Api::Chat,
    has_key: false,
    changes_keys: false,
    run: Run::Rounds,
};
const STREAMS: Scenario = Scenario { connections: 32, stream: true, ..PLAIN };
const STEADY: Scenario = Scenario { mode: Mode::Open, connections: 32, rate: 2000.0, ..PLAIN };

/// All scenarios, in the order in which they are run.
pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "A", title: "1 KB answers, 64 connections", ..PLAIN },
    Scenario { name: "C", title: "streams of 100 chunks without delay, 32 connections", ..STREAMS },
    Scenario {
        name: "M",
        title: "as C, with Messages",
        client: Api::Messages,
        provider: Api::Messages,
        targets: NOT_POWER,
        ..STREAMS
    },
    Scenario {
        name: "P",
        title: "as C, with Responses",
        client: Api::Responses,
        provider: Api::Responses,
        targets: NOT_POWER,
        ..STREAMS
    },
    Scenario {
        name: "MT",
        title: "as C, a client of Messages in front of a provider of Chat Completions",
        client: Api::Messages,
        targets: TRANSLATED,
        ..STREAMS
    },
    Scenario {
        name: "CT",
        title: "as C, a client of Chat Completions in front of a provider of Messages",
        provider: Api::Messages,
        targets: TRANSLATED,
        ..STREAMS
    },
    Scenario {
        name: "PT",
        title: "as C, a client of Responses in front of a provider of Chat Completions",
        client: Api::Responses,
        targets: TRANSLATED,
        ..STREAMS
    },
    Scenario { name: "K", title: "as A, with a client key", has_key: true, targets: RULES, ..PLAIN },
    Scenario { name: "KC", title: "as C, with a client key", has_key: true, targets: RULES, ..STREAMS },
    Scenario {
        name: "R100",
        title: "100 requests a second",
        mode: Mode::Open,
        connections: 32,
        rate: 100.0,
        targets: &[Direct, Null, JournalOn, Nginx],
        ..PLAIN
    },
    Scenario {
        name: "R2000",
        title: "2,000 requests a second",
        targets: &[Direct, Null, JournalOn, Nginx, JournalPower],
        ..STEADY
    },
    Scenario { name: "K2000", title: "as R2000, with a client key", has_key: true, targets: &[Rules], ..STEADY },
    Scenario {
        name: "KR",
        title: "as K2000, while a client key is changed twice a second",
        has_key: true,
        changes_keys: true,
        targets: &[Rules],
        ..STEADY
    },
    Scenario {
        name: "B",
        title: "100 KB prompts, 90 % of which repeat the conversation",
        prompt: prompt::Kind::Conversation,
        targets: NOT_POWER,
        run: Run::HeavyRounds,
        ..PLAIN
    },
    Scenario {
        name: "F",
        title: "100 KB prompts of new text",
        prompt: prompt::Kind::Fresh,
        targets: NOT_POWER,
        run: Run::HeavyRounds,
        ..PLAIN
    },
    Scenario {
        name: "D2k",
        title: "2,000 concurrent streams, a chunk every 100 ms",
        mode: Mode::Streams,
        connections: 2000,
        stream: true,
        model: "mock-40x100",
        targets: NOT_POWER,
        run: Run::Once,
        ..PLAIN
    },
    Scenario {
        name: "D8k",
        title: "8,000 concurrent streams, a chunk every 500 ms",
        mode: Mode::Streams,
        connections: 8000,
        stream: true,
        model: "mock-16x500",
        targets: NOT_POWER,
        run: Run::Once,
        ..PLAIN
    },
    Scenario {
        name: "DT",
        title: "as D2k, a client of Messages in front of a provider of Chat Completions",
        mode: Mode::Streams,
        connections: 2000,
        stream: true,
        model: "mock-40x100",
        client: Api::Messages,
        targets: TRANSLATED,
        run: Run::Once,
        ..PLAIN
    },
    Scenario {
        name: "L",
        title: "A for a minute, to check that the database keeps up",
        targets: &[JournalOn],
        run: Run::Long,
        ..PLAIN
    },
    Scenario {
        name: "Q",
        title: "qwen-proxy: streams of 100 chunks without delay, 16 connections",
        connections: 16,
        stream: true,
        prompt: prompt::Kind::Ticking,
        targets: QWEN,
        ..PLAIN
    },
    Scenario {
        name: "Q50",
        title: "qwen-proxy: 50 streams of 10 chunks per second",
        mode: Mode::Open,
        connections: 16,
        rate: 50.0,
        stream: true,
        model: "mock-10x0",
        prompt: prompt::Kind::Ticking,
        targets: QWEN,
        ..PLAIN
    },
    Scenario {
        name: "Q500",
        title: "qwen-proxy: 500 concurrent streams, a chunk every 100 ms",
        mode: Mode::Streams,
        connections: 500,
        stream: true,
        model: "mock-40x100",
        prompt: prompt::Kind::Ticking,
        targets: QWEN,
        run: Run::Once,
        ..PLAIN
    },
];

/// Name under which the measurement of start-up and idle memory is selected.
pub const START: &str = "E";

// === impl Scenario ===

impl Scenario {
    /// Returns the settings of the load generator for a run of `seconds`.
    #[must_use]
    pub fn load(&self, site: &Site, target: &Target, seconds: f64) -> Load {
        let seconds = match self.run {
            Run::Rounds | Run::HeavyRounds => seconds,
            // Period over which the streams begin; shorter than a stream, so that all of them run at the same time for
            // a while.
            Run::Once => f64::from(self.connections) / 2000.0 + 1.0,
            Run::Long => 20.0 * seconds,
        };
        let provider = self.provider_id().filter(|_| target.kind.is_router());
        Load {
            mode: self.mode,
            api: match target.kind {
                QwenSite => load::Api::Qwen,
                kind if kind.is_router() => self.client.into(),
                // Any other proxy translates nothing.
                _ => self.provider.into(),
            },
            port: target.port,
            connections: self.connections,
            seconds,
            rate: self.rate,
            prompt: self.prompt,
            model: provider.map_or_else(|| self.model.to_owned(), |id| format!("{id}/{}", self.model)),
            stream: self.stream,
            key: self.has_key.then(|| site.keys.key.expose().clone()),
            patience: 30.0,
        }
    }

    /// Returns the id of the router's provider that answers, if the model names it. Requests of Chat Completions to a
    /// provider of the same API do not: they go to the provider that serves every model.
    #[must_use]
    pub fn provider_id(&self) -> Option<&'static str> {
        (self.client != Api::Chat || self.provider != Api::Chat).then(|| self.provider.as_str())
    }

    /// Returns the number of files that a proxy needs open.
    #[must_use]
    pub fn descriptors(&self) -> u64 {
        u64::from(self.connections) * 2 + 500
    }

    /// Returns whether the journal may be polled during the scenario; in the latency scenarios polling would disturb
    /// the figures.
    #[must_use]
    pub fn is_looked_at(&self) -> bool {
        self.mode == Mode::Closed
    }

    /// Returns whether the scenario is about many concurrent streams.
    #[must_use]
    pub fn is_crowd(&self) -> bool {
        self.mode == Mode::Streams
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_has_its_own_name() {
        for (at, scenario) in SCENARIOS.iter().enumerate() {
            assert!(scenario.name != START && SCENARIOS[..at].iter().all(|other| other.name != scenario.name));
        }
    }

    #[test]
    fn the_router_with_rules_is_only_asked_with_a_key() {
        for scenario in SCENARIOS {
            assert!(scenario.has_key || !scenario.targets.contains(&Rules), "{}", scenario.name);
            assert!(!scenario.changes_keys || scenario.targets == [Rules], "{}", scenario.name);
        }
    }

    #[test]
    fn requests_name_their_provider_unless_it_serves_every_model() {
        let of = |name: &str| SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap().provider_id();
        assert_eq!((of("A"), of("M"), of("P")), (None, Some("messages"), Some("responses")));
        assert_eq!(
            (of("MT"), of("CT"), of("PT"), of("DT")),
            (Some("chat"), Some("messages"), Some("chat"), Some("chat"))
        );
    }
}
