//! launchd: an agent of this user.

use std::path::PathBuf;

use super::{Machine, Plan, text_of, words};

const AGENT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/launchd/signalbox.plist"));

pub(super) fn install(machine: &Machine) -> anyhow::Result<Plan> {
    let log = machine.data_dir.join("logs").join("api-server.log");
    let arguments = match machine.data_dir_named {
        true => format!(
            "<string>true</string>\n\t\t<string>--data-dir</string>\n\t\t<string>{}</string>",
            escaped(text_of(&machine.data_dir)?)
        ),
        false => "<string>true</string>".to_owned(),
    };
    let text = AGENT
        .replace("/usr/local/bin/api-server", &escaped(text_of(&machine.program)?))
        .replace("/usr/local/var/log/signalbox.log", &escaped(text_of(&log)?))
        .replace("<string>true</string>", &arguments);
    let file = file(machine);
    let mut bootstrap = words(&format!("launchctl bootstrap gui/{}", machine.user_id));
    bootstrap.push(text_of(&file)?.to_owned());
    Ok(Plan { file, text: Some(text), after: vec![bootstrap], ..Plan::default() })
}

pub(super) fn uninstall(machine: &Machine) -> Plan {
    let bootout = words(&format!("launchctl bootout gui/{}/signalbox", machine.user_id));
    Plan { before: vec![bootout], file: file(machine), ..Plan::default() }
}

fn file(machine: &Machine) -> PathBuf {
    machine.home.join("Library/LaunchAgents/signalbox.plist")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::tests::machine;
    use super::*;

    #[test]
    fn the_agent_uses_the_configured_paths() {
        let plan = install(&machine(501)).unwrap();
        assert_eq!(plan.file, Path::new("/home/me/Library/LaunchAgents/signalbox.plist"));
        let text = plan.text.unwrap();
        assert!(text.contains("<string>/opt/signal box/api-server</string>"));
        assert!(text.contains("<string>/home/me/100% &amp; &lt;more&gt;</string>"));
        assert!(text.contains("<string>/home/me/100% &amp; &lt;more&gt;/logs/api-server.log</string>"));
        assert!(!text.contains("/usr/local"));
        assert_eq!(uninstall(&machine(501)).before[0].join(" "), "launchctl bootout gui/501/signalbox");
    }
}
