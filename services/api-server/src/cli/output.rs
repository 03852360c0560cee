//! What a command says: lines as it goes along, or one JSON object at the end.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};
use signalbox_daemon::Stdout;

/// Where a command says something.
#[derive(Debug)]
pub(super) struct Output {
    json: bool,
    stdout: Stdout,
}

/// How a command ended, short of an error.
#[derive(Debug)]
pub(super) struct Verdict {
    code: Code,
    facts: Value,
}

/// What the exit code says.
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

    /// Says something to a person.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        if !self.json {
            self.stdout.print(&format!("{}\n", line.as_ref()));
        }
    }

    /// Says something as JSON, in a line of its own; for commands that go on and on.
    pub(super) fn value(&mut self, value: &Value) {
        if self.json {
            self.stdout.print(&format!("{value}\n"));
        }
    }

    /// Asks a person; `None` where there is none.
    pub(super) fn ask(&mut self, question: &str) -> Option<bool> {
        if self.json || !std::io::stdin().is_terminal() {
            return None;
        }
        self.stdout.print(&format!("{question} [y/N] "));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).ok()?;
        Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Says how it ended. Output that could not be written is a failure, whatever else was done.
    pub(super) fn finish(mut self, verdict: anyhow::Result<Verdict>) -> ExitCode {
        let verdict = verdict.unwrap_or_else(|error| {
            let error = format!("{error:#}");
            if !self.json {
                // Where stderr is gone, too, the exit code has to do.
                let _ = writeln!(std::io::stderr(), "api-server: {error}");
            }
            Verdict::new(Code::Failed, json!({ "error": error }))
        });
        if self.json && !verdict.facts.is_null() {
            let mut facts = verdict.facts;
            facts["success"] = (verdict.code == Code::Done).into();
            self.stdout.print(&format!("{facts}\n"));
        }
        match self.stdout.failure() {
            Some(failure) => {
                let _ = writeln!(std::io::stderr(), "api-server: {failure}");
                ExitCode::from(Code::Failed as u8)
            }
            None => ExitCode::from(verdict.code as u8),
        }
    }
}

/// Makes this process the leader of a new session, so that no terminal that is closed takes it along.
pub(super) fn leave_terminal() {
    #[cfg(unix)]
    if let Err(error) = nix::unistd::setsid() {
        // The leader of a group cannot, and has no need to: whoever made it one has detached it.
        let _ = writeln!(std::io::stderr(), "api-server: cannot leave the terminal: {error}");
    }
}

// === impl Verdict ===

impl Verdict {
    pub(super) const fn new(code: Code, facts: Value) -> Self {
        Self { code, facts }
    }

    pub(super) const fn done(facts: Value) -> Self {
        Self::new(Code::Done, facts)
    }
}
