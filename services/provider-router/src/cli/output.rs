//! What a command says: lines as it goes along, or one JSON object at the end.

use std::{
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
};

use serde_json::{Value, json};
use signalbox_daemon::Stdout;

/// How a command went.
pub(super) type Done = anyhow::Result<Verdict>;

/// Where a command says something.
#[derive(Debug)]
pub(super) struct Output {
    json: bool,
    colours: bool,
    stdout: Stdout,
}

/// How a command ended, short of an error.
#[derive(Debug)]
pub(super) struct Verdict {
    done: bool,
    facts: Value,
}

/// A colour of the terminal.
#[derive(Clone, Copy, Debug)]
pub(super) enum Colour {
    Green,
    Red,
    Yellow,
}

// === impl Output ===

impl Output {
    pub(super) fn new(json: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { json, colours: wanted && std::io::stdout().is_terminal(), stdout: Stdout::default() }
    }

    /// Says something to a person.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        if !self.json {
            self.stdout.print(&format!("{}\n", line.as_ref()));
        }
    }

    /// Says something in a colour, where the terminal has them.
    pub(super) fn coloured(&mut self, colour: Colour, line: &str) {
        let number = match colour {
            Colour::Green => 32,
            Colour::Red => 31,
            Colour::Yellow => 33,
        };
        if self.colours { self.line(format!("\x1b[{number}m{line}\x1b[0m")) } else { self.line(line) }
    }

    /// Says how it ended. Output that could not be written is a failure, whatever else was done.
    pub(super) fn finish(mut self, done: Done) -> ExitCode {
        let verdict = done.unwrap_or_else(|error| {
            let error = format!("{error:#}");
            if !self.json {
                complain(&format!("Error: {error}"));
            }
            Verdict { done: false, facts: json!({ "error": error }) }
        });
        if self.json {
            let mut facts = verdict.facts;
            facts["success"] = verdict.done.into();
            self.stdout.print(&format!("{facts}\n"));
        }
        let failure = self.stdout.failure();
        if let Some(failure) = &failure {
            complain(&format!("Error: {failure}"));
        }
        if verdict.done && failure.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Says what is wrong, to a person. Where stderr is gone, too, the exit code has to do.
pub(super) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

// === impl Verdict ===

impl Verdict {
    /// Everything was done.
    pub(super) const fn done(facts: Value) -> Self {
        Self { done: true, facts }
    }

    /// It was not; a person has been told why.
    pub(super) const fn failed(facts: Value) -> Self {
        Self { done: false, facts }
    }
}
