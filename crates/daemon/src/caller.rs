//! The client that sent a request.

use std::net::IpAddr;
use std::sync::Arc;

use signalbox_core::network::Network;
use signalbox_core::schema::{ApiKey, KeyGrant};

/// The client that sent a request, as its key identifies it, and what it may do. Stored in the extensions of the
/// request; absent if no key is asked for. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: Box<str>,
    name: Box<str>,
    kind: CallerKind,
    grant: KeyGrant,
    /// Networks from which the key may be presented; `None` for all.
    networks: Option<Vec<Network>>,
}

/// Where the key of a caller is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerKind {
    /// In the configuration.
    Configured,
    /// In the table `api_keys`.
    Issued,
    /// Another service of the installation, which signs its requests and has no key.
    Service,
}

// === impl Caller ===

impl Caller {
    /// Creates the caller of the `n`th key of the configuration, counted from 1. `log_bodies` as in [`KeyGrant`].
    #[must_use]
    pub fn configured(n: usize, log_bodies: Option<&str>) -> Self {
        let grant = KeyGrant { log_bodies: log_bodies.map(str::to_owned), ..KeyGrant::default() };
        let id: Box<str> = format!("config-{n}").into();
        Self(Arc::new(Inner { name: id.clone(), id, kind: CallerKind::Configured, grant, networks: None }))
    }

    /// Creates the caller of a service of the installation.
    pub(super) fn service() -> Self {
        let name: Box<str> = "service".into();
        let grant = KeyGrant::default();
        Self(Arc::new(Inner { id: name.clone(), name, kind: CallerKind::Service, grant, networks: None }))
    }

    /// Creates the caller of a row of `api_keys`. An address that cannot be read matches no client.
    #[must_use]
    pub fn issued(key: &ApiKey) -> Self {
        let networks = key.grant.addresses.as_ref().map(|addresses| {
            let read = |address: &String| {
                let network = address.parse::<Network>().ok();
                if network.is_none() {
                    tracing::warn!(key = %key.id, address, "an address of a client key cannot be read, it matches no client");
                }
                network
            };
            addresses.iter().filter_map(read).collect()
        });
        Self(Arc::new(Inner {
            id: (&*key.id).into(),
            name: (&*key.name).into(),
            kind: CallerKind::Issued,
            grant: key.grant.clone(),
            networks,
        }))
    }

    /// Returns the id of the key: of a row of `api_keys`, or `config-1` and so on.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Returns the name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns where the key is defined.
    #[must_use]
    pub fn kind(&self) -> CallerKind {
        self.0.kind
    }

    /// Returns the owner of the key.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.0.grant.owner.as_deref()
    }

    /// Returns the labels of the key.
    #[must_use]
    pub fn tags(&self) -> &[String] {
        &self.0.grant.tags
    }

    /// Returns the permissions and limits of the key.
    #[must_use]
    pub fn grant(&self) -> &KeyGrant {
        &self.0.grant
    }

    /// Returns whether requests may name this model.
    #[must_use]
    pub fn allows_model(&self, model: &str) -> bool {
        self.0.grant.models.as_ref().is_none_or(|models| model_is_allowed(models, model))
    }

    /// Returns whether requests of this API are allowed.
    #[must_use]
    pub fn allows_surface(&self, surface: &str) -> bool {
        self.0.grant.surfaces.as_ref().is_none_or(|surfaces| surfaces.iter().any(|allowed| allowed == surface))
    }

    /// Returns whether the key may be presented from this address; without an address, only if all are allowed.
    pub(super) fn allows_address(&self, address: Option<IpAddr>) -> bool {
        let Some(networks) = &self.0.networks else { return true };
        address.is_some_and(|address| networks.iter().any(|network| network.contains(address)))
    }
}

/// Returns whether the field `models` of a key allows a model: a name with `!` in front denies, and wins over all that
/// allow. A list that only denies allows all others; an empty one allows nothing.
///
/// A denied name is denied behind the id of a provider, too, because `openai/gpt-5` is `gpt-5` at that provider.
#[must_use]
pub fn model_is_allowed(models: &[String], model: &str) -> bool {
    let behind_provider = model.split_once('/').map(|(_, name)| name);
    let (mut has_allowed, mut is_named) = (models.is_empty(), false);
    for pattern in models {
        match pattern.strip_prefix('!') {
            Some(denied) if matches(denied, model) || behind_provider.is_some_and(|name| matches(denied, name)) => {
                return false;
            }
            Some(_) => {}
            None => {
                has_allowed = true;
                is_named |= matches(pattern, model);
            }
        }
    }
    is_named || !has_allowed
}

/// Returns whether a name matches a pattern, in which each `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').map_or(("", rest), |(middle, last)| (middle, last));
    for part in middle.split('*') {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn caller(grant: KeyGrant) -> Caller {
        Caller::issued(&crate::auth::issued_key("k", "digest", grant))
    }

    fn list(items: &[&str]) -> Option<Vec<String>> {
        Some(items.iter().map(|item| (*item).to_owned()).collect())
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("gpt-5", "gpt-5", true),
            ("gpt-5", "gpt-5-mini", false),
            ("gpt-5", "GPT-5", false),
            ("gpt-*", "gpt-5", true),
            ("gpt-*", "gpt-", true),
            ("gpt-*", "openai/gpt-5", false),
            ("*/gpt-5", "openai/gpt-5", true),
            ("*", "", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("a*bc*c", "abc", false),
            ("a*a", "a", false),
            ("**x**", "x", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn patterns_match_like_a_simple_recursion(pattern in "[ab*]{0,8}", name in "[ab]{0,10}") {
            fn slow(pattern: &[u8], name: &[u8]) -> bool {
                match pattern.split_first() {
                    None => name.is_empty(),
                    Some((b'*', rest)) => (0..=name.len()).any(|at| slow(rest, &name[at..])),
                    Some((byte, rest)) => name.split_first().is_some_and(|(first, name)| first == byte && slow(rest, name)),
                }
            }
            prop_assert_eq!(matches(&pattern, &name), slow(pattern.as_bytes(), name.as_bytes()));
        }
    }

    #[test]
    fn an_unset_permission_allows_all_and_an_empty_one_nothing() {
        let open = caller(KeyGrant::default());
        assert!(open.allows_model("m") && open.allows_surface("chat") && open.allows_address(None));
        let closed = KeyGrant { models: list(&[]), surfaces: list(&[]), addresses: list(&[]), ..KeyGrant::default() };
        let closed = caller(closed);
        let here = "127.0.0.1".parse().ok();
        assert!(!closed.allows_model("m") && !closed.allows_surface("chat") && !closed.allows_address(here));
    }

    #[test]
    fn a_denied_model_wins_over_those_that_are_allowed() {
        let names = ["gpt-5-mini", "gpt-4.1", "claude", "openai/gpt-5-mini"];
        for (models, allowed) in [
            (&["!gpt-5*"][..], [false, true, true, false]),
            (&["gpt-*", "!gpt-5*"], [false, true, false, false]),
            (&["!gpt-5*", "gpt-*", "claude"], [false, true, true, false]),
            (&["!*"], [false; 4]),
            (&["*", "!claude"], [true, true, false, true]),
            (&["gpt-5-mini", "!gpt-5-mini"], [false; 4]),
            (&["!openai/*"], [true, true, true, false]),
        ] {
            let some = caller(KeyGrant { models: list(models), ..KeyGrant::default() });
            assert_eq!(names.map(|model| some.allows_model(model)), allowed, "{models:?}");
        }
    }

    #[test]
    fn permissions_are_lists() {
        let some = KeyGrant {
            models: list(&["gpt-*", "claude"]),
            surfaces: list(&["chat", "embeddings"]),
            addresses: list(&["192.0.2.0/24", "2001:db8::1", "nonsense"]),
            ..KeyGrant::default()
        };
        let some = caller(some);
        assert_eq!(["gpt-5", "claude", "claude-2"].map(|model| some.allows_model(model)), [true, true, false]);
        assert_eq!(["chat", "messages"].map(|surface| some.allows_surface(surface)), [true, false]);
        let from = |address: &str| some.allows_address(address.parse().ok());
        assert_eq!(
            ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "2001:db8::2", "192.0.3.1"].map(from),
            [true, true, true, false, false]
        );
        assert!(!some.allows_address(None));
    }
}
