//! NSSM: api-server as a Windows service.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};

use super::{Machine, Plan, text_of, words};

const INSTALL: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/nssm/install.cmd"));

/// Lines of the file that set the directories.
const PROGRAMS: &str = r#"if not defined BIN set "BIN=%ProgramFiles%\Signalbox""#;
const DATA: &str = r#"if not defined DATA set "DATA=%ProgramData%\Signalbox""#;

/// Name of the service in the file.
const SERVICE: &str = "api-server";

pub(super) fn install(machine: &Machine) -> anyhow::Result<Plan> {
    ensure!(
        cfg!(windows) || machine.dry_run,
        "NSSM is available on Windows only, where deploy/nssm/install.cmd installs the service. Use systemd, launchd \
         or pm2 here, or --dry-run to print the files"
    );
    let programs = machine.program.parent().context("the executable has no parent directory")?;
    let text = INSTALL
        .replace(PROGRAMS, &format!("set \"BIN={}\"", escaped(text_of(programs)?)?))
        .replace(DATA, &format!("set \"DATA={}\"", escaped(text_of(&machine.data_dir)?)?))
        // Batch files need CRLF line ends.
        .replace('\n', "\r\n");
    let file = file(machine);
    let mut run = words("cmd /c");
    run.push(text_of(&file)?.to_owned());
    Ok(Plan { file, text: Some(text), after: vec![run], ..Plan::default() })
}

pub(super) fn uninstall(machine: &Machine) -> anyhow::Result<Plan> {
    ensure!(
        cfg!(windows) || machine.dry_run,
        "NSSM is available on Windows only, where deploy/nssm/uninstall.cmd removes the service. Use systemd, launchd \
         or pm2 here"
    );
    let before = vec![words(&format!("nssm stop {SERVICE}")), words(&format!("nssm remove {SERVICE} confirm"))];
    Ok(Plan { before, file: file(machine), ..Plan::default() })
}

fn file(machine: &Machine) -> PathBuf {
    machine.data_dir.join("nssm-install.cmd")
}

/// Escapes a path for use between quotes in a batch file.
fn escaped(path: &str) -> anyhow::Result<String> {
    ensure!(!path.contains('"'), "the path contains a quote and cannot be used in a batch file: {path}");
    Ok(path.replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::tests::machine;
    use super::*;

    #[test]
    fn the_batch_file_uses_the_configured_paths() {
        let dry = Machine { dry_run: true, ..machine(0) };
        let plan = install(&dry).unwrap();
        assert_eq!(plan.after, [["cmd", "/c", "/home/me/100% & <more>/nssm-install.cmd"]]);
        let text = plan.text.unwrap();
        assert!(text.contains("\r\nset \"BIN=/opt/signal box\"\r\n"), "{text}");
        assert!(text.contains("\r\nset \"DATA=/home/me/100%% & <more>\"\r\n"), "{text}");
        assert!(!text.contains("ProgramFiles") && !text.contains("ProgramData"), "{text}");
        let odd = Machine { data_dir: "/a\"b".into(), ..dry.clone() };
        assert!(install(&odd).unwrap_err().to_string().contains("a quote"));

        let gone = uninstall(&dry).unwrap();
        assert_eq!(gone.file, Path::new("/home/me/100% & <more>/nssm-install.cmd"));
        let lines: Vec<String> = gone.before.iter().map(|words| words.join(" ")).collect();
        assert_eq!(lines, ["nssm stop api-server", "nssm remove api-server confirm"]);
    }

    #[cfg(not(windows))]
    #[test]
    fn nssm_is_rejected_outside_windows() {
        for refused in [install(&machine(0)), uninstall(&machine(0))] {
            assert!(refused.unwrap_err().to_string().starts_with("NSSM is available on Windows only"));
        }
    }
}
