//! The environment of the process.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::exit::Exit;
use crate::variables::received::received;

/// Environment variables, as a value so that tests can supply their own.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

// === impl Environment ===

impl Environment {
    /// Returns the variables of this process and those sent by its supervisor.
    pub(crate) fn of_process() -> Self {
        let mut variables: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        // If they did not arrive, loading the configuration reports it.
        for (name, value) in received().into_iter().flatten() {
            variables.insert(name.into(), value.into());
        }
        Self { variables }
    }

    /// Returns an environment without variables.
    pub(crate) const fn empty() -> Self {
        Self { variables: BTreeMap::new() }
    }

    /// Returns the text of a variable. An empty one counts as unset, because shells and compose files unset variables
    /// that way.
    pub(crate) fn get(&self, name: &str) -> Result<Option<&str>, Exit> {
        match self.variables.get(std::ffi::OsStr::new(name)) {
            Some(value) if !value.is_empty() => match value.to_str() {
                Some(text) => Ok(Some(text)),
                None => Err(Exit::Config(format!("environment variable {name} is not valid UTF-8"))),
            },
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self { variables: variables.iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let env = Environment::from([("HOST", ""), ("PORT", "1")]);
        assert_eq!(env.get("HOST"), Ok(None));
        assert_eq!(env.get("PORT"), Ok(Some("1")));
        assert_eq!(env.get("OTHER"), Ok(None));
    }
}
