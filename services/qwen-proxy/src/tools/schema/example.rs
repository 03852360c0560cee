//! Example values for parameters, as a pattern for the model.

use serde_json::Value;

use super::Types;

/// Maximum depth of an example.
const DEPTH: usize = 4;

/// Returns a value that fits `schema`: its default, one of its choices, or a sample of its type.
pub(super) fn of(schema: &Value) -> Value {
    example(schema, DEPTH)
}

fn example(schema: &Value, depth: usize) -> Value {
    let given = schema.get("default").filter(|value| !value.is_null());
    let given = given.or_else(|| schema.get("enum").and_then(|values| values.get(0))).or_else(|| schema.get("const"));
    if let Some(given) = given {
        return given.clone();
    }
    let mut types = Types::default();
    types.collect(schema);
    let deeper = |schema: &Value| match depth.checked_sub(1) {
        Some(depth) => example(schema, depth),
        None => Value::Null,
    };
    match types {
        Types { string: true, .. } => "example_value".into(),
        Types { number: true, .. } | Types { integer: true, .. } => 100.into(),
        Types { boolean: true, .. } => true.into(),
        Types { array: true, .. } => schema.get("items").map(deeper).into_iter().collect(),
        Types { object: true, .. } => {
            let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
            Value::Object(fields.map(|(name, field)| (name.clone(), deeper(field))).collect())
        }
        _ => "value".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::tools::schema::Schema;

    #[test]
    fn an_example_fits_the_schema() {
        let cases = [
            (json!({"type": "string"}), "example_value"),
            (json!({"type": "string", "default": "utf-8"}), "utf-8"),
            (json!({"type": "integer"}), "100"),
            (json!({"type": "boolean"}), "true"),
            (json!({"type": "array"}), "[]"),
            (json!({"type": "object"}), "{}"),
            (json!({}), "value"),
            (json!({"enum": ["fast", "slow"]}), "fast"),
            (
                json!({"type": "array", "items": {"type": "object", "properties": {"done": {"type": "boolean"}}}}),
                r#"[{"done":true}]"#,
            ),
        ];
        for (schema, example) in cases {
            assert_eq!(Schema::new(schema.clone()).example(), example, "{schema}");
        }
    }
}
