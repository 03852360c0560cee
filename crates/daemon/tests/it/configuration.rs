use std::net::TcpListener;

use crate::program::{Program, get};

#[test]
fn a_flag_overrides_the_file() {
    let greeting = |program: Program| {
        let running = program.start();
        get(&mut running.connect(), "/hello", "!")
    };
    let file = || Program::new().file("[hello]\ngreeting = \"from the file!\"\n");
    assert!(greeting(file()).ends_with("from the file!"));
    assert!(greeting(file().arg("--greeting=from a flag!")).ends_with("from a flag!"));
}

#[test]
fn the_prefixed_variable_overrides_the_plain_one_and_the_flag_overrides_both() {
    let program = || Program::new().env("HOST", "192.0.2.1").env("HELLO_HOST", "127.0.0.1");
    let running = program().start();
    assert!(running.status.starts_with("Server listening on http://127.0.0.1:"), "{}", running.status);
    drop(running);
    let printed = program().arg("--host=::1").arg("--print-config").end();
    assert!(printed.stdout.contains("host = \"::1\""), "{}", printed.stdout);
}

#[test]
fn an_unknown_key_exits_with_78_and_names_key_and_file() {
    let program = Program::new().file("[server]\nprot = 1\n");
    let file = program.home().join("hello.toml");
    let ended = program.end();
    assert_eq!(ended.code, Some(78));
    assert!(ended.stderr.starts_with(&format!("hello: {}: ", file.display())), "{}", ended.stderr);
    assert!(ended.stderr.contains("`prot`"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

#[test]
fn an_explicit_file_is_read_and_must_exist() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.toml");
    let program = |file: &std::path::Path| Program::new().env("SIGNALBOX_CONFIG", file).arg("--print-config");
    assert_eq!(program(&file).end().code, Some(78));
    std::fs::write(&file, "[log]\nlevel = \"debug\"\n").unwrap();
    assert!(program(&file).end().stdout.contains("level = \"debug\""));
}

#[test]
fn print_config_shows_everything_but_secrets_without_side_effects() {
    let program = Program::new()
        .env("CLIENT_KEYS", "sk-canary")
        .env("DATABASE_URL", "postgres://me:canary@db/signalbox")
        .env("DATA_DIR", "/nowhere/at/all")
        .arg("--print-config");
    let home = program.home().to_owned();
    let ended = program.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stdout.contains("canary"), "{}", ended.stdout);
    let printed: toml::Table = ended.stdout.parse().unwrap();
    assert_eq!(printed["server"]["port"].as_integer(), Some(3999));
    assert_eq!(printed["hello"]["greeting"].as_str(), Some("hello"));
    assert_eq!(printed["data_dir"].as_str(), home.to_str());
    assert_eq!(printed["database"]["url"].as_str(), Some("postgres://me:***MASKED***@db/signalbox"));
}

#[test]
fn usage_errors_exit_with_64() {
    let bad_port = Program::new().arg("--port=abc").end();
    assert_eq!(bad_port.code, Some(64));
    assert_eq!(bad_port.stderr, "hello: --port takes a number from 0 to 65535, not `abc`\n");
    let unknown = Program::new().arg("--prot=1").end();
    assert_eq!(unknown.code, Some(64), "{}", unknown.stderr);
    let help = Program::new().arg("--help").end();
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.starts_with("Greets, streams and fails on request"), "{}", help.stdout);
}

#[test]
fn an_invalid_variable_exits_with_78() {
    let ended = Program::new().env("PORT", "abc").end();
    assert_eq!(ended.code, Some(78));
    assert_eq!(ended.stderr, "hello: PORT takes a number from 0 to 65535, not `abc`\n");
}

#[test]
fn a_data_directory_that_cannot_be_created_exits_with_73_and_its_path() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let program = Program::new().file(&format!("data_dir = \"{}/data\"\n", file.path().display()));
    // Without the flag, which would override the file.
    let config = program.home().join("hello.toml");
    let ended = Program::bare().arg("--config").arg(config).env("HOME", program.home()).end();
    assert_eq!(ended.code, Some(73), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("{}/data", file.path().display())), "{}", ended.stderr);
}

#[test]
fn a_held_port_exits_with_98_and_its_holder() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let ended = Program::new().env("PORT", port.to_string()).end();
    assert_eq!(ended.code, Some(98));
    let says = format!("address already in use: port {port} is held by");
    assert!(ended.stderr.contains(&says), "{}", ended.stderr);
    if cfg!(target_os = "linux") {
        assert!(ended.stderr.contains(&format!("(pid {})", std::process::id())), "{}", ended.stderr);
    }
}

#[test]
fn listening_beyond_loopback_requires_a_key_or_an_explicit_flag() {
    let ended = Program::new().arg("--host=0.0.0.0").arg("--port=0").end();
    assert_eq!(ended.code, Some(78));
    assert!(ended.stderr.contains("--insecure-no-auth"), "{}", ended.stderr);

    let keyed = Program::new().arg("--host=0.0.0.0").env("CLIENT_KEYS", "sk-1").start();
    get(&mut keyed.connect(), "/hello", "hello");
    let mut insecure = Program::new().arg("--host=0.0.0.0").arg("--insecure-no-auth").start();
    insecure.wait_for_log("no client key is required");
}

#[test]
fn a_closed_pipe_does_not_fail_print_config() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let home = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(crate::program::executable());
    command.arg("--print-config").arg("--data-dir").arg(home.path());
    let child = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn json_logs_are_json() {
    let running = Program::new().env("LOG_FORMAT", "json").start();
    running.signal(nix::sys::signal::Signal::SIGTERM);
    let ended = running.ended();
    let lines: Vec<serde_json::Value> =
        ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    assert!(lines.iter().any(|line| line["message"] == "draining" && line["signal"] == "SIGTERM"), "{}", ended.stderr);
}
