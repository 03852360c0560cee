//! What a command says: lines as it goes along, or one JSON object at the end.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};

/// Where a command says something.
#[derive(Debug)]
pub(super) struct Output {
    json: bool,
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
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Says something to a person.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        if !self.json {
            print(line.as_ref());
        }
    }

    /// Says something as JSON, in a line of its own; for commands that go on and on.
    pub(super) fn value(&mut self, value: &Value) {
        if self.json {
            print(&value.to_string());
        }
    }

    /// Asks a person; `None` where there is none.
    pub(super) fn ask(&mut self, question: &str) -> Option<bool> {
        if self.json || !std::io::stdin().is_terminal() {
            return None;
        }
        let mut stdout = std::io::stdout().lock();
        let _ = write!(stdout, "{question} [y/N] ").and_then(|()| stdout.flush());
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).ok()?;
        Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Says how it ended.
    pub(super) fn finish(self, verdict: anyhow::Result<Verdict>) -> ExitCode {
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
            print(&facts.to_string());
        }
        ExitCode::from(verdict.code as u8)
    }
}

/// A reader that went away is no reason to die, as it would be with `println!`.
fn print(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
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
