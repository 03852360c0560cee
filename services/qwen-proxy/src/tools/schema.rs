//! The JSON schema of a parameter, used to convert the text of a value to JSON.

mod example;
mod inline;

use serde_json::{Map, Value, value::RawValue};

pub(super) use self::inline::inline;

/// The JSON schema of a parameter, with references resolved.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    json: Value,
    types: Types,
}

/// JSON types a value may have. An empty set means any type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Types {
    string: bool,
    number: bool,
    integer: bool,
    boolean: bool,
    array: bool,
    object: bool,
    null: bool,
}

impl Schema {
    pub(super) fn new(json: Value) -> Self {
        let mut types = Types::default();
        types.collect(&json);
        Self { json, types }
    }

    /// Returns the schema of an undeclared parameter.
    pub(super) fn any() -> Self {
        Self::new(Value::Object(Map::new()))
    }

    /// Returns the declared description, if any.
    pub(super) fn description(&self) -> Option<&str> {
        self.json.get("description").and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
    }

    /// Returns the types in words, such as `string` or `integer or null`; `any` if none is declared.
    pub(super) fn type_name(&self) -> String {
        let names = self.types.names();
        if names.is_empty() { "any".into() } else { names.join(" or ") }
    }

    /// Returns the allowed values, if they are enumerated.
    pub(super) fn choices(&self) -> Option<&Vec<Value>> {
        self.json.get("enum").and_then(Value::as_array).filter(|values| !values.is_empty())
    }

    /// Returns the whole schema, if it declares more than a type.
    pub(super) fn inside(&self) -> Option<&Value> {
        has_parts(&self.json).then_some(&self.json)
    }

    /// Returns an example value, as it would be written in a call.
    pub(super) fn example(&self) -> String {
        match example::of(&self.json) {
            Value::String(text) => text,
            value => value.to_string(),
        }
    }

    /// Converts the text of a value to JSON text. A value that may be a string is one, even if it looks like a number,
    /// except the word `null` where it is allowed;
    /// a value of none of the allowed types is a string, too, so that nothing is lost. Numbers keep their digits.
    ///
    /// If no type is declared, everything but `true`, `false` and plain numbers is a string: the JSON text of a file to
    /// be written must not become an object.
    pub(super) fn read(&self, text: &str) -> String {
        let types = self.types;
        if types == Types::default() {
            let word = text.trim();
            let is_word = matches!(word, "true" | "false") || is_plain_number(word);
            return if is_word { word.to_owned() } else { Value::from(text).to_string() };
        }
        if types.string && types.null && text.trim() == "null" {
            return "null".to_owned();
        }
        if !types.string {
            let text = text.trim();
            let allowed = match (text.as_bytes().first(), serde_json::from_str::<&RawValue>(text)) {
                (_, Err(_)) | (None, _) => false,
                (Some(b'{'), _) => types.object,
                (Some(b'['), _) => types.array,
                (Some(b't' | b'f'), _) => types.boolean,
                (Some(b'n'), _) => types.null,
                (Some(b'"'), _) => false,
                _ => types.number || types.integer && is_whole(text),
            };
            if allowed {
                return text.to_owned();
            }
            let lower = text.to_ascii_lowercase();
            if types.boolean && matches!(lower.as_str(), "true" | "false") {
                return lower;
            }
        }
        Value::from(text).to_string()
    }
}

impl Types {
    fn collect(&mut self, schema: &Value) {
        match schema.get("type") {
            Some(Value::String(name)) => self.add(name),
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).for_each(|name| self.add(name)),
            _ => {}
        }
        alternatives(schema).for_each(|alternative| self.collect(alternative));
        if *self == Self::default() {
            let values = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
            values.chain(schema.get("const")).for_each(|value| self.add(name_of(value)));
        }
        if *self == Self::default() {
            self.object = schema.get("properties").is_some();
            self.array = schema.get("items").is_some();
        }
    }

    fn add(&mut self, name: &str) {
        match name {
            "string" => self.string = true,
            "number" => self.number = true,
            "integer" => self.integer = true,
            "boolean" => self.boolean = true,
            "array" => self.array = true,
            "object" => self.object = true,
            "null" => self.null = true,
            _ => {}
        }
    }

    fn names(self) -> Vec<&'static str> {
        [
            (self.string, "string"),
            (self.number, "number"),
            (self.integer, "integer"),
            (self.boolean, "boolean"),
            (self.array, "array"),
            (self.object, "object"),
            (self.null, "null"),
        ]
        .into_iter()
        .filter_map(|(present, name)| present.then_some(name))
        .collect()
    }
}

/// Returns `true` if the schema declares items or properties.
fn has_parts(schema: &Value) -> bool {
    schema.get("items").is_some() || schema.get("properties").is_some() || alternatives(schema).any(has_parts)
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten()
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Maximum digits that every JSON parser preserves.
const MAX_DIGITS: usize = 15;

/// Returns `true` for a JSON number without an exponent that every JSON parser represents exactly. Longer ones are ids
/// rather than quantities.
fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && digits.len() <= MAX_DIGITS + 1;
    is_number && serde_json::from_str::<f64>(text).is_ok() && digits.replace('.', "").len() <= MAX_DIGITS
}

/// Returns `true` if a JSON number has no fraction. A number with more digits than a float can represent is whole if it
/// is written without a fraction.
fn is_whole(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    digits.bytes().all(|byte| byte.is_ascii_digit()) || number.parse::<f64>().is_ok_and(|value| value.fract() == 0.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn reads(schema: &Value, cases: &[(&str, &str)]) {
        let schema = Schema::new(inline(schema));
        for (text, json) in cases {
            assert_eq!(schema.read(text), *json, "{text} as {}", schema.json);
        }
    }

    #[test]
    fn a_string_stays_a_string() {
        let cases =
            [("42", r#""42""#), ("true", r#""true""#), ("[1]", r#""[1]""#), (" a\n", r#"" a\n""#), ("", r#""""#)];
        reads(&json!({"type": "string"}), &cases);
        reads(&json!({"type": ["string", "null"]}), &cases);
        reads(&json!({"anyOf": [{"type": "integer"}, {"type": "string"}]}), &cases);
        reads(&json!({"enum": ["42", "true"]}), &cases);
        reads(&json!({"type": "string"}), &[("null", r#""null""#)]);
    }

    #[test]
    fn null_stays_null_where_it_is_allowed() {
        let cases = [("null", "null"), ("null.", r#""null.""#), ("Null", r#""Null""#), ("1", r#""1""#)];
        reads(&json!({"type": ["string", "null"]}), &cases);
        reads(&json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), &cases);
    }

    #[test]
    fn numbers_keep_their_digits() {
        let big = "123456789012345678901234567890";
        let cases = [("42", "42"), (" -7\n", "-7"), (big, big), ("2.0", "2.0"), ("1e3", "1e3")];
        reads(&json!({"type": "integer"}), &cases);
        reads(&json!({"type": "number"}), &cases);
        reads(&json!({"type": "number"}), &[("0.10", "0.10")]);
    }

    #[test]
    fn a_value_of_another_type_is_kept_as_text() {
        reads(
            &json!({"type": "integer"}),
            &[("1.5", r#""1.5""#), ("007", r#""007""#), ("true", r#""true""#), ("", r#""""#)],
        );
        reads(&json!({"type": "number"}), &[("NaN", r#""NaN""#), ("1,5", r#""1,5""#), ("[1]", r#""[1]""#)]);
        reads(&json!({"type": "boolean"}), &[("yes", r#""yes""#), ("1", r#""1""#)]);
        reads(&json!({"type": "array"}), &[("a, b", r#""a, b""#), ("{}", r#""{}""#), ("[1,", r#""[1,""#)]);
        reads(&json!({"type": "object"}), &[("[]", r#""[]""#), ("null", r#""null""#)]);
    }

    #[test]
    fn other_types_are_read_as_json() {
        reads(&json!({"type": "boolean"}), &[("true", "true"), (" False ", "false")]);
        reads(&json!({"type": "array"}), &[("\n[1, \"a\"]\n", r#"[1, "a"]"#)]);
        reads(&json!({"type": "object"}), &[(r#"{"b":1,"a":[{}]}"#, r#"{"b":1,"a":[{}]}"#)]);
        reads(&json!({"anyOf": [{"type": "integer"}, {"type": "null"}]}), &[("null", "null"), ("3", "3")]);
        reads(&json!({"enum": [1, 2]}), &[("2", "2")]);
    }

    #[test]
    fn untyped_values_are_text_except_keywords_and_plain_numbers() {
        let cases = [
            ("42", "42"),
            ("-0.50", "-0.50"),
            (" 7\n", "7"),
            ("true", "true"),
            (" false ", "false"),
            ("123456789012345", "123456789012345"),
        ];
        let texts = [
            "a b",
            "",
            " spaced ",
            "\"quoted\"",
            "[]",
            "[1, 2]",
            "{}",
            "{\"a\": {\"b\": [null]}}\n",
            "null",
            "True",
            "NaN",
            "1e3",
            "007",
            "1.2.3",
            "-",
            ".5",
            "1234567890123456",
            "0.1234567890123456789",
        ];
        for schema in [json!({}), json!({"description": "anything"}), json!(true)] {
            reads(&schema, &cases);
            for text in texts {
                reads(&schema, &[(text, &*json!(text).to_string())]);
            }
        }
    }

    #[test]
    fn a_composite_schema_has_the_types_of_its_parts() {
        reads(&json!({"properties": {"a": {}}}), &[(r#"{"a":1}"#, r#"{"a":1}"#), ("7", r#""7""#)]);
        reads(&json!({"items": {}}), &[("[1]", "[1]"), ("{}", r#""{}""#)]);
    }
}
