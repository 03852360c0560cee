//! Exit codes: what a supervisor, a service manager and a shell script read when the process is gone.

use std::process::ExitCode;

use crate::listener::{Holder, holder};

/// Why the process ends other than by a clean stop (code 0). `Display` is one sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exit {
    /// 64: a flag is wrong. Permanent.
    #[error("{0}")]
    Usage(String),
    /// 70: the service panicked.
    #[error("the service panicked")]
    Panic,
    /// 73: a file, a directory or the database cannot be opened.
    #[error("{0}")]
    CannotOpen(String),
    /// 75: a passing failure; starting again may help.
    #[error("{0}")]
    Temporary(String),
    /// 77: the operating system refuses permission.
    #[error("{0}")]
    Permission(String),
    /// 78: the configuration file or the environment is wrong. Permanent.
    #[error("{0}")]
    Config(String),
    /// 98: somebody else listens on the port.
    #[error("address already in use: port {port} is held by {}", holder::name(holder.as_ref()))]
    PortInUse {
        /// The port that was asked for.
        port: u16,
        /// The process that holds it, where the operating system tells.
        holder: Option<Holder>,
    },
    /// 110: the supervisor went away.
    #[error("the supervisor is gone")]
    Orphaned,
    /// 130: a command was stopped before it was done.
    #[error("stopped before it was done")]
    Interrupted,
}

// === impl Exit ===

impl Exit {
    /// The number the parent process sees.
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

    /// The end of a program whose database cannot be opened, by the code that the database's error has.
    #[must_use]
    pub const fn of_database(code: u8, message: String) -> Self {
        match code {
            75 => Self::Temporary(message),
            78 => Self::Config(message),
            _ => Self::CannotOpen(message),
        }
    }

    /// The number as `main` returns it.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_port_says_by_whom() {
        let known = Exit::PortInUse {
            port: 3001,
            holder: Some(Holder { pid: 7, addr: ([127, 0, 0, 1], 3001).into(), name: "nginx".into() }),
        };
        assert_eq!(known.to_string(), "address already in use: port 3001 is held by nginx (pid 7)");
        let unknown = Exit::PortInUse { port: 3001, holder: None };
        assert!(unknown.to_string().ends_with("an unknown process"));
    }
}
