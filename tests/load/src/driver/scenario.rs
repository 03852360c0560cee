//! The scenarios: the requests sent to the targets.

use crate::{
    driver::target::{
        Kind::{self, Direct, JournalOff, JournalOn, JournalPower, Nginx, Null, QwenProxy, QwenSite},
        Target,
    },
    load::{Api, Load, Mode},
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
    run: Run::Rounds,
};

/// All scenarios, in the order in which they are run.
pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "A", title: "1 KB answers, 64 connections", ..PLAIN },
    Scenario {
        name: "C",
        title: "streams of 100 chunks without delay, 32 connections",
        connections: 32,
        stream: true,
        ..PLAIN
    },
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
        mode: Mode::Open,
        connections: 32,
        rate: 2000.0,
        targets: &[Direct, Null, JournalOn, Nginx, JournalPower],
        ..PLAIN
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
    pub fn load(&self, target: &Target, seconds: f64) -> Load {
        let seconds = match self.run {
            Run::Rounds | Run::HeavyRounds => seconds,
            // Period over which the streams begin; shorter than a stream, so that all of them run at the same time for
            // a while.
            Run::Once => f64::from(self.connections) / 2000.0 + 1.0,
            Run::Long => 20.0 * seconds,
        };
        Load {
            mode: self.mode,
            api: if target.kind == QwenSite { Api::Qwen } else { Api::Openai },
            port: target.port,
            connections: self.connections,
            seconds,
            rate: self.rate,
            prompt: self.prompt,
            model: self.model.to_owned(),
            stream: self.stream,
            patience: 30.0,
        }
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
