//! The documents: the tables of the configuration list what the code has, and every link within the repository
//! resolves.

mod variables;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use signalbox_harness::Launch;
use toml::{Table, Value};

/// Root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Returns the keys of a table and their values, in dotted form.
fn flat(prefix: &str, table: &Table, keys: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(table) => flat(&key, table, keys),
            Value::String(text) if text.is_empty() => drop(keys.insert(key, "\"\"".to_owned())),
            Value::String(text) => drop(keys.insert(key, text.clone())),
            value => drop(keys.insert(key, value.to_string())),
        }
    }
}

/// Returns the cells of each row of the table below a heading: key, flag, environment, default, meaning.
fn cells<'a>(document: &'a str, heading: &str) -> Vec<[&'a str; 5]> {
    let section = document.split(&format!("\n## {heading}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `")).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        cells.try_into().unwrap_or_else(|_| panic!("{line}"))
    });
    rows.collect()
}

/// Returns key and default of each row of the table below a heading.
fn rows(document: &str, heading: &str) -> BTreeMap<String, String> {
    let rows = cells(document, heading).into_iter();
    rows.map(|[key, _, _, default, _]| (key.trim_matches('`').to_owned(), default.trim_matches('`').to_owned()))
        .collect()
}

#[test]
fn the_tables_of_the_configuration_list_every_key_with_its_default() {
    let document = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    for (heading, file) in [
        ("All three programs", "crates/daemon/src/config/defaults.toml"),
        ("provider-router", "services/provider-router/src/config.default.toml"),
        ("qwen-proxy", "services/qwen-proxy/src/config.default.toml"),
        ("api-server", "services/api-server/config.default.toml"),
    ] {
        let mut expected = BTreeMap::new();
        flat("", &fs::read_to_string(root().join(file)).unwrap().parse().unwrap(), &mut expected);
        let listed = rows(&document, heading);
        for (key, default) in &expected {
            assert_eq!(listed.get(key), Some(default), "{heading}: {key} of {file}");
        }
        // These have no value that holds everywhere, and stand as comments in the file.
        let computed = ["data_dir", "server.port", "database.url", "limits.max_body_memory"];
        let extra: Vec<_> =
            listed.keys().filter(|key| !expected.contains_key(*key) && !computed.contains(&key.as_str())).collect();
        assert!(extra.is_empty(), "{heading}: {extra:?} are not in {file}");
    }
}

/// Returns the words in backquotes that begin with `prefix`, in the rows of the table below a heading.
fn quoted<'a>(document: &'a str, heading: &str, prefix: &str) -> BTreeSet<&'a str> {
    let section = document.split(&format!("\n## {heading}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
    let cells = section.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split(" | ").nth(1));
    cells.flat_map(|cell| cell.split('`')).filter(|word| word.starts_with(prefix)).collect()
}

#[test]
fn the_tables_of_the_configuration_list_every_flag() {
    // Those that set nothing of the configuration.
    const OTHERS: [&str; 6] = ["--help", "--version", "--config", "--print-config", "--welcome", "--insecure-no-auth"];
    let document = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let common = quoted(&document, "All three programs", "--");
    for program in ["provider-router", "qwen-proxy", "api-server"] {
        let output = Launch::default().arg("--help").command(program).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let flags: BTreeSet<&str> = help
            .lines()
            .filter_map(|line| {
                line.trim_start().trim_start_matches("-h, ").trim_start_matches("-V, ").split(' ').next()
            })
            .filter(|word| word.starts_with("--") && !OTHERS.contains(word))
            .collect();
        let listed = &common | &quoted(&document, program, "--");
        let missing: Vec<_> = flags.difference(&listed).collect();
        let extra: Vec<_> = listed.difference(&flags).filter(|flag| !OTHERS.contains(flag)).collect();
        assert!(missing.is_empty() && extra.is_empty(), "{program}: {missing:?} are missing, {extra:?} do not exist");
    }
}

/// Returns the anchors of a document, as repository hosts derive them from its headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let headings = text.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced && line.starts_with('#')
    });
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
        kept.map(|char| if char == ' ' { '-' } else { char }).collect()
    };
    headings.map(anchor).collect()
}

/// Returns the targets of the Markdown links in a text, code blocks excepted.
fn links(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut links = Vec::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if fenced {
            continue;
        }
        for rest in line.split("](").skip(1) {
            links.extend(rest.split_once(')').map(|(target, _)| target.to_owned()));
        }
    }
    links
}

fn documents(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !["target", "node_modules"].contains(&name.as_str()) {
            documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

#[test]
fn links_within_the_repository_resolve() {
    let mut found = Vec::new();
    documents(&root(), &mut found);
    assert!(found.len() > 15, "{found:?}");
    let mut broken = Vec::new();
    for document in &found {
        for link in links(&fs::read_to_string(document).unwrap()) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
            let resolves = match (target.is_file(), anchor) {
                (true, "") => true,
                (true, anchor) => anchors(&fs::read_to_string(&target).unwrap()).contains(anchor),
                (false, anchor) => target.is_dir() && anchor.is_empty(),
            };
            if !resolves {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
