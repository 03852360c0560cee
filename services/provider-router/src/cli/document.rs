//! Documents that commands read from a file or from stdin.

use std::{io::Read as _, path::Path};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Map, Value};
use signalbox_core::provider_config::Mistake;

/// Maximum bytes of a document.
const MAX_DOCUMENT: u64 = 4 << 20;

/// Reads an object from a JSON or TOML file, or from stdin for `-`. A file that does not end in `.toml` is JSON, or else
/// TOML.
///
/// # Errors
/// Fails if the file cannot be read, or is neither.
pub(super) fn read(file: &Path) -> anyhow::Result<Map<String, Value>> {
    let shown = file.display();
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(MAX_DOCUMENT + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MAX_DOCUMENT + 1).read_to_string(&mut text))
    };
    let length = read.with_context(|| format!("cannot read {shown}"))?;
    ensure!(u64::try_from(length).is_ok_and(|length| length <= MAX_DOCUMENT), "{shown} is larger than 4 MiB");
    let is_toml = file.extension().is_some_and(|extension| extension == "toml");
    let value = if is_toml { toml_value(&text) } else { json_or_toml(&text) };
    match value.with_context(|| format!("cannot read {shown}"))? {
        Value::Object(fields) => Ok(fields),
        _ => bail!("{shown} must contain one object"),
    }
}

/// Returns an error with all mistakes, one per line.
pub(super) fn refused(mistakes: &[Mistake]) -> anyhow::Error {
    let lines: Vec<String> = mistakes.iter().map(|mistake| format!("\n  {mistake}")).collect();
    anyhow::anyhow!("nothing was changed:{}", lines.concat())
}

fn json_or_toml(text: &str) -> anyhow::Result<Value> {
    if text.trim_start().starts_with(['{', '[']) && !text.trim_start().starts_with("[[") {
        let read: Result<Value, _> = serde_json::from_str(text);
        // A TOML document may begin with the name of a table.
        return read.or_else(|error| toml_value(text).map_err(|_| anyhow::anyhow!("invalid JSON: {error}")));
    }
    toml_value(text)
}

fn toml_value(text: &str) -> anyhow::Result<Value> {
    let table = text.parse::<toml::Table>().map_err(|error| anyhow::anyhow!("invalid TOML: {}", error.message()))?;
    Ok(serde_json::to_value(table)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_and_toml_are_recognised() {
        for text in [r#"{"a": {"b": 1}}"#, "a.b = 1", "[a]\nb = 1"] {
            assert_eq!(json_or_toml(text).unwrap(), json!({"a": {"b": 1}}), "{text}");
        }
        assert_eq!(json_or_toml("[[a]]\nb = 1").unwrap(), json!({"a": [{"b": 1}]}));
        for (text, told) in [("{\"a\": }", "invalid JSON"), ("a = ", "invalid TOML")] {
            assert!(json_or_toml(text).unwrap_err().to_string().contains(told), "{text}");
        }
    }

    #[test]
    fn files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("route.toml");
        std::fs::write(&file, "a = 1").unwrap();
        assert_eq!(Value::from(read(&file).unwrap()), json!({"a": 1}));
        std::fs::write(&file, "{}").unwrap();
        assert!(format!("{:#}", read(&file).unwrap_err()).contains("invalid TOML"));
        let list = dir.path().join("list.json");
        std::fs::write(&list, "[1]").unwrap();
        assert!(read(&list).unwrap_err().to_string().contains("must contain one object"));
        assert!(read(&dir.path().join("none")).unwrap_err().to_string().contains("cannot read"));
    }
}
