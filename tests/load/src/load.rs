//! The load generator.
//!
//! One thread with one task per connection. Three modes: *closed*, in which every connection sends its next request
//! after its answer, for throughput; *open*, at a fixed rate, for latency; *streams*, with one stream per connection,
//! all at the same time, for memory.
//!
//! # Theory
//! At a fixed rate every request has a due time. If the target stalls, the requests behind it leave late and are timed
//! from their due time, so that a stall counts for every request that had to wait (no coordinated omission). A request
//! that leaves on time is timed from when its timer fired: the slack of the timer is not caused by the target.

mod exchange;
mod grammar;
mod qwen;
mod report;

use std::{cell::RefCell, rc::Rc, time::Duration};

use clap::{Args, ValueEnum};
use report::Tally;
pub use report::{Quantiles, Report};
use tokio::{
    task::LocalSet,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    prompt::{Kind, Pool, Prompts},
    wire::Wire,
};

/// How requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Each connection sends its next request as soon as it has its answer.
    Closed,
    /// Requests are sent at a fixed rate.
    Open,
    /// One stream per connection, all at the same time.
    Streams,
}

/// The API of the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Api {
    /// OpenAI's Chat Completions.
    Chat,
    /// Anthropic's Messages.
    Messages,
    /// OpenAI's Responses.
    Responses,
    /// The API of chat.qwen.ai's web page, as used by a client without a proxy.
    Qwen,
}

/// Settings of a run.
#[derive(Args, Clone, Debug)]
pub struct Load {
    /// How requests follow each other
    pub mode: Mode,
    /// API of the requests
    #[arg(long, value_enum, default_value_t = Api::Chat)]
    pub api: Api,
    /// Port on 127.0.0.1
    #[arg(long)]
    pub port: u16,
    /// Number of connections
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub connections: u32,
    /// Duration in seconds (closed, open), or period over which the streams begin
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Requests per second (open)
    #[arg(long, default_value_t = 1000.0)]
    pub rate: f64,
    /// Kind of prompt
    #[arg(long, value_enum, default_value_t = Kind::Short)]
    pub prompt: Kind,
    /// Model: `mock-CHUNKSxMILLISECONDS`
    #[arg(long, default_value = "mock-100x0")]
    pub model: String,
    /// Request streams
    #[arg(long)]
    pub stream: bool,
    /// Client key of all requests
    #[arg(long)]
    pub key: Option<String>,
    /// Maximum seconds for an answer
    #[arg(long, default_value_t = 30.0)]
    pub patience: f64,
}

/// One connection with its statistics.
struct Worker {
    load: Rc<Load>,
    tally: Rc<RefCell<Tally>>,
    prompts: Prompts,
    kept: Option<Wire>,
}

// === impl Api ===

impl Api {
    /// Returns the API of the router's clients that this one is; the prompts for the site of Qwen are those of Chat
    /// Completions.
    fn known(self) -> signalbox_core::Api {
        match self {
            Self::Chat | Self::Qwen => signalbox_core::Api::Chat,
            Self::Messages => signalbox_core::Api::Messages,
            Self::Responses => signalbox_core::Api::Responses,
        }
    }
}

impl From<signalbox_core::Api> for Api {
    fn from(api: signalbox_core::Api) -> Self {
        match api {
            signalbox_core::Api::Chat => Self::Chat,
            signalbox_core::Api::Messages => Self::Messages,
            signalbox_core::Api::Responses => Self::Responses,
        }
    }
}

// === impl Load ===

impl Load {
    /// Returns the equivalent command line.
    #[must_use]
    pub fn to_args(&self) -> Vec<String> {
        let word = |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| {
            value().map_or_else(String::new, |value| value.get_name().to_owned())
        };
        let mut args = vec![word(&|| self.mode.to_possible_value())];
        for (flag, value) in [
            ("--api", word(&|| self.api.to_possible_value())),
            ("--port", self.port.to_string()),
            ("--connections", self.connections.to_string()),
            ("--seconds", self.seconds.to_string()),
            ("--rate", self.rate.to_string()),
            ("--prompt", word(&|| self.prompt.to_possible_value())),
            ("--model", self.model.clone()),
            ("--patience", self.patience.to_string()),
        ] {
            args.extend([flag.to_owned(), value]);
        }
        if self.stream {
            args.push("--stream".to_owned());
        }
        if let Some(key) = &self.key {
            args.extend(["--key".to_owned(), key.clone()]);
        }
        args
    }

    /// Sends the requests and collects statistics.
    pub async fn run(self) -> Report {
        let pool = Pool::new();
        let tally = Rc::new(RefCell::new(Tally::new()));
        let load = Rc::new(self);
        let tasks = LocalSet::new();
        let begin = Instant::now();
        for index in 0..load.connections {
            let service = (load.api.known(), load.port);
            let prompts = Prompts::new(load.prompt, &pool, service, &load.model, load.stream, u64::from(index) + 1);
            let prompts = prompts.with_key(load.key.as_deref());
            let worker = Worker { load: Rc::clone(&load), tally: Rc::clone(&tally), prompts, kept: None };
            tasks.spawn_local(worker.work(index, begin));
        }
        tasks.await;
        tally.borrow().report(begin)
    }
}

// === impl Worker ===

impl Worker {
    async fn work(mut self, index: u32, begin: Instant) {
        let share = f64::from(index) / f64::from(self.load.connections);
        let seconds = Duration::from_secs_f64(self.load.seconds);
        match self.load.mode {
            Mode::Closed => {
                while begin.elapsed() < seconds {
                    self.ask(Instant::now()).await;
                }
            }
            Mode::Open => {
                let period = Duration::from_secs_f64(f64::from(self.load.connections) / self.load.rate);
                let mut due = begin + period.mul_f64(share);
                while due < begin + seconds {
                    let late = Instant::now() > due;
                    if !late {
                        sleep_until(due).await;
                    }
                    self.ask(if late { due } else { Instant::now() }).await;
                    due += period;
                }
            }
            Mode::Streams => {
                sleep_until(begin + seconds.mul_f64(share)).await;
                self.ask(Instant::now()).await;
            }
        }
    }

    /// Sends one request, timed from `start`.
    async fn ask(&mut self, start: Instant) {
        self.tally.borrow_mut().began();
        let patience = Duration::from_secs_f64(self.load.patience);
        let outcome = match self.load.api {
            Api::Qwen => timeout(patience, qwen::exchange(self)).await,
            Api::Chat | Api::Messages | Api::Responses => timeout(patience, exchange::exchange(self)).await,
        };
        self.tally.borrow_mut().ended(start, outcome.unwrap_or_else(|_| Err("no answer in time".to_owned())));
    }
}
