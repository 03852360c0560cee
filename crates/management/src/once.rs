//! Reads JSON and YAML values, and reports duplicate names.
//!
//! Both formats leave the meaning of a duplicate name open, and parsers use the last one. In a request or a
//! configuration that is a mistake, because part of it would be discarded silently.

use std::cell::RefCell;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use signalbox_core::text::quoted;

/// Collected paths of duplicate names, such as `providers.openai`.
#[derive(Debug, Default)]
pub struct DuplicateNames(RefCell<Vec<String>>);

/// Deserialises the value at one path.
struct Once<'a> {
    path: String,
    twice: &'a DuplicateNames,
}

// === impl DuplicateNames ===

impl DuplicateNames {
    /// Reads a value, and records duplicate names.
    ///
    /// # Errors
    /// Those of the deserialiser.
    pub fn read<'de, D: Deserializer<'de>>(&self, deserializer: D) -> Result<Value, D::Error> {
        Once { path: String::new(), twice: self }.deserialize(deserializer)
    }

    /// Returns a message for each duplicate name, with its line numbers in `text` if exactly two lines match.
    #[must_use]
    pub fn mistakes(self, text: &str) -> Vec<String> {
        let sentence = |path: String| {
            let name = path.rsplit('.').next().unwrap_or_default();
            match *lines_of(name, text) {
                [first, second] => {
                    format!("{path}: declared twice, on lines {first} and {second}; merge or remove one")
                }
                _ => format!("{path}: declared twice; merge or remove one"),
            }
        };
        self.0.into_inner().into_iter().map(sentence).collect()
    }
}

/// Returns the numbers of the lines that start with a name and a colon.
fn lines_of(name: &str, text: &str) -> Vec<usize> {
    let begins = |line: &str| {
        let line = line.trim_start_matches([' ', '\t', '{', ',', '"', '\'']);
        let rest = line.strip_prefix(name).map(|rest| rest.trim_start_matches(['"', '\'', ' ']));
        !name.is_empty() && rest.is_some_and(|rest| rest.starts_with(':'))
    };
    text.lines().enumerate().filter(|(_, line)| begins(line)).map(|(at, _)| at + 1).collect()
}

// === impl Once ===

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON can represent")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("the number has no JSON representation"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) =
            items.next_element_seed(Once { path: self.at(&all.len().to_string()), twice: self.twice })?
        {
            all.push(item);
        }
        Ok(all.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = entries.next_key::<Name>()? {
            let path = self.at(&quoted(&name.0));
            let value = entries.next_value_seed(Once { path: path.clone(), twice: self.twice })?;
            if all.insert(name.0, value).is_some() {
                self.twice.0.borrow_mut().push(path);
            }
        }
        Ok(all.into())
    }
}

impl Once<'_> {
    fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// A name. In YAML it may also be a number or a boolean.
struct Name(String);

impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Name, E> {
                Ok(Name(name.to_owned()))
            }

            fn visit_bool<E>(self, name: bool) -> Result<Name, E> {
                Ok(Name(name.to_string()))
            }

            fn visit_i64<E>(self, name: i64) -> Result<Name, E> {
                Ok(Name(name.to_string()))
            }

            fn visit_u64<E>(self, name: u64) -> Result<Name, E> {
                Ok(Name(name.to_string()))
            }

            fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Name, E> {
                Err(E::custom("a key must not be a fraction"))
            }
        }
        deserializer.deserialize_any(Text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn yaml(text: &str) -> (Value, Vec<String>) {
        let twice = DuplicateNames::default();
        let value = twice.read(yaml_serde::Deserializer::from_str(text)).unwrap();
        (value, twice.mistakes(text))
    }

    #[test]
    fn duplicate_keys_are_reported_with_their_lines() {
        let text = "providers:\n  openai:\n    type: openai\n  other:\n    type: echo\n  openai:\n    type: groq\n";
        let told = "providers.openai: declared twice, on lines 2 and 6; merge or remove one";
        assert_eq!(yaml(text).1, [told]);
        let text = "a: {x: 1, \"x\": 2}\na: 3\n";
        assert_eq!(yaml(text).1.len(), 2);
        let text = "a: [{b: 1, b: 2}]\nb: 3\n";
        assert!(yaml(text).1[0].starts_with("a.0.b: declared twice; merge"), "{:?}", yaml(text).1);
    }

    #[test]
    fn documents_without_duplicates_are_parsed_unchanged() {
        let text = "a: {x: 1, y: [true, null, -2, 1.5, text]}\n7: b\nb: {x: 1}\nc: &c {x: 2}\nd: *c\n";
        let (value, mistakes) = yaml(text);
        assert_eq!(mistakes, [""; 0]);
        let expected = json!({"a": {"x": 1, "y": [true, null, -2, 1.5, "text"]}, "7": "b", "b": {"x": 1}, "c": {"x": 2}, "d": {"x": 2}});
        assert_eq!(value, expected);
    }
}
