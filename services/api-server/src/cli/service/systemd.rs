//! systemd: for the whole machine if run by root, otherwise for this user.

use std::path::{Path, PathBuf};

use anyhow::ensure;

use super::{Machine, Plan, text_of, words};

const SYSTEM: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/systemd/signalbox.service"));
const USER: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/systemd/signalbox-user.service"));

/// Path of the executable in both files.
const PROGRAM: &str = "/usr/local/bin/api-server";

pub(super) fn install(machine: &Machine) -> anyhow::Result<Plan> {
    let program = quoted(text_of(&machine.program)?);
    let text = if machine.user_id == 0 {
        ensure!(
            !machine.data_dir_named,
            "the system service runs as its own user, with its data in /var/lib/signalbox; omit --data-dir"
        );
        // ProtectHome= hides these directories from the service.
        ensure!(
            !["/home", "/root", "/run/user"].iter().any(|hidden| machine.program.starts_with(hidden)),
            "{} is in a home directory, which the service cannot read. Copy the three programs to /usr/local/bin, and \
             run api-server from there",
            machine.program.display()
        );
        SYSTEM.replace(PROGRAM, &program)
    } else {
        let data_dir = match machine.data_dir_named {
            true => format!(" --data-dir {}", quoted(text_of(&machine.data_dir)?)),
            false => String::new(),
        };
        USER.replace(PROGRAM, &program).replace("--autostart true", &format!("--autostart true{data_dir}"))
    };
    Ok(Plan {
        file: file(machine),
        text: Some(text),
        after: vec![systemctl(machine, "daemon-reload"), systemctl(machine, "enable --now signalbox")],
        ..Plan::default()
    })
}

pub(super) fn uninstall(machine: &Machine) -> Plan {
    Plan {
        before: vec![systemctl(machine, "disable --now signalbox")],
        file: file(machine),
        text: None,
        after: vec![systemctl(machine, "daemon-reload")],
    }
}

fn file(machine: &Machine) -> PathBuf {
    if machine.user_id == 0 {
        Path::new("/etc/systemd/system/signalbox.service").to_owned()
    } else {
        machine.home.join(".config/systemd/user/signalbox.service")
    }
}

fn systemctl(machine: &Machine, rest: &str) -> Vec<String> {
    let user = if machine.user_id == 0 { "" } else { " --user" };
    words(&format!("systemctl{user} {rest}"))
}

/// Quotes a word for the command line of a unit, where `%` starts a specifier and `$` a variable.
fn quoted(word: &str) -> String {
    if word.chars().all(|char| char.is_ascii_alphanumeric() || "/._-+".contains(char)) {
        return word.to_owned();
    }
    let word = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{word}\"")
}

#[cfg(test)]
mod tests {
    use super::super::tests::machine;
    use super::*;

    #[test]
    fn a_user_unit_is_installed_for_a_normal_user() {
        let plan = install(&machine(1000)).unwrap();
        assert_eq!(plan.file, Path::new("/home/me/.config/systemd/user/signalbox.service"));
        let expected =
            r#"ExecStart="/opt/signal box/api-server" run --autostart true --data-dir "/home/me/100%% & <more>""#;
        assert!(plan.text.unwrap().lines().any(|line| line == expected));
        assert_eq!(plan.after[1].join(" "), "systemctl --user enable --now signalbox");
    }

    #[test]
    fn the_system_unit_uses_only_accessible_paths() {
        let root = Machine { data_dir_named: false, ..machine(0) };
        let plan = install(&root).unwrap();
        assert_eq!(plan.file, Path::new("/etc/systemd/system/signalbox.service"));
        assert!(plan.text.unwrap().contains("DynamicUser=yes"));
        assert!(install(&machine(0)).is_err(), "the data directory of the service is elsewhere");
        let hidden = Machine { program: "/home/me/api-server".into(), ..root };
        assert!(install(&hidden).unwrap_err().to_string().contains("/usr/local/bin"));
    }

    #[test]
    fn uninstall_removes_the_installed_files() {
        let plan = uninstall(&machine(1000));
        assert_eq!((plan.file, plan.text), (install(&machine(1000)).unwrap().file, None));
        assert_eq!(plan.before[0].join(" "), "systemctl --user disable --now signalbox");
    }
}
