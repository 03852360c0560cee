//! The client.
//!
//! One thread, one task per connection. Three ways to ask: *closed*, where every connection sends its next request when
//! it has its answer, for throughput; *open*, at a fixed rate, for latency; *streams*, one stream per connection, all at
//! the same time, for memory.
//!
//! # Theory
//! At a fixed rate a request has a time at which it is due. When the target has stalled, those behind it leave late and
//! are timed from when they were due, so that a stall counts for everybody who had to wait for it (no coordinated
//! omission). One that leaves on time is timed from when its timer let it go: the timer's slack is not the target's.

mod exchange;
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
    /// Each connection sends again as soon as it has its answer.
    Closed,
    /// At a fixed rate.
    Open,
    /// One stream per connection, all at once.
    Streams,
}

/// Which API is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Api {
    /// OpenAI's.
    Openai,
    /// That of chat.qwen.ai's web page, as a client without any proxy would have to.
    Qwen,
}

/// What to ask, and how often.
#[derive(Args, Clone, Debug)]
pub struct Load {
    /// How requests follow each other
    pub mode: Mode,
    /// The API that is spoken
    #[arg(long, value_enum, default_value_t = Api::Openai)]
    pub api: Api,
    /// The port of 127.0.0.1 that is asked
    #[arg(long)]
    pub port: u16,
    /// Connections
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub connections: u32,
    /// How long to ask (closed, open), or over how long the streams begin
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Requests per second (open)
    #[arg(long, default_value_t = 1000.0)]
    pub rate: f64,
    /// What is said
    #[arg(long, value_enum, default_value_t = Kind::Short)]
    pub prompt: Kind,
    /// The model: `mock-CHUNKSxMILLISECONDS`
    #[arg(long, default_value = "mock-100x0")]
    pub model: String,
    /// Ask for streams
    #[arg(long)]
    pub stream: bool,
    /// How many seconds one answer may take
    #[arg(long, default_value_t = 30.0)]
    pub patience: f64,
}

/// One connection and its books.
struct Worker {
    load: Rc<Load>,
    tally: Rc<RefCell<Tally>>,
    prompts: Prompts,
    kept: Option<Wire>,
}

// === impl Load ===

impl Load {
    /// The command line that says the same.
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
        args
    }

    /// Asks, and counts what comes back.
    pub async fn run(self) -> Report {
        let pool = Pool::new();
        let tally = Rc::new(RefCell::new(Tally::new()));
        let load = Rc::new(self);
        let tasks = LocalSet::new();
        let begin = Instant::now();
        for index in 0..load.connections {
            let prompts = Prompts::new(load.prompt, &pool, load.port, &load.model, load.stream, u64::from(index) + 1);
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

    /// One request, timed from `start`.
    async fn ask(&mut self, start: Instant) {
        self.tally.borrow_mut().began();
        let patience = Duration::from_secs_f64(self.load.patience);
        let outcome = match self.load.api {
            Api::Openai => timeout(patience, exchange::exchange(self)).await,
            Api::Qwen => timeout(patience, qwen::exchange(self)).await,
        };
        self.tally.borrow_mut().ended(start, outcome.unwrap_or_else(|_| Err("no answer in time".to_owned())));
    }
}
