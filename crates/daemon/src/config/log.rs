//! Settings of logging, and the names of levels and formats.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Settings of logging.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Least important level that is logged.
    pub level: LogLevel,
    /// Format of a log line.
    pub format: LogFormat,
    /// Requests that get a line in the access log.
    pub access: AccessLog,
    /// Base URL of the OTLP collector that receives spans; empty for none.
    pub otlp_endpoint: String,
}

/// Level of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Data is lost or a function is broken.
    Error,
    /// A condition that needs attention.
    Warn,
    /// Major events.
    Info,
    /// Minor events.
    Debug,
    /// Everything.
    Trace,
}

/// Format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text, coloured on a terminal.
    Human,
    /// One JSON object per line.
    Json,
}

/// Requests that get a line in the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessLog {
    /// All requests.
    All,
    /// Requests that failed: the status is 400 or above, or the answer broke off.
    Errors,
    /// None.
    Off,
}

/// A name that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown name")]
pub struct UnknownName;

// === impl LogLevel ===

impl LogLevel {
    /// All levels, the most important first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// Returns the name, as used by flags, variables, files and settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LogLevel {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|level| level.as_str() == name).ok_or(UnknownName)
    }
}

// === impl LogFormat ===

impl LogFormat {
    /// All formats.
    pub const ALL: [Self; 2] = [Self::Human, Self::Json];

    /// Returns the name, as used by flags, variables and files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Json => "json",
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LogFormat {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|format| format.as_str() == name).ok_or(UnknownName)
    }
}

// === impl AccessLog ===

impl AccessLog {
    /// All values.
    pub const ALL: [Self; 3] = [Self::All, Self::Errors, Self::Off];

    /// Returns the name, as used by variables and files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Errors => "errors",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AccessLog {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|access| access.as_str() == name).ok_or(UnknownName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_configuration_file() {
        for level in LogLevel::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
            assert_eq!(serde_json::to_value(level).unwrap(), level.as_str());
        }
        for format in LogFormat::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
            assert_eq!(serde_json::to_value(format).unwrap(), format.as_str());
        }
        for access in AccessLog::ALL {
            assert_eq!(access.to_string().parse(), Ok(access));
            assert_eq!(serde_json::to_value(access).unwrap(), access.as_str());
        }
        assert_eq!("loud".parse::<LogLevel>(), Err(UnknownName));
        assert_eq!("INFO".parse::<LogLevel>(), Err(UnknownName), "the command line and the environment lower it");
        assert_eq!("xml".parse::<LogFormat>(), Err(UnknownName));
    }
}
