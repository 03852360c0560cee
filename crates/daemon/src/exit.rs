//! Exit codes, read by supervisors, service managers and shell scripts.

use std::fmt;
use std::process::ExitCode;

use crate::holder::{self, Holder};

/// Reason why the process ends other than by a clean shutdown (code 0). `Display` gives one sentence for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exit {
    /// 64: invalid command-line arguments. Permanent.
    #[error("{0}")]
    Usage(String),
    /// 70: the service panicked.
    #[error("the service panicked")]
    Panic,
    /// 73: a file, a directory or the database cannot be opened.
    #[error("{0}")]
    CannotOpen(String),
    /// 75: a temporary failure; a restart may help.
    #[error("{0}")]
    Temporary(String),
    /// 77: the operating system denied permission.
    #[error("{0}")]
    Permission(String),
    /// 78: the configuration file or the environment is invalid. Permanent.
    #[error("{0}")]
    Config(String),
    /// 98: another process is listening on the port.
    #[error("address already in use: port {port} is held by {}", holder::name(holder.as_ref()))]
    PortInUse {
        /// Requested port.
        port: u16,
        /// Process that holds the port, if the operating system reports it.
        holder: Option<Holder>,
    },
    /// 110: the supervisor is gone.
    #[error("the supervisor has exited")]
    Orphaned,
    /// 130: a command was interrupted before it was complete.
    #[error("interrupted before it was complete")]
    Interrupted,
}

// === impl Exit ===

impl Exit {
    /// Returns the exit code as a number.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Panic => 70,
            Self::CannotOpen(_) => 73,
            Self::Temporary(_) => 75,
            Self::Permission(_) => 77,
            Self::Config(_) => 78,
            Self::PortInUse { .. } => 98,
            Self::Orphaned => 110,
            Self::Interrupted => 130,
        }
    }

    /// Converts an error of the database, given its exit code.
    #[must_use]
    pub fn of_database(code: u8, error: impl fmt::Display) -> Self {
        let message = format!("the database cannot be used: {error}");
        match code {
            75 => Self::Temporary(message),
            77 => Self::Permission(message),
            78 => Self::Config(message),
            _ => Self::CannotOpen(message),
        }
    }

    /// Returns the exit code in the form `main` returns.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_database_keeps_its_code() {
        for code in [73, 75, 77, 78] {
            let exit = Exit::of_database(code, "it is locked");
            assert_eq!((exit.code(), exit.to_string().as_str()), (code, "the database cannot be used: it is locked"));
        }
    }

    #[test]
    fn a_held_port_names_its_holder() {
        let known = Exit::PortInUse {
            port: 3001,
            holder: Some(Holder { pid: 7, addr: ([127, 0, 0, 1], 3001).into(), name: "nginx".into() }),
        };
        assert_eq!(known.to_string(), "address already in use: port 3001 is held by nginx (pid 7)");
        let unknown = Exit::PortInUse { port: 3001, holder: None };
        assert!(unknown.to_string().ends_with("an unknown process"));
    }
}
