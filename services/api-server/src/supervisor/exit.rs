//! How a process ended, and how that is told.

use std::fmt;

use signalbox_daemon::listener::Holder;

use super::state::Retry;

/// How the leader of a group ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It left with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// Somebody else reaped it, so nobody knows.
    Unknown,
}

/// Why a child is in error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What went wrong.
    pub fault: Fault,
    /// One sentence.
    pub message: String,
    /// How its process ended, if there was one.
    pub exit: Option<Exit>,
    /// The end of what it wrote to its standard error, at most 64 KiB.
    pub tail: String,
}

/// What can go wrong with a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Somebody else listens on its port.
    PortInUse {
        /// The port.
        port: u16,
        /// Who, where the operating system tells.
        holder: Option<Holder>,
    },
    /// It could not be run.
    NotSpawned,
    /// It ended before it was ready.
    ExitedEarly,
    /// It did not become ready in time.
    NeverReady,
    /// It ended without being asked to.
    Crashed,
    /// It left in good order, and it was not us who asked it to.
    Left,
    /// It did not answer health checks.
    Unhealthy,
    /// It used too much memory.
    Memory,
    /// It outlives SIGKILL.
    Stuck,
    /// A new generation could not take over; the old one serves on.
    HandoverFailed,
}

/// Lines of [`Cause::tail`] that are shown along with the message.
const SHOWN_LINES: usize = 10;

// === impl Exit ===

impl Exit {
    /// Whether starting again can help.
    pub(super) fn retry(self) -> Retry {
        match self {
            // A ready process does that when somebody has asked it to leave.
            Self::Code(0) => Retry::Uncounted,
            // Bad usage, bad configuration.
            Self::Code(64 | 78) => Retry::Never,
            // Another program has its port.
            Self::Code(98) => Retry::Always,
            Self::Code(_) | Self::Signal(_) | Self::Unknown => Retry::Limited,
        }
    }

    /// What our binaries mean by an exit code.
    fn meaning(self) -> Option<&'static str> {
        match self {
            Self::Code(64) => Some("bad usage"),
            Self::Code(70) => Some("panic"),
            Self::Code(73) => Some("cannot open its files"),
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
            Self::Signal(signal) => write!(f, "was ended by signal {signal}")?,
            Self::Unknown => f.write_str("ended in an unknown way")?,
        }
        match self.meaning() {
            Some(meaning) => write!(f, " ({meaning})"),
            None => Ok(()),
        }
    }
}

// === impl Fault ===

impl Fault {
    /// The word in the API.
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
}

// === impl Cause ===

impl Cause {
    /// Without a process.
    pub(super) fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into(), exit: None, tail: String::new() }
    }

    /// The same, of a generation that was to take over. A port in use stays what it is: somebody can do something about it.
    pub(super) fn of_handover(self) -> Self {
        let message = format!("{}; the old process serves on", self.message);
        let fault =
            if let Self { fault: port @ Fault::PortInUse { .. }, .. } = self { port } else { Fault::HandoverFailed };
        Self { fault, message, ..self }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let lines: Vec<&str> = self.tail.lines().filter(|line| !line.trim().is_empty()).collect();
        for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
            write!(f, "\n{line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_told_in_words() {
        assert_eq!(Exit::Code(0).to_string(), "exited with code 0");
        assert_eq!(Exit::Code(78).to_string(), "exited with code 78 (bad configuration)");
        assert_eq!(Exit::Signal(9).to_string(), "was ended by signal 9");
    }

    #[test]
    fn a_cause_shows_the_last_lines() {
        let tail: String = (1..=20).map(|n| format!("line {n}\n\n")).collect();
        let cause = Cause { fault: Fault::Crashed, message: "it died".to_owned(), exit: None, tail };
        let text = cause.to_string();
        assert!(text.starts_with("it died\nline 11\n"), "{text}");
        assert!(text.ends_with("\nline 20"), "{text}");
    }
}
