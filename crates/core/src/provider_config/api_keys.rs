//! The keys of a provider that has several, by name.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Mistake, NULL, api_key, path_of};
use crate::secret::MASK;
use crate::text::quoted;

/// Field of the configuration with the further keys.
pub const API_KEYS: &str = "apiKeys";

/// Name of the key in `apiKey`, beside those of [`API_KEYS`].
pub const DEFAULT_KEY: &str = "default";

/// Maximum number of keys in [`API_KEYS`].
pub const MAX_KEYS: usize = 32;

/// Maximum bytes of the name of a key.
pub const MAX_KEY_NAME: usize = 64;

/// Checks the name of a key.
///
/// # Errors
/// Returns the sentence about the mistake, without a subject.
pub fn check_key_name(name: &str) -> Result<(), String> {
    let is_word = (1..=MAX_KEY_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if is_word {
        Ok(())
    } else {
        Err(format!("must be named by one word of up to {MAX_KEY_NAME} letters, digits, hyphens, dots and underscores"))
    }
}

/// Checks the object of keys. It may be given as JSON text; an empty text means that there are none.
pub(super) fn check(value: Value) -> Result<Value, Vec<Mistake>> {
    let wrong = |path: String, what: String| Err(vec![Mistake { path, what }]);
    let given = match value {
        Value::String(text) if text.trim().is_empty() => Some(Map::new()),
        Value::String(text) => serde_json::from_str(&text).ok(),
        Value::Object(given) => Some(given),
        Value::Null => return wrong(path_of(API_KEYS), NULL.to_owned()),
        _ => None,
    };
    let Some(given) = given else {
        return wrong(
            path_of(API_KEYS),
            "must be an object of names and keys, such as {\"team-a\": \"sk-…\"}".to_owned(),
        );
    };
    if given.len() > MAX_KEYS {
        return wrong(path_of(API_KEYS), format!("must have at most {MAX_KEYS} keys"));
    }
    let (mut keys, mut mistakes, mut known) = (Map::new(), Vec::new(), BTreeSet::new());
    for (name, value) in given {
        match one(&name, value).and_then(|key| distinct(key, &mut known)) {
            Ok(key) => drop(keys.insert(name, key)),
            Err(what) => mistakes.push(Mistake { path: format!("{}.{}", path_of(API_KEYS), quoted(&name)), what }),
        }
    }
    if mistakes.is_empty() { Ok(keys.into()) } else { Err(mistakes) }
}

fn one(name: &str, value: Value) -> Result<Value, String> {
    check_key_name(name)?;
    if name == DEFAULT_KEY {
        return Err("must have another name: that of the key in `apiKey` is default".to_owned());
    }
    if value == MASK {
        return Err("must be the key itself: none is stored under this name".to_owned());
    }
    match api_key(value)? {
        Value::String(key) if key.is_empty() => Err("must be a key: leave out the name to remove it".to_owned()),
        key => Ok(key),
    }
}

/// Refuses a key that is given under another name, too: its limits would count twice.
fn distinct(key: Value, known: &mut BTreeSet<String>) -> Result<Value, String> {
    if known.insert(key.as_str().unwrap_or_default().to_owned()) {
        Ok(key)
    } else {
        Err("is the same key as under another name".to_owned())
    }
}

/// Returns the keys as they are shown: their names only.
#[must_use]
pub fn masked(stored: &Value) -> Value {
    match stored {
        Value::Object(keys) => keys.keys().map(|name| (name.clone(), MASK.into())).collect::<Map<_, _>>().into(),
        _ => MASK.into(),
    }
}

/// Replaces each mask in an object of keys by the key that is stored under its name, if there is one.
#[must_use]
pub fn with_stored(given: Value, stored: &Value) -> Value {
    let Value::Object(mut keys) = given else { return given };
    for (name, value) in keys.iter_mut().filter(|(_, value)| **value == MASK) {
        if let Some(key) = stored.get(name) {
            value.clone_from(key);
        }
    }
    keys.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mistakes(value: Value) -> Vec<String> {
        check(value).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn keys_have_names_of_their_own() {
        let keys = json!({"team-a": "sk-1", "b.2_x": 12345});
        assert_eq!(check(keys).unwrap(), json!({"team-a": "sk-1", "b.2_x": "12345"}));
        assert_eq!(check(json!(r#"{"a": " sk-1 "}"#)).unwrap(), json!({"a": "sk-1"}), "JSON text");
        assert_eq!(check(json!(" ")).unwrap(), json!({}));
        let checked = check(json!({"a": "sk-1"})).unwrap();
        assert_eq!(check(checked.clone()).unwrap(), checked);
    }

    #[test]
    fn every_mistake_is_told_without_a_key() {
        for (value, expected) in [
            (json!(null), "must not be null"),
            (json!(["sk-canary"]), "an object of names and keys"),
            (json!("sk-canary"), "an object of names and keys"),
            (json!({"a": "sk-canary", "b": "sk-canary"}), "the same key"),
            (json!({"a b": "sk-canary"}), "one word"),
            (json!({"": "sk-canary"}), "one word"),
            (json!({"default": "sk-canary"}), "another name"),
            (json!({"a": ""}), "must be a key"),
            (json!({"a": ["sk-canary"]}), "must be text"),
            (json!({"a": "Bearer sk-canary"}), "the word Bearer"),
            (json!({"a": "${env:CANARY}"}), "must not be a reference"),
            (json!({"a": MASK}), "none is stored"),
        ] {
            let told = mistakes(value.clone()).join("; ");
            assert!(told.contains(expected) && !told.contains("sk-canary"), "{value}: {told}");
        }
        let many: Map<String, Value> = (0..=MAX_KEYS).map(|n| (format!("k{n}"), format!("sk-{n}").into())).collect();
        assert!(mistakes(many.into())[0].contains("at most 32"));
        assert_eq!(mistakes(json!({"a": "", "b c": "x"})).len(), 2, "all at once");
    }

    #[test]
    fn masks_keep_the_stored_keys() {
        let stored = json!({"a": "sk-1", "b": "sk-2"});
        assert_eq!(masked(&stored), json!({"a": MASK, "b": MASK}));
        assert_eq!(masked(&json!("x")), MASK);
        let kept = with_stored(json!({"a": MASK, "c": "sk-3"}), &stored);
        assert_eq!(check(kept).unwrap(), json!({"a": "sk-1", "c": "sk-3"}), "b was left out");
        assert!(check(with_stored(json!({"new": MASK}), &stored)).is_err());
        assert_eq!(with_stored(json!("text"), &stored), "text");
    }
}
