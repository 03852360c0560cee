use serde::Deserialize;
use toml::Table;

use super::layers::{DEFAULTS, load_from};
use super::*;
use crate::Spec;
use crate::args::CommonArgs;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    greeter: Greeter,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Greeter {
    greeting: String,
    patience: Duration,
    api_key: Option<String>,
}

const SPEC: Spec = Spec {
    name: "hello",
    default_port: 3001,
    defaults: "[greeter]\ngreeting = \"hello\"\npatience = \"1s\"\n",
    version: "0",
    env_prefix: Some("API_"),
    issues_keys: false,
};

/// A home directory whose `hello.toml` contains `file`.
struct Home(tempfile::TempDir);

impl Home {
    fn with(file: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        std::fs::write(home.path().join("hello.toml"), file).unwrap();
        home
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn load(&self, env: &Environment, args: CommonArgs, overlay: &str) -> Result<Loaded<Own>, Exit> {
        let data_dir = Some(self.path().to_str().unwrap().to_owned());
        load_from(&SPEC, &CommonArgs { data_dir, ..args }, overlay.parse().unwrap(), env)
    }

    fn plain(&self) -> Result<Loaded<Own>, Exit> {
        self.load(&Environment::empty(), CommonArgs::default(), "")
    }
}

fn args(change: impl FnOnce(&mut CommonArgs)) -> CommonArgs {
    let mut args = CommonArgs::default();
    change(&mut args);
    args
}

/// Returns the message and the exit code of an error.
fn refused(result: Result<Loaded<Own>, Exit>) -> (String, u8) {
    let exit = result.unwrap_err();
    (exit.to_string(), exit.code())
}

#[test]
fn the_defaults_apply_in_an_empty_home() {
    let home = Home::with("");
    let loaded = home.plain().unwrap();
    let server = &loaded.common.server;
    assert_eq!((server.host.as_str(), server.port), ("127.0.0.1", 3001));
    assert_eq!(server.drain_timeout, Duration::from_secs(10));
    assert!(server.idle_timeout >= Duration::from_secs(75));
    assert_eq!(loaded.common.log.level, LogLevel::Info);
    assert_eq!(loaded.common.data_dir, home.path());
    let path = home.path().join("signalbox.db").display().to_string().replace('\\', "/");
    // On Windows the path begins with a drive letter.
    let url = format!("sqlite://{}{path}", if cfg!(windows) { "/" } else { "" });
    assert_eq!(loaded.common.database.url.expose(), &url);
    assert_eq!(loaded.own.greeter.greeting, "hello");
}

#[test]
fn every_key_has_its_own_comment() {
    let home = Home::with("");
    let effective: Table = home.plain().unwrap().to_masked_toml().parse().unwrap();
    let mut keys = Vec::new();
    for (name, value) in effective.into_iter().filter(|(name, _)| name != "greeter") {
        match value {
            toml::Value::Table(section) => keys.extend(section.into_iter().map(|(key, _)| (Some(name.clone()), key))),
            _ => keys.push((None, name)),
        }
    }
    for (section, key) in keys {
        let header = section.map(|section| format!("[{section}]\n")).unwrap_or_default();
        let from_section = DEFAULTS.split_once(&header).unwrap().1;
        let lines: Vec<&str> = from_section.lines().collect();
        let at = lines.iter().position(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")));
        let at = at.unwrap_or_else(|| panic!("{key} is not in defaults.toml"));
        assert!(at > 0 && lines[at - 1].starts_with("# "), "{key} has no comment");
    }
}

#[test]
fn later_sources_take_precedence() {
    let home = Home::with("[server]\nport = 1\n");
    let port = |env: &Environment, args| home.load(env, args, "").unwrap().common.server.port;
    let none = Environment::empty();
    let env = Environment::from([("PORT", "2")]);
    let prefixed = Environment::from([("PORT", "2"), ("API_PORT", "3")]);
    assert_eq!(port(&none, CommonArgs::default()), 1);
    assert_eq!(port(&env, CommonArgs::default()), 2);
    assert_eq!(port(&prefixed, CommonArgs::default()), 3);
    assert_eq!(port(&prefixed, args(|args| args.port = Some("4".into()))), 4);
}

#[test]
fn an_overlay_sets_keys_of_the_service() {
    let home = Home::with("[greeter]\ngreeting = \"hi\"\npatience = \"2s\"\n");
    let loaded = home.load(&Environment::empty(), CommonArgs::default(), "[greeter]\ngreeting = \"hey\"").unwrap();
    assert_eq!(loaded.own.greeter.greeting, "hey");
    assert_eq!(loaded.own.greeter.patience, Duration::from_secs(2));
}

#[test]
fn an_unknown_key_is_refused_with_key_and_file() {
    for (file, key) in [
        ("prot = 1", "prot"),
        ("[server]\nprot = 1", "prot"),
        ("[sever]\nport = 1", "sever"),
        ("[greeter]\ngreting = \"x\"", "greting"),
    ] {
        let home = Home::with(file);
        let (message, code) = refused(home.plain());
        assert_eq!(code, 78, "{message}");
        let path = home.path().join("hello.toml");
        assert!(message.contains(key) && message.starts_with(path.to_str().unwrap()), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn an_invalid_value_in_the_file_names_the_file() {
    for (file, says) in [
        ("[server]\nport = 70000", "server.port"),
        ("[server]\nheader_timeout = 10", "server.header_timeout"),
        ("[server]\nheader_timeout = \"0s\"", "above zero"),
        ("[server]\nmax_connections = 0", "from 1 to"),
        ("[server]\nmax_header_bytes = \"1GiB\"", "from 1KiB"),
        ("[server]\nsend_buffer = \"1KiB\"", "from 4KiB"),
        ("[log]\nlevel = \"loud\"", "`warn`"),
        ("[database]\nurl = \"mysql://x\"", "sqlite:"),
        ("[database]\nurl = \"sqlite://x.db\"", "absolute path"),
        ("[database]\nurl = \"sqlite:x.db\"", "absolute path"),
        ("[auth]\nclient_keys = [\"\"]", "empty keys"),
        ("server = 1", "server"),
        ("[server\n", "line 1"),
    ] {
        let home = Home::with(file);
        let (message, code) = refused(home.plain());
        assert_eq!(code, 78, "{message}");
        assert!(message.contains("hello.toml") && message.contains(says), "{message}");
    }
}

#[test]
fn a_broken_line_with_a_secret_is_not_quoted() {
    let (message, _) = refused(Home::with("[auth]\nclient_keys = [\"canary\"").plain());
    assert!(!message.contains("canary"), "{message}");
}

#[test]
fn an_invalid_variable_is_named() {
    let home = Home::with("");
    for (name, value, takes) in [
        ("PORT", "abc", "0 to 65535, not `abc`"),
        ("API_PORT", "65536", "0 to 65535"),
        ("LOG_LEVEL", "loud", "error, warn, info, debug or trace"),
        ("LOG_FORMAT", "xml", "human or json"),
        ("INSECURE_NO_AUTH", "maybe", "true, false, 1 or 0"),
        ("DATABASE_URL", "mysql://canary@x", "sqlite:"),
        ("SIGNALBOX_CONFIG", "/dev/null/none.toml", "/dev/null/none.toml"),
    ] {
        let (message, code) = refused(home.load(&Environment::from([(name, value)]), CommonArgs::default(), ""));
        assert_eq!(code, 78, "{message}");
        assert!(message.contains(takes), "{message}");
        assert!(name == "SIGNALBOX_CONFIG" || message.starts_with(name), "{message}");
        assert!(!message.contains("canary"), "{message}");
    }
}

#[test]
fn an_invalid_flag_is_a_usage_error() {
    let home = Home::with("");
    let (message, code) = refused(home.load(&Environment::empty(), args(|args| args.port = Some("-1".into())), ""));
    assert_eq!((code, message.as_str()), (64, "--port takes a number from 0 to 65535, not `-1`"));
    let overlay = "[greeter]\npatience = \"soon\"";
    let (message, code) = refused(home.load(&Environment::empty(), CommonArgs::default(), overlay));
    assert!(code == 64 && message.contains("greeter.patience"), "{message}");
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let env = Environment::from([("HOST", ""), ("PORT", ""), ("CLIENT_KEYS", "")]);
    let loaded = Home::with("").load(&env, CommonArgs::default(), "").unwrap();
    assert_eq!(loaded.common.server.host, "127.0.0.1");
    assert!(loaded.common.auth.client_keys.is_empty());
}

#[test]
fn any_path_becomes_a_url_of_its_file() {
    let env = Environment::from([("DATABASE_PATH", "/a b/50%?#.db")]);
    let loaded = Home::with("").load(&env, CommonArgs::default(), "").unwrap();
    let url = loaded.common.database.url.expose();
    assert!(url.starts_with("sqlite:///") && url.ends_with("/a b/50%25%3F%23.db"), "{url}");
}

#[test]
fn two_database_settings_are_refused() {
    let home = Home::with("");
    let env = Environment::from([("DATABASE_URL", "postgres://h/d"), ("DB_PATH", "/x.db")]);
    let (message, code) = refused(home.load(&env, CommonArgs::default(), ""));
    assert_eq!(code, 78);
    assert!(message.starts_with("DATABASE_URL and DB_PATH contradict"), "{message}");
    let same = Environment::from([("DB_PATH", "/x.db"), ("DATABASE_PATH", "/x.db")]);
    assert!(home.load(&same, CommonArgs::default(), "").is_ok());
}

#[test]
fn client_keys_are_separated_by_commas() {
    let env = Environment::from([("CLIENT_KEYS", "sk-1, sk-2,")]);
    let loaded = Home::with("").load(&env, CommonArgs::default(), "").unwrap();
    let keys: Vec<&str> = loaded.common.auth.client_keys.iter().map(|key| key.expose().as_str()).collect();
    assert_eq!(keys, ["sk-1", "sk-2"]);
}

#[test]
fn printed_configuration_parses_back_without_secrets() {
    let home = Home::with("[auth]\nclient_keys = [\"canary\"]\n[greeter]\napi_key = \"canary\"\n");
    let loaded = home.plain().unwrap();
    assert_eq!(loaded.own.greeter.api_key.as_deref(), Some("canary"));
    let printed = loaded.to_masked_toml();
    assert!(!printed.contains("canary"), "{printed}");
    assert!(!format!("{:?}", loaded.common).contains("canary"));
    assert!(Home::with(&printed).plain().is_ok(), "{printed}");
}
