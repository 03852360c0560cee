//! Differences between two states of the tables.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// Kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = EventAction)]
pub(crate) enum Action {
    Created,
    Updated,
    Deleted,
    Enabled,
    Disabled,
    Reloaded,
}

/// Entries by key.
pub(super) type State<T> = BTreeMap<String, T>;

/// Returns the changes that lead from `old` to `new`, by key. `update` names the kind of a difference.
pub(super) fn between<T: PartialEq>(
    old: &State<T>,
    new: &State<T>,
    update: impl Fn(&T, &T) -> Action,
) -> Vec<(String, Action)> {
    let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Action::Deleted));
    let rest = new.iter().filter_map(|(key, value)| match old.get(key) {
        None => Some((key.clone(), Action::Created)),
        Some(before) if before != value => Some((key.clone(), update(before, value))),
        Some(_) => None,
    });
    gone.chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(things: &[(&str, bool)]) -> State<bool> {
        things.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
    }

    #[test]
    fn each_difference_has_an_event() {
        let update = |_: &bool, new: &bool| if *new { Action::Enabled } else { Action::Disabled };
        let changes = between(
            &state(&[("gone", true), ("same", true), ("on", false), ("off", true)]),
            &state(&[("same", true), ("on", true), ("off", false), ("new", true)]),
            update,
        );
        let expected =
            [("gone", Action::Deleted), ("new", Action::Created), ("off", Action::Disabled), ("on", Action::Enabled)];
        assert_eq!(changes, expected.map(|(key, action)| (key.to_owned(), action)));
    }
}
