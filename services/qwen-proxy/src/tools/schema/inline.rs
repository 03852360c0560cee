//! Resolution of references in a schema: a reference names another part of the schema, but only a part of it is shown
//! to the model.

use serde_json::{Map, Value};

/// Maximum number of values in a schema with resolved references; anything beyond is replaced by `{}`.
const MAX_VALUES: usize = 5_000;
/// Maximum nesting depth, which also bounds the recursion of all functions over a schema.
const MAX_DEPTH: usize = 64;

/// Replaces the local references (`#/$defs/…`) in `schema` by their targets.
pub(in crate::tools) fn inline(schema: &Value) -> Value {
    Inliner { root: schema, open: Vec::new(), left: MAX_VALUES, depth: 0 }.inline(schema)
}

struct Inliner<'a> {
    root: &'a Value,
    /// References being replaced. A recursive reference is replaced by `{}`.
    open: Vec<&'a str>,
    left: usize,
    depth: usize,
}

impl<'a> Inliner<'a> {
    fn inline(&mut self, schema: &'a Value) -> Value {
        if self.left == 0 || self.depth == MAX_DEPTH {
            return Value::Object(Map::new());
        }
        self.left -= 1;
        self.depth += 1;
        let inlined = match schema {
            Value::Array(items) => items.iter().map(|item| self.inline(item)).collect(),
            Value::Object(fields) => {
                let reference = fields.get("$ref").and_then(Value::as_str);
                let mut resolved = reference.map(|reference| self.resolve(reference)).unwrap_or_default();
                // Fields beside a reference, such as a description, override those of its target.
                let beside = fields.iter().filter(|(name, field)| match name.as_str() {
                    "$ref" => !field.is_string(),
                    "$defs" | "definitions" => self.depth > 1,
                    _ => true,
                });
                let beside: Vec<_> = beside.collect();
                resolved.extend(beside.into_iter().map(|(name, field)| (name.clone(), self.inline(field))));
                Value::Object(resolved)
            }
            other => other.clone(),
        };
        self.depth -= 1;
        inlined
    }

    fn resolve(&mut self, reference: &'a str) -> Map<String, Value> {
        let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        let Some(target) = target.filter(|_| !self.open.contains(&reference)) else { return Map::new() };
        self.open.push(reference);
        let resolved = self.inline(target);
        self.open.pop();
        match resolved {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_resolve_to_their_target() {
        let root = json!({
            "properties": {
                "state": {"$ref": "#/$defs/State", "description": "beside"},
                "tree": {"$ref": "#/$defs/Tree"},
                "lost": {"$ref": "#/$defs/None"},
            },
            "$defs": {
                "State": {"enum": ["on", "off"], "description": "named"},
                "Tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}}},
            },
        });
        let properties = &inline(&root)["properties"];
        assert_eq!(properties["state"], json!({"enum": ["on", "off"], "description": "beside"}));
        assert_eq!(properties["tree"], json!({"type": "object", "properties": {"left": {}}}));
        assert_eq!(properties["lost"], json!({}));
    }

    #[test]
    fn a_long_chain_of_references_is_bounded() {
        let next = |n: usize| json!({"properties": {"next": {"$ref": format!("#/$defs/d{n}")}}});
        let definitions: Value = (0..20_000).map(|n| (format!("d{n}"), next(n + 1))).collect();
        let mut root = next(0);
        root["$defs"] = definitions;
        let mut properties = &inline(&root)["properties"];
        let mut depth = 0;
        while let Some(next) = properties.get("next") {
            (properties, depth) = (&next["properties"], depth + 1);
        }
        assert!((8..=MAX_DEPTH).contains(&depth), "{depth}");
    }

    #[test]
    fn an_expanded_schema_is_bounded() {
        let names: Vec<String> = (0..12).map(|n| format!("d{n}")).collect();
        let all: Value = names.iter().map(|name| (name.clone(), json!({"$ref": format!("#/$defs/{name}")}))).collect();
        let definitions: Value = names.iter().map(|name| (name.clone(), json!({"properties": all}))).collect();
        let size = inline(&json!({"properties": all, "$defs": definitions})).to_string().len();
        assert!(size < 200_000, "{size}");
    }
}
