//! Output of commands: lines of text while they run, or one JSON object at the end.

use std::{io::Write as _, process::ExitCode};

use anstream::{AutoStream, ColorChoice};
pub(super) use anstyle::AnsiColor as Colour;
use serde_json::{Value, json};
use signalbox_daemon::Stdout;

/// Result of a command.
pub(super) type CommandOutcome = anyhow::Result<CommandResult>;

/// Destination of the output of a command.
#[derive(Debug)]
pub(super) struct Output {
    json: bool,
    colours: bool,
    stdout: Stdout,
}

/// Outcome of a command that ended without an error.
#[derive(Debug)]
pub(super) struct CommandResult {
    done: bool,
    data: Value,
    /// Sentence for stderr if the output cannot be written.
    if_unwritten: Option<String>,
}

// === impl Output ===

impl Output {
    pub(super) fn new(json: bool) -> Self {
        let colours = AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
        Self { json, colours, stdout: Stdout::default() }
    }

    /// Prints a line of text, unless the output is JSON.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        if !self.json {
            self.stdout.print(&format!("{}\n", line.as_ref()));
        }
    }

    /// Prints a line in a colour if stdout is a terminal that supports it and the environment does not forbid it.
    pub(super) fn coloured(&mut self, colour: Colour, line: &str) {
        let style = colour.on_default();
        if self.colours { self.line(format!("{style}{line}{style:#}")) } else { self.line(line) }
    }

    /// Prints the outcome and returns the exit code. Output that could not be written counts as a failure, whatever the
    /// command did.
    pub(super) fn finish(mut self, done: CommandOutcome) -> ExitCode {
        let result = done.unwrap_or_else(|error| {
            let error = format!("{error:#}");
            if !self.json {
                print_error(&format!("Error: {error}"));
            }
            CommandResult::failed(json!({ "error": error }))
        });
        if self.json {
            let mut data = result.data;
            data["success"] = result.done.into();
            self.stdout.print(&format!("{data}\n"));
        }
        let failure = self.stdout.failure();
        if let Some(failure) = &failure {
            print_error(&format!("Error: {failure}"));
        }
        if let Some(remark) = result.if_unwritten.filter(|_| !self.stdout.is_complete()) {
            print_error(&format!("Error: {remark}"));
        }
        if result.done && failure.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Prints an error to stderr. If stderr cannot be written either, only the exit code reports the failure.
pub(super) fn print_error(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

// === impl CommandResult ===

impl CommandResult {
    /// Creates the outcome of a command that succeeded.
    pub(super) const fn done(data: Value) -> Self {
        Self { done: true, data, if_unwritten: None }
    }

    /// Creates the outcome of a command that failed and has already printed the reason.
    pub(super) const fn failed(data: Value) -> Self {
        Self { done: false, data, if_unwritten: None }
    }

    /// Adds a sentence that is printed on stderr if the output cannot be written, for output that is needed and cannot
    /// be had again.
    pub(super) fn if_unwritten(self, remark: String) -> Self {
        Self { if_unwritten: Some(remark), ..self }
    }
}
