//! PM2: an app of this user. Starting PM2 itself at boot needs its own command, `pm2 startup`.

use anyhow::Context as _;
use std::path::PathBuf;

use super::{Machine, Plan, text_of, words};

const ECOSYSTEM: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/pm2/ecosystem.config.js"));

/// Line of the file that locates the programs.
const SEARCH: &str =
    "const program = (name) => (process.env.SIGNALBOX_BIN ? path.join(process.env.SIGNALBOX_BIN, name) : name);";

/// Arguments of api-server in the file.
const ARGUMENTS: &str = "['run', '--autostart', 'true']";

pub(super) fn install(machine: &Machine) -> anyhow::Result<Plan> {
    let programs = machine.program.parent().context("the executable has no parent directory")?;
    let data_dir = serde_json::to_string(text_of(&machine.data_dir)?)?;
    let programs = serde_json::to_string(text_of(programs)?)?;
    let text = ECOSYSTEM
        .replace(SEARCH, &format!("const program = (name) => path.join({programs}, name);"))
        .replace(ARGUMENTS, &format!("['run', '--autostart', 'true', '--data-dir', {data_dir}]"));
    let file = file(machine);
    let mut start = words("pm2 start");
    start.push(text_of(&file)?.to_owned());
    Ok(Plan { file, text: Some(text), after: vec![start, words("pm2 save")], ..Plan::default() })
}

pub(super) fn uninstall(machine: &Machine) -> Plan {
    Plan {
        before: vec![words("pm2 delete signalbox"), words("pm2 save --force")],
        file: file(machine),
        ..Plan::default()
    }
}

fn file(machine: &Machine) -> PathBuf {
    machine.data_dir.join("ecosystem.config.js")
}

#[cfg(test)]
mod tests {
    use super::super::tests::machine;
    use super::*;

    #[test]
    fn the_app_uses_the_configured_paths() {
        let text = install(&machine(1000)).unwrap().text.unwrap();
        assert!(text.contains(r#"const program = (name) => path.join("/opt/signal box", name);"#), "{text}");
        assert!(text.contains(r#"['run', '--autostart', 'true', '--data-dir', "/home/me/100% & <more>"]"#), "{text}");
    }
}
