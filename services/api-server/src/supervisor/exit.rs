//! Exit statuses, and the causes of failures.

use std::fmt;

use signalbox_daemon::listener::Holder;

use super::state::Retry;

/// Exit status of a group leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Exited with this code.
    Code(i32),
    /// Ended by this signal.
    Signal(i32),
    /// Unknown, because another process reaped it.
    Unknown,
}

/// Reason for which a child is in error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Kind of failure.
    pub fault: Fault,
    /// Description, one sentence.
    pub message: String,
    /// Exit status of the process, if there was one.
    pub exit: Option<Exit>,
    /// End of its standard error, at most 64 KiB.
    pub tail: String,
}

/// Kinds of failure of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Another process listens on its port.
    PortInUse {
        /// Port number.
        port: u16,
        /// Process that holds it, where the operating system tells.
        holder: Option<Holder>,
    },
    /// The process could not be started.
    NotSpawned,
    /// The process ended before it was ready.
    ExitedEarly,
    /// The process did not become ready in time.
    NeverReady,
    /// The process ended without being asked to.
    Crashed,
    /// The process exited with code 0 without being asked to by the supervisor.
    Left,
    /// The process did not answer health checks.
    Unhealthy,
    /// The process exceeded its memory limit.
    Memory,
    /// The process group outlives SIGKILL.
    Stuck,
    /// A new generation could not take over; the old one keeps serving.
    HandoverFailed,
}

/// Maximum lines of [`Cause::tail`] shown together with the message.
const MAX_TAIL_LINES: usize = 10;

// === impl Exit ===

impl Exit {
    /// Returns whether a restart can help.
    pub(super) fn retry(self) -> Retry {
        match self {
            // A ready process exits like this when it was asked to from outside.
            Self::Code(0) => Retry::Uncounted,
            // Bad usage, bad configuration.
            Self::Code(64 | 78) => Retry::Never,
            // Port in use.
            Self::Code(98) => Retry::Always,
            Self::Code(_) | Self::Signal(_) | Self::Unknown => Retry::Limited,
        }
    }

    /// Returns the meaning of an exit code of our binaries.
    fn meaning(self) -> Option<&'static str> {
        match self {
            Self::Code(64) => Some("bad usage"),
            Self::Code(70) => Some("panic"),
            Self::Code(73) => Some("cannot open a file"),
            Self::Code(75) => Some("temporary failure"),
            Self::Code(77) => Some("permission denied"),
            Self::Code(78) => Some("bad configuration"),
            Self::Code(98) => Some("port in use"),
            Self::Code(110) => Some("lost its supervisor"),
            Self::Code(_) | Self::Signal(_) | Self::Unknown => None,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with code {code}")?,
            Self::Signal(signal) => write!(f, "was killed by signal {signal}")?,
            Self::Unknown => f.write_str("exited with an unknown status")?,
        }
        match self.meaning() {
            Some(meaning) => write!(f, " ({meaning})"),
            None => Ok(()),
        }
    }
}

// === impl Fault ===

impl Fault {
    /// Returns the name of the fault in the API.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::PortInUse { .. } => "PORT_IN_USE",
            Self::NotSpawned => "spawn_failed",
            Self::ExitedEarly => "exited_early",
            Self::NeverReady => "startup_timeout",
            Self::Crashed => "crashed",
            Self::Left => "left",
            Self::Unhealthy => "unhealthy",
            Self::Memory => "memory",
            Self::Stuck => "unkillable",
            Self::HandoverFailed => "handover_failed",
        }
    }

    /// Returns what to do about the fault, one sentence.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::PortInUse { .. } => "Then give the command again",
            Self::NotSpawned => "Check that the program can be run, and give the command again",
            Self::ExitedEarly | Self::Crashed | Self::Left => "Read its log for the reason, and start it again",
            Self::NeverReady | Self::Unhealthy => "Read its log to see what it waits for, and restart it",
            Self::Memory => "Raise the memory limit, or read its log to see what needs so much",
            Self::Stuck => "It waits for a device or a file system; see that this responds, or restart the machine",
            Self::HandoverFailed => "The old process serves; read the log of the new one, and restart again",
        }
    }
}

// === impl Cause ===

impl Cause {
    /// Creates a cause without an exit status.
    pub(super) fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into(), exit: None, tail: String::new() }
    }

    /// Marks the cause as a failed handover. A port in use stays what it is, because the operator can act on it.
    pub(super) fn of_handover(self) -> Self {
        let message = format!("{}; the old process keeps running", self.message);
        let fault =
            if let Self { fault: port @ Fault::PortInUse { .. }, .. } = self { port } else { Fault::HandoverFailed };
        Self { fault, message, ..self }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let lines: Vec<&str> = self.tail.lines().filter(|line| !line.trim().is_empty()).collect();
        for line in &lines[lines.len().saturating_sub(MAX_TAIL_LINES)..] {
            write!(f, "\n{line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_described() {
        assert_eq!(Exit::Code(0).to_string(), "exited with code 0");
        assert_eq!(Exit::Code(78).to_string(), "exited with code 78 (bad configuration)");
        assert_eq!(Exit::Signal(9).to_string(), "was killed by signal 9");
    }

    #[test]
    fn a_cause_contains_the_last_lines() {
        let tail: String = (1..=20).map(|n| format!("line {n}\n\n")).collect();
        let cause = Cause { fault: Fault::Crashed, message: "it died".to_owned(), exit: None, tail };
        let text = cause.to_string();
        assert!(text.starts_with("it died\nline 11\n"), "{text}");
        assert!(text.ends_with("\nline 20"), "{text}");
    }
}
