//! The instructions that teach a model to call tools in its text.

use std::fmt::Write;

use super::{
    call,
    tool::{Parameter, Tool},
};

const RULES: &str = "\
# Tools

You can use tools. You call a tool by writing it in your message; the user's program runs it and sends you the result in \
the next message.

Rules:
1. Write a call as an XML element named after the tool, with one child element per parameter, exactly as shown under \
Usage. This is the only form that is understood: no JSON call, no function-call syntax, no attributes.
2. Do not put a call into a code block or quotes. Do not write a tool's tag unless you call the tool.
3. Write every value as it is: no escaping, no CDATA, no quotes around text. Arrays and objects are written as JSON.
4. Give all required parameters, and only parameters listed for the tool. Leave out optional ones you do not need.
5. When a tool is needed to answer, call it in this message; do not just announce it.
6. One message may have several calls, one after the other, when none needs the result of another.
7. End your message after the last call and wait for the results. Never make up a result.
8. When no tool is needed, answer in plain text.
";

/// Returns the complete section for a system message.
pub(super) fn write(tools: &[Tool]) -> String {
    let sections: Vec<String> = tools.iter().map(section).collect();
    format!("{RULES}\n<tools>\n{}</tools>", sections.join("\n"))
}

/// Returns the description of one tool, which ends with a line break.
pub(super) fn section(tool: &Tool) -> String {
    let mut text = format!("## {}\n", tool.name);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "Description: {}", tool.description.as_deref().unwrap_or("No description"));
    if tool.parameters.is_empty() {
        text.push_str("Parameters: None\n");
    } else {
        text.push_str("Parameters:\n");
        tool.parameters.iter().for_each(|parameter| describe(parameter, &mut text));
    }
    let arguments = tool.parameters.iter().map(|parameter| (parameter.name.as_str(), parameter.schema.example()));
    let _ = writeln!(text, "Usage:\n{}", call::tags(&tool.name, arguments));
    text
}

fn describe(Parameter { name, required, schema, .. }: &Parameter, text: &mut String) {
    let need = if *required { "required" } else { "optional" };
    let description = schema.description().unwrap_or("No description");
    let _ = write!(text, "- {name}: ({need}) {} - {description}", schema.type_name());
    if let Some(choices) = schema.choices() {
        let choices: Vec<String> = choices.iter().map(ToString::to_string).collect();
        let _ = write!(text, " One of: {}.", choices.join(", "));
    }
    if let Some(inside) = schema.inside() {
        let _ = write!(text, " JSON schema: {inside}");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Tools;

    #[test]
    fn a_tool_is_described_with_its_parameters_and_an_example() {
        let tools = Tools::parse(&[
            json!({"type": "function", "function": {"name": "list_notes"}}),
            json!({"type": "function", "function": {
                "name": "write_file",
                "description": "Writes a file.",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "path": {"type": "string", "description": "Where to."},
                        "mode": {"enum": ["create", "append"]},
                        "lines": {"type": "array", "items": {"type": "string"}},
                        "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                    },
                    "required": ["path"],
                },
            }}),
        ])
        .unwrap();
        let instructions = tools.instructions();
        let (rules, sections) = instructions.split_once("<tools>\n").unwrap();
        assert!(rules.starts_with("# Tools\n") && rules.contains("Never make up a result."), "{rules}");
        assert_eq!(
            sections,
            r#"## list_notes
Description: No description
Parameters: None
Usage:
<list_notes>
</list_notes>

## write_file
Description: Writes a file.
Parameters:
- path: (required) string - Where to.
- limit: (optional) integer or null - No description
- lines: (optional) array - No description JSON schema: {"items":{"type":"string"},"type":"array"}
- mode: (optional) string - No description One of: "create", "append".
Usage:
<write_file>
<path>example_value</path>
<limit>100</limit>
<lines>["example_value"]</lines>
<mode>create</mode>
</write_file>
</tools>"#
        );
    }
}
