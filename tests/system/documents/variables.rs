//! The environment column of the tables of the configuration: each variable sets the key of its row, and each variable
//! that the code reads is there.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use signalbox_daemon::variables::FORWARDED;
use signalbox_harness::{Home, Launch};
use toml::{Table, Value};

use super::{cells, root};

/// Texts of which each variable takes at least one that is no default.
const TEXTS: [&str; 8] =
    ["true", "off", "4321", "debug", "json", "http://127.0.0.1:9", "sqlite:///nowhere/other.db", "10.0.0.0/8"];

/// Variables of the operating system, of Cargo and of the supervisor, which users do not set for the programs.
const FOREIGN: [&str; 7] =
    ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "HOME", "PATH", "SIGNALBOX_SUPERVISED", "USERNAME"];

/// Returns the words in backquotes in a cell that can be names of variables.
fn names(cell: &str) -> Vec<&str> {
    let is_name = |word: &&str| {
        !word.is_empty() && word.bytes().all(|byte| byte == b'_' || byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    cell.split('`').skip(1).step_by(2).filter(is_name).collect()
}

/// Returns the value of a dotted key in the effective configuration; `None` if a variable is refused.
fn configured(program: &str, home: &Home, variables: &[(&str, &str)], key: &str) -> Option<Value> {
    let launch = Launch::default().home(home).command(program);
    let mut command = Command::new(launch.get_program());
    command.env_clear().env("HOME", home.path()).envs(variables.iter().copied()).arg("--print-config");
    // The flag of the data directory wins over its variable.
    if key != "data_dir" {
        command.args(launch.get_args());
    }
    let output = command.output().unwrap();
    let printed = output.status.success().then(|| String::from_utf8(output.stdout).unwrap())?;
    let table = Value::Table(printed.parse::<Table>().unwrap());
    key.split('.').try_fold(table, |value, part| value.get(part).cloned())
}

/// Asserts that a variable can change a key.
fn assert_sets(program: &str, home: &Home, variable: &str, key: &str) {
    let default = configured(program, home, &[], key);
    let sets = |text: &str| {
        let mut variables = vec![(variable, text)];
        // A certificate and its key are refused without each other.
        let other =
            [("TLS_CERT", "TLS_KEY"), ("TLS_KEY", "TLS_CERT")].into_iter().find(|(this, _)| variable.ends_with(this));
        variables.extend(other.map(|(_, other)| (other, "other")));
        let set = configured(program, home, &variables, key);
        set.is_some() && set != default
    };
    assert!(TEXTS.into_iter().any(sets), "{program}: {variable} does not set {key}");
}

#[test]
fn each_variable_of_the_tables_sets_its_key() {
    let document = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let home = Home::new();
    let mut count = 0;
    for (heading, programs) in [
        ("All three programs", &["provider-router", "qwen-proxy", "api-server"][..]),
        ("provider-router", &["provider-router"]),
        ("qwen-proxy", &["qwen-proxy"]),
        ("api-server", &["api-server"]),
    ] {
        for row in cells(&document, heading) {
            let key = row[0].trim_matches('`');
            for variable in names(row[2]) {
                for program in programs {
                    assert_sets(program, &home, variable, key);
                    count += 1;
                }
                if programs.len() > 1 {
                    assert_sets("api-server", &home, &format!("API_{variable}"), key);
                }
            }
        }
    }
    assert!(count > 60, "{count}");
    assert_eq!(configured("api-server", &home, &[("PORT", "none")], "server.port"), None, "it is refused");
}

/// Returns the names of variables that a source text reads.
fn read_by(source: &str) -> BTreeSet<String> {
    let mut read = BTreeSet::new();
    let code = source.split("#[cfg(test)]\nmod ").next().unwrap();
    for marker in ["variable(\"", "env::var(\"", "env::var_os(\"", "env = \"", ".get(\"", "var(\""] {
        let texts = code.split(marker).skip(1).filter_map(|rest| rest.split('"').next());
        // The last two markers are also those of other maps, whose keys are not in capitals.
        read.extend(texts.filter(|text| names(&format!("`{text}`")) == [*text]).map(str::to_owned));
    }
    for list in code.split("env: &[").skip(1).filter_map(|rest| rest.split(']').next()) {
        read.extend(list.split('"').skip(1).step_by(2).map(str::to_owned));
    }
    read
}

fn sources(dir: &Path, read: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["tests", "target", "dashboard", "node_modules"].contains(&&*name) {
            sources(&path, read);
        } else if name.ends_with(".rs") && !["tests.rs", "build.rs"].contains(&&*name) {
            read.append(&mut read_by(&fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn each_variable_that_the_code_reads_is_in_the_documents() {
    // Those of the `.env` file of the Node.js version are in the second one.
    let documents = ["docs/configuration.md", "docs/from-the-original.md"];
    let document = documents.map(|path| fs::read_to_string(root().join(path)).unwrap()).concat();
    let mut read = BTreeSet::new();
    for dir in ["crates", "services"] {
        sources(&root().join(dir), &mut read);
    }
    assert!(["DATABASE_PATH", "AUTO_START", "API_TOKEN", "XDG_DATA_HOME"].iter().all(|name| read.contains(*name)));
    read.extend(FORWARDED.iter().map(|variable| variable.name.to_ascii_uppercase()));
    let missing: Vec<_> =
        read.iter().filter(|name| !FOREIGN.contains(&&***name) && !document.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn variables_are_found_in_sources() {
    let source = r#"
        variable("A_B"); std::env::var("C"); env::var_os("D"); #[arg(env = "E1")] map.get("key"); env.get("F")?;
        Setting { env: &["G", "H"] } env!("I")
        #[cfg(test)]
mod tests { variable("J") }"#;
    let expected = ["A_B", "C", "D", "E1", "F", "G", "H"].map(str::to_owned);
    assert_eq!(read_by(source), BTreeSet::from(expected));
}
