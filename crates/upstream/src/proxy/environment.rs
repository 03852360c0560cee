//! The proxies that the variables of the environment name.

use super::bypass::Bypass;
use super::{Proxy, ProxyChoice};
use crate::error::ConfigError;
use crate::target::Origin;

/// The proxies of the environment, and the hosts that they are not used for.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentProxies {
    https: Option<Proxy>,
    http: Option<Proxy>,
    bypass: Bypass,
}

// === impl EnvironmentProxies ===

impl EnvironmentProxies {
    /// The names of the variables. The name in lower case wins over the one in upper case.
    pub const VARIABLES: [[&str; 2]; 4] = [
        ["https_proxy", "HTTPS_PROXY"],
        ["http_proxy", "HTTP_PROXY"],
        ["all_proxy", "ALL_PROXY"],
        ["no_proxy", "NO_PROXY"],
    ];

    /// Reads the variables. `ALL_PROXY` is used for the schemes that have no proxy of their own.
    ///
    /// # Errors
    /// [`ConfigError::Proxy`] if the URL of a proxy that would be used is not valid: requests that are meant for a
    /// proxy must not be sent directly.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let given = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| {
                let value = variable(name)?;
                let value = value.trim();
                (!value.is_empty()).then(|| (name, value.to_owned()))
            })
        };
        let [https, http, all, no] = Self::VARIABLES;
        let proxy = |names| {
            let Some((name, value)) = given(names).or_else(|| given(all)) else { return Ok(None) };
            Proxy::parse(&value).map(Some).map_err(|source| ConfigError::Proxy { variable: name, source })
        };
        let bypass = given(no).map(|(_, list)| Bypass::parse(&list)).unwrap_or_default();
        Ok(Self { https: proxy(https)?, http: proxy(http)?, bypass })
    }

    /// Returns the proxy for connections to `origin`. Loopback hosts are always connected to directly.
    pub(crate) fn of<'a>(&'a self, origin: &'a Origin) -> Option<&'a Proxy> {
        if origin.socket.is_some() {
            return None;
        }
        match &origin.proxy {
            ProxyChoice::Direct => None,
            ProxyChoice::Proxy(proxy) => Some(proxy),
            ProxyChoice::Environment => {
                let proxy = if origin.tls.is_some() { &self.https } else { &self.http };
                proxy.as_ref().filter(|_| !self.bypass.applies(&origin.host, origin.port))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AddressPolicy, Target};

    fn of(variables: &[(&str, &str)], url: &str, choice: &str) -> Option<String> {
        let read =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let proxies = EnvironmentProxies::from_variables(read).unwrap();
        let target = Target::parse(url, &AddressPolicy::default()).unwrap();
        let target = target.with_proxy(ProxyChoice::parse(choice).unwrap());
        proxies.of(target.origin()).map(ToString::to_string)
    }

    #[test]
    fn the_environment_chooses_by_scheme_and_the_target_wins() {
        let some = |text: &str| Some(text.to_owned());
        let both = [("HTTPS_PROXY", "http://s:1"), ("HTTP_PROXY", "http://p:2"), ("ALL_PROXY", "socks5://unused")];
        assert_eq!(of(&both, "https://api.test", ""), some("s:1"));
        assert_eq!(of(&both, "http://api.test", ""), some("p:2"));
        assert_eq!(of(&both, "http://api.test", "off"), None);
        assert_eq!(of(&both, "http://127.0.0.1", "own:3"), some("own:3"));
        for loopback in ["http://127.0.0.1:1", "http://localhost", "http://x.localhost", "http://[::1]"] {
            assert_eq!(of(&both, loopback, ""), None, "{loopback}");
        }
        let all = [("all_proxy", "http://a:1"), ("https_proxy", "http://low:1"), ("HTTPS_PROXY", "http://up:1")];
        assert_eq!(of(&all, "http://api.test", ""), some("a:1"));
        assert_eq!(of(&all, "https://api.test", ""), some("low:1"));
        let not = [("ALL_PROXY", "http://a:1"), ("NO_PROXY", "corp.test,10.0.0.0/8")];
        assert_eq!(of(&not, "https://api.corp.test", ""), None);
        assert_eq!(of(&not, "https://10.1.2.3", ""), None);
        assert_eq!(of(&not, "https://api.test", ""), some("a:1"));
        assert_eq!(of(&[("HTTP_PROXY", " ")], "http://api.test", ""), None);
    }

    #[test]
    fn an_invalid_variable_is_named() {
        let read = |name: &str| (name == "HTTPS_PROXY").then(|| "socks5://user:canary@x".to_owned());
        let error = EnvironmentProxies::from_variables(read).unwrap_err().to_string();
        assert!(error.contains("HTTPS_PROXY") && error.contains("socks5") && !error.contains("canary"), "{error}");
    }
}
