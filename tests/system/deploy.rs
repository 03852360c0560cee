//! The files of `deploy/`, checked with the tools they are written for.

mod pm2;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use signalbox_harness::{CommandLine, Home};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// Returns a tool if it is installed; in CI it is required.
fn tool(path: PathBuf, remedy: &str) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing: {remedy}", path.display());
    writeln!(std::io::stderr().lock(), "SKIPPED: {} is missing: {remedy}", path.display()).unwrap();
    None
}

fn installed(name: &str) -> Option<PathBuf> {
    tool(tools().join(name), "run tests/deploy/install")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Reads a file of `deploy/`.
fn read(file: &str) -> String {
    fs::read_to_string(deploy().join(file)).unwrap()
}

/// Returns the complaints of `systemd-analyze verify`, without those about settings that older versions do not know.
fn complaints(units: &[(&str, String)]) -> Option<Vec<String>> {
    let analyze = tool("/usr/bin/systemd-analyze".into(), "install systemd")?;
    let home = Home::new();
    let runtime = home.path().join("runtime");
    fs::create_dir(&runtime).unwrap();
    let mut command = Command::new(analyze);
    command.args(["verify", "--man=no", "--recursive-errors=no"]).env("XDG_RUNTIME_DIR", runtime);
    for (name, unit) in units {
        let file = home.path().join(name);
        // The programs are not installed here, so any existing program takes their place.
        let unit = unit
            .replace("/usr/local/bin/api-server", "/bin/true")
            .replace("/usr/local/bin/provider-router", "/bin/true");
        fs::write(&file, unit).unwrap();
        command.arg(file);
    }
    let said = text(&command.output().unwrap());
    let newer = ["'RestartSteps'", "'RestartMaxDelaySec'"];
    Some(said.lines().filter(|line| !newer.iter().any(|key| line.contains(key))).map(str::to_owned).collect())
}

#[test]
fn systemd_accepts_the_units() {
    let unit = |name: &'static str| (name, read(&format!("systemd/{name}")));
    let units = [unit("signalbox.service"), unit("signalbox-router.service"), unit("signalbox-router.socket")];
    let Some(said) = complaints(&units) else { return };
    assert_eq!(said, [""; 0]);
    let user = [("signalbox.service", read("systemd/signalbox-user.service"))];
    assert_eq!(complaints(&user).unwrap(), [""; 0]);
    let broken = [("signalbox.service", read("systemd/signalbox.service").replace("KillMode=mixed", "KillMode=maybe"))];
    assert!(!complaints(&broken).unwrap().is_empty(), "the tool detects an invalid file");
}

#[tokio::test]
async fn systemd_accepts_the_installed_units() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    let dry = shell.api_server(&["service", "install", "--manager", "systemd", "--dry-run", "--json"]).await;
    if nix::unistd::geteuid().is_root() && dry.code == Some(1) {
        // The checkout is in a home directory, which a system service cannot access.
        assert!(dry.json()["error"].as_str().unwrap().contains("/usr/local/bin"), "{}", dry.stdout);
        return;
    }
    let plan = dry.expect(0).json();
    let unit = plan["text"].as_str().unwrap().to_owned();
    let program = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    assert!(program.contains("api-server run --autostart true"), "{program}");
    assert!(plan["commands"].to_string().contains("enable --now signalbox"), "{plan}");
    assert!(!Path::new(plan["file"].as_str().unwrap()).exists(), "a dry run writes nothing");
    let Some(said) = complaints(&[("signalbox.service", unit)]) else { return };
    assert_eq!(said, [""; 0]);
}

#[tokio::test]
async fn the_launchd_plist_is_valid() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    let plan =
        shell.api_server(&["service", "install", "--manager", "launchd", "--dry-run", "--json"]).await.expect(0).json();
    let Some(python) = tool("/usr/bin/python3".into(), "install Python") else { return };
    let script = "import plistlib,sys,json; print(json.dumps(plistlib.load(open(sys.argv[1],'rb'))))";
    for text in [read("launchd/signalbox.plist"), plan["text"].as_str().unwrap().to_owned()] {
        let file = home.path().join("signalbox.plist");
        fs::write(&file, text).unwrap();
        let output = Command::new(&python).args(["-c", script]).arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", self::text(&output));
        let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&list["Label"], &list["RunAtLoad"]), (&"signalbox".into(), &true.into()));
        assert_eq!(list["ProgramArguments"][1], "run");
        assert!(list["ExitTimeOut"].as_u64().unwrap() >= 12 + 5, "the children need their grace period");
    }
}

/// Splits a line of a batch file into words.
fn batch_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    assert!(!quoted, "an open quote: {line}");
    words
}

#[tokio::test]
async fn nssm_scripts_use_only_known_options_and_run_only_on_windows() {
    // From the documentation of NSSM.
    const PARAMETERS: [&str; 10] = [
        "AppEnvironmentExtra",
        "AppDirectory",
        "AppStderr",
        "AppRotateFiles",
        "AppRotateOnline",
        "AppRotateBytes",
        "AppStopMethodConsole",
        "AppExit",
        "AppRestartDelay",
        "Start",
    ];
    let home = Home::new();
    let shell = CommandLine::new(&home);
    let type_in = async |line: &str| shell.api_server(&line.split(' ').collect::<Vec<_>>()).await;
    let plan = type_in("service install --manager nssm --dry-run --json").await.expect(0).json();
    for file in [read("nssm/install.cmd"), plan["text"].as_str().unwrap().to_owned()] {
        let lines = file.lines().filter(|line| !line.starts_with("rem "));
        let calls = lines.filter_map(|line| Some(line.split_once("nssm ")?.1.split(" ||").next().unwrap()));
        let commands: Vec<Vec<String>> = calls.map(batch_words).collect();
        assert_eq!(commands.first().unwrap()[..2], ["install", "%1"]);
        assert_eq!(commands.last().unwrap()[..], ["start", "%1"]);
        let set: Vec<&str> = commands
            .iter()
            .filter(|command| command[0] == "set")
            .map(|command| {
                assert!(command[1] == "%1" && command.len() >= 4, "{command:?}");
                command[2].as_str()
            })
            .collect();
        assert_eq!(set.len() + 2, commands.len(), "{commands:?}");
        assert!(set.iter().all(|parameter| PARAMETERS.contains(parameter)), "{set:?}");
        assert!(PARAMETERS.iter().all(|parameter| set.contains(parameter)), "{set:?}");
    }
    assert!(plan["text"].as_str().unwrap().contains(&format!("set \"DATA={}\"\r\n", home.data().display())), "{plan}");
    for action in ["install", "uninstall"] {
        let refused = type_in(&format!("service {action} --manager nssm")).await.expect(1);
        assert!(refused.stderr.contains("NSSM is available on Windows only"), "{}", refused.stderr);
        assert!(!home.data().join("nssm-install.cmd").exists());
    }
}

#[test]
fn kubernetes_accepts_the_objects() {
    let Some(validate) = installed(".venv/bin/kubernetes-validate") else { return };
    let check = |file: &Path| Command::new(&validate).arg("--strict").arg(file).output().unwrap();
    for (file, kinds) in [
        ("single.yaml", &["PersistentVolumeClaim", "Deployment", "Service"][..]),
        ("replicated.yaml", &["Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"]),
    ] {
        let output = check(&deploy().join("kubernetes").join(file));
        assert!(output.status.success(), "{file}: {}", text(&output));
        let yaml = read(&format!("kubernetes/{file}"));
        for kind in kinds {
            assert!(yaml.contains(&format!("\nkind: {kind}\n")), "{file} has no {kind}");
        }
    }
    let home = Home::new();
    let broken = home.path().join("broken.yaml");
    fs::write(&broken, read("kubernetes/single.yaml").replace("readinessProbe", "probe")).unwrap();
    assert!(!check(&broken).status.success(), "the tool detects an invalid file");
}

#[test]
fn the_dockerfile_passes_hadolint() {
    let Some(hadolint) = installed(".venv/bin/hadolint") else { return };
    let output = Command::new(hadolint).arg(deploy().join("docker/Dockerfile")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}
