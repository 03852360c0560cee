//! Output of a command: lines as it proceeds, or one JSON object at the end.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};
use signalbox_daemon::Stdout;

/// Writer for the output of a command.
#[derive(Debug)]
pub(super) struct Output {
    json: bool,
    stdout: Stdout,
}

/// Outcome of a command that did not return an error.
#[derive(Debug)]
pub(super) struct CommandResult {
    code: Code,
    data: Value,
}

/// Exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Done = 0,
    Failed = 1,
    NotRunning = 3,
}

// === impl Output ===

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json, stdout: Stdout::default() }
    }

    /// Prints a line of text, unless the output is JSON.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        if !self.json {
            self.stdout.print(&format!("{}\n", line.as_ref()));
        }
    }

    /// Prints one line of JSON, if the output is JSON; for commands without an end.
    pub(super) fn value(&mut self, value: &Value) {
        if self.json {
            self.stdout.print(&format!("{value}\n"));
        }
    }

    /// Asks for confirmation; `None` if the input is not a terminal or the output is JSON.
    pub(super) fn ask(&mut self, question: &str) -> Option<bool> {
        if self.json || !std::io::stdin().is_terminal() {
            return None;
        }
        self.stdout.print(&format!("{question} [y/N] "));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).ok()?;
        Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Prints the outcome and returns the exit code. Output that could not be written counts as a failure.
    pub(super) fn finish(mut self, result: anyhow::Result<CommandResult>) -> ExitCode {
        let result = result.unwrap_or_else(|error| {
            let error = format!("{error:#}");
            if !self.json {
                // If stderr is closed too, only the exit code reports the error.
                let _ = writeln!(std::io::stderr(), "api-server: {error}");
            }
            CommandResult::new(Code::Failed, json!({ "error": error }))
        });
        if self.json && !result.data.is_null() {
            let mut data = result.data;
            data["success"] = (result.code == Code::Done).into();
            self.stdout.print(&format!("{data}\n"));
        }
        match self.stdout.failure() {
            Some(failure) => {
                let _ = writeln!(std::io::stderr(), "api-server: {failure}");
                ExitCode::from(Code::Failed as u8)
            }
            None => ExitCode::from(result.code as u8),
        }
    }
}

/// Makes this process the leader of a new session, so that closing a terminal does not end it.
pub(super) fn leave_terminal() {
    #[cfg(unix)]
    if let Err(error) = nix::unistd::setsid() {
        // Fails for a group leader, which has been detached already by the process that made it one.
        let _ = writeln!(std::io::stderr(), "api-server: cannot detach from the terminal: {error}");
    }
}

// === impl CommandResult ===

impl CommandResult {
    pub(super) const fn new(code: Code, data: Value) -> Self {
        Self { code, data }
    }

    pub(super) const fn done(data: Value) -> Self {
        Self::new(Code::Done, data)
    }
}
