//! TOML, YAML and JSON as equivalent formats of a document.

use serde_json::Value;
use signalbox_management::once::DuplicateNames;

/// Maximum number of brackets and braces of YAML that are open at once.
const MAX_YAML_DEPTH: usize = 500;
/// Maximum number of anchors in YAML.
const MAX_YAML_ANCHORS: usize = 500;
/// Maximum number of aliases in YAML.
const MAX_YAML_ALIASES: usize = 5_000;

/// Format of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people; the default.
    Toml,
    /// For people.
    Yaml,
    /// For programs.
    Json,
}

// === impl Format ===

impl Format {
    /// Returns the format for a word of a query, or for the extension of a file name.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        match word {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Returns the format of the first known media type in an `Accept` or `Content-Type` header.
    #[must_use]
    pub fn of_media_type(header: &str) -> Option<Self> {
        header.split(',').find_map(|one| match one.split(';').next().unwrap_or_default().trim() {
            "application/toml" | "text/toml" | "text/x-toml" => Some(Self::Toml),
            "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" => Some(Self::Yaml),
            "application/json" => Some(Self::Json),
            _ => None,
        })
    }

    /// Returns the media type of the format.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Toml => "application/toml",
            Self::Yaml => "application/yaml",
            Self::Json => "application/json",
        }
    }

    /// Parses a document.
    ///
    /// # Errors
    /// The syntax error with its position, or every duplicate name. Values are not shown, because they may be secrets.
    pub fn parse(self, text: &str) -> Result<Value, Vec<String>> {
        let duplicates = DuplicateNames::default();
        let value = self.read(text, &duplicates).map_err(|error| vec![error])?;
        let mistakes = duplicates.mistakes(text);
        if mistakes.is_empty() { Ok(value) } else { Err(mistakes) }
    }

    fn read(self, text: &str, duplicates: &DuplicateNames) -> Result<Value, String> {
        match self {
            Self::Json => {
                let mut deserializer = serde_json::Deserializer::from_str(text);
                let value = duplicates.read(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
                value.map_err(|error| format!("invalid JSON at line {}, column {}", error.line(), error.column()))
            }
            Self::Toml => match text.parse::<toml::Table>() {
                Ok(table) => serde_json::to_value(table).map_err(|error| error.to_string()),
                Err(error) => {
                    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
                    Err(format!("invalid TOML at line {}: {}", before.matches('\n').count() + 1, error.message()))
                }
            },
            Self::Yaml => {
                check_yaml_bounds(text)?;
                duplicates.read(yaml_serde::Deserializer::from_str(text)).map_err(|error| match error.location() {
                    Some(at) => format!("invalid YAML at line {}, column {}", at.line(), at.column()),
                    None => "invalid YAML, or a value that JSON cannot represent".to_owned(),
                })
            }
        }
    }

    /// Prints a value, after comment lines where the format supports them.
    ///
    /// # Errors
    /// When the format cannot represent a value.
    pub fn print(self, value: &Value, comments: &[String]) -> Result<String, String> {
        let comments: String = comments.iter().map(|line| format!("# {line}\n")).collect();
        let cannot = |what: &str| {
            format!(
                "the configuration contains a value that {what} cannot represent; request \
            json"
            )
        };
        match self {
            Self::Json => serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|_| cannot("JSON")),
            Self::Yaml => yaml_serde::to_string(value).map(|text| comments + &text).map_err(|_| cannot("YAML")),
            Self::Toml => {
                if has_null(value) {
                    return Err(cannot("TOML"));
                }
                toml::to_string_pretty(value).map(|text| comments + &text).map_err(|_| cannot("TOML"))
            }
        }
    }
}

/// Refuses YAML that the parser would read for minutes: its time grows with the square of brackets and braces that are
/// open at once, and of anchors. They are counted in texts and comments, too, which no document comes close to.
fn check_yaml_bounds(text: &str) -> Result<(), String> {
    let (mut open, mut anchors, mut aliases) = (0_usize, 0, 0);
    let mut before = b' ';
    for byte in text.bytes() {
        let begins = before.is_ascii_whitespace() || matches!(before, b'[' | b'{' | b',');
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            b'&' if begins => anchors += 1,
            b'*' if begins => aliases += 1,
            _ => {}
        }
        for (count, max, name) in [
            (open, MAX_YAML_DEPTH, "levels of brackets"),
            (anchors, MAX_YAML_ANCHORS, "anchors"),
            (aliases, MAX_YAML_ALIASES, "aliases"),
        ] {
            if count > max {
                return Err(format!("the YAML has more than {max} {name}; write it flatter, or send JSON"));
            }
        }
        before = byte;
    }
    Ok(())
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_that_takes_long_to_parse_is_refused_before() {
        let anchors: String = (0..600).map(|n| format!("k{n}: &a{n} 1\n")).collect();
        let aliases = format!("a: &a [1]\nb: [{}]\n", "*a, ".repeat(6_000));
        for (text, told) in [
            ("[".repeat(20_000), "500 levels of brackets"),
            ("{a: ".repeat(20_000), "500 levels of brackets"),
            (format!("- don't\n- {}", "[".repeat(20_000)), "500 levels of brackets"),
            (anchors, "500 anchors"),
            (aliases, "5000 aliases"),
        ] {
            let mistakes = Format::Yaml.parse(&text).unwrap_err();
            assert!(mistakes[0].contains(told), "{mistakes:?}");
        }
    }

    #[test]
    fn anchors_and_brackets_within_the_bounds_are_read() {
        let value = Format::Yaml.parse("a: &a [1, {b: 2}]\nc: *a\nd: 'x & y ]]] * z'\n").unwrap();
        assert_eq!((&value["c"], &value["d"]), (&value["a"], &"x & y ]]] * z".into()));
    }
}
