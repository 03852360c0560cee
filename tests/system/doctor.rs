//! `provider-router doctor`, as users run it.

mod rest;

use serde_json::{Value, json};
use signalbox_core::schema::{KeyGrant, NewApiKey};
use signalbox_fakes::FakeProvider;
use signalbox_harness::{CommandLine, Home, Launch, Router, Typed};
use signalbox_store::{Store, api_keys};
use tokio::time::{Duration, timeout};

use crate::apis::{APIS, Api};

/// Key of the providers, which no output may show.
const KEY: &str = "sk-canary-0123456789";

/// An installation that is configured on the command line.
pub(crate) struct Installation {
    home: Home,
    shell: CommandLine,
    fake: FakeProvider,
}

// === impl Installation ===

impl Installation {
    /// Creates an installation with the providers `one` and `two`, which speak one API.
    pub(crate) async fn new(api: Api) -> Self {
        let home = Home::new();
        let shell = CommandLine::new(&home).env("MY_KEY", KEY);
        let this = Self { home, shell, fake: FakeProvider::start().await.unwrap() };
        let (url, apis) = (format!("baseURL={}", this.fake.url()), format!("apis={}", api.name()));
        for id in ["one", "two"] {
            let add = ["provider", "add", "--id", id, "--name", id, "--type", "openai-compatible"];
            let values =
                ["--config", &url, "--config", &apis, "--config", "streamUsage=ask", "--set-env", "apiKey=MY_KEY"];
            this.run(&[&add[..], &values[..]].concat()).await.expect(0);
        }
        // It does not run here.
        this.run(&["provider", "disable", "qwen-proxy-default"]).await.expect(0);
        this
    }

    /// Creates a route from a document.
    pub(crate) async fn route(&self, document: &Value) {
        let path = self.home.path().join("route.json");
        std::fs::write(&path, document.to_string()).unwrap();
        self.run(&["route", "set", path.to_str().unwrap()]).await.expect(0);
    }

    /// Runs a command. A trial of the routes takes up to a minute.
    pub(crate) async fn run(&self, words: &[&str]) -> Typed {
        let mut command = self.shell.command("provider-router", words);
        let ended = tokio::task::spawn_blocking(move || command.output());
        let output = timeout(Duration::from_secs(120), ended).await.unwrap().unwrap().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let typed = Typed { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) };
        assert!(!format!("{}{}", typed.stdout, typed.stderr).contains("canary"), "{}{}", typed.stdout, typed.stderr);
        typed
    }

    fn database(&self) -> String {
        format!("sqlite://{}", self.home.data().join("signalbox.db").display())
    }
}

/// The route for which Failover Bench has 16 passes.
pub(crate) fn best(model: &str) -> Value {
    json!({
        "model": model,
        "targets": [
            {"provider": "one", "model": "m-one", "context_tokens": 8192},
            {"provider": "two", "model": "m-two", "context_tokens": 1_000_000},
        ],
        "retries": 2,
        "deadlines": {"first_token_ms": 10_000, "idle_ms": 15_000},
        "resume": "verbatim",
    })
}

#[track_caller]
fn check<'a>(report: &'a Value, id: &str) -> &'a Value {
    let found = report["checks"].as_array().unwrap().iter().find(|check| check["id"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {report}"))
}

#[track_caller]
fn is(report: &Value, id: &str, state: &str) {
    let check = check(report, id);
    assert_eq!(check["state"], state, "{check}");
    let has_remedy = check["remedy"].is_string();
    assert_eq!(has_remedy, state == "warn" || state == "fail", "{check}");
}

#[tokio::test]
async fn a_directory_without_an_installation_is_left_as_it_is() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    let report = shell.provider_router(&["doctor", "--json"]).await.expect(0).json();
    is(&report, "database.version", "warn");
    is(&report, "data.key", "warn");
    is(&report, "data.directory", "ok");
    assert_eq!((&report["success"], &report["summary"]["fail"]), (&json!(true), &json!(0)), "{report}");
    assert_eq!(std::fs::read_dir(home.data()).unwrap().count(), 0);
    let played = shell.provider_router(&["doctor", "--against-fakes", "--json"]).await.expect(1).json();
    assert!(played["error"].as_str().unwrap().contains("there is no database of this program yet"), "{played}");
    assert_eq!(std::fs::read_dir(home.data()).unwrap().count(), 0);
}

#[tokio::test]
async fn usage_errors_have_a_code_of_their_own() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    for (words, told) in [
        (&["doctor", "--nope"][..], "--nope"),
        (&["doctor", "--route", "x"], "--against-fakes"),
        (&["doctor", "--offline", "--route", "x"], "--offline"),
        (&["doctor", "--offline", "--against-fakes"], "--offline"),
        (&["doctor", "extra"], "extra"),
    ] {
        let typed = shell.provider_router(words).await.expect(2);
        assert!(typed.stderr.contains(told) && typed.stdout.is_empty(), "{words:?}: {}", typed.stderr);
    }
    shell.provider_router(&["provider", "--nope"]).await.expect(64);
}

#[tokio::test]
async fn an_installation_is_examined() {
    let installation = Installation::new(Api::Chat).await;
    installation.fake.require_key(Some(KEY));
    installation.route(&best("good")).await;
    let report = installation.run(&["doctor", "--json"]).await.expect(0).json();
    for id in [
        "config.limits",
        "data.directory",
        "data.key",
        "database.version",
        "providers.enabled",
        "provider.one.config",
        "provider.one.key",
        "provider.one.dns",
        "provider.one.tcp",
        "provider.one.answer",
        "provider.two.answer",
        "route.good.targets",
        "route.good.reached",
    ] {
        is(&report, id, "ok");
    }
    is(&report, "provider.one.tls", "skipped");
    is(&report, "route.good.prices", "warn");
    // The fake lists its own models.
    is(&report, "route.good.models", "warn");
    let listed = installation.fake.list_calls().len();
    assert_eq!(listed, 2, "each provider is asked once");

    let text = installation.run(&["doctor"]).await.expect(0).stdout;
    assert!(text.contains("Each provider\n") && text.contains("  ok       provider.one.key"), "{text}");
    assert!(!text.contains('\x1b') && text.contains(" 0 failures, "), "{text}");

    let asked = installation.fake.list_calls().len();
    let offline = installation.run(&["doctor", "--offline", "--json"]).await.expect(0).json();
    is(&offline, "provider.one.connection", "skipped");
    assert_eq!((&offline["offline"], installation.fake.list_calls().len()), (&json!(true), asked));
}

#[tokio::test]
async fn what_is_wrong_is_found() {
    let installation = Installation::new(Api::Chat).await;
    installation.fake.require_key(Some("sk-another-key-0123456789"));
    installation.route(&best("half")).await;
    installation.route(&json!({"model": "one/*", "targets": [{"provider": "two", "model": "*"}]})).await;
    installation.route(&json!({"model": "dead", "targets": [{"provider": "two", "model": "m"}]})).await;
    let dead =
        ["--id", "gone", "--name", "gone", "--type", "openai-compatible", "--config", "baseURL=http://127.0.0.1:1"];
    installation.run(&[&["provider", "add"], &dead[..]].concat()).await.expect(0);
    installation.run(&["provider", "disable", "two"]).await.expect(0);
    let store = Store::open(&installation.database()).await.unwrap();
    let fields = signalbox_core::schema::ApiKeyFields {
        name: "ci".into(),
        grant: KeyGrant { models: Some(vec!["nothing-serves-this".into(), "half".into()]), ..KeyGrant::default() },
        expires_at: Some(1_000),
    };
    let new = NewApiKey { id: "k".into(), hint: "sbx-".into(), digest: "0".repeat(64), fields };
    api_keys::insert(&store, &new, 1).await.unwrap();
    store.close().await;

    let report = installation.run(&["doctor", "--json"]).await.expect(1).json();
    assert_eq!(report["success"], false);
    is(&report, "provider.one.answer", "fail");
    is(&report, "provider.gone.tcp", "fail");
    is(&report, "route.half.targets", "warn");
    is(&report, "route.dead.targets", "fail");
    is(&report, "route.one/*.reached", "fail");
    is(&report, "key.ci.expiry", "warn");
    let text = installation.run(&["doctor"]).await.expect(1).stdout;
    assert!(text.contains("  fail     provider.gone.tcp") && text.contains("           → "), "{text}");
}

#[tokio::test]
async fn a_newer_or_damaged_database_is_a_finding() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    std::fs::create_dir_all(home.data()).unwrap();
    std::fs::write(
        home.data().join("signalbox.db"),
        "not a database, but long enough to have a header of its own".repeat(20),
    )
    .unwrap();
    let report = shell.provider_router(&["doctor", "--json"]).await.expect(1).json();
    is(&report, "database.version", "fail");
    is(&report, "database.content", "skipped");
}

#[tokio::test]
async fn a_running_router_is_not_disturbed() {
    let installation = Installation::new(Api::Chat).await;
    let router = Router::start(Launch::default().home(&installation.home)).await;
    installation.route(&best("good")).await;
    installation.run(&["doctor", "--json"]).await.expect(0);
    assert_eq!(router.client.get("/health").await.expect(200).json()["status"], "ok");
}

/// Returns the scores of the only route of a scorecard.
#[track_caller]
fn scores(card: &Value) -> &Vec<Value> {
    assert_eq!(card["routes"].as_array().map(Vec::len), Some(1), "{card}");
    card["routes"][0]["scores"].as_array().unwrap()
}

#[track_caller]
fn score<'a>(card: &'a Value, id: &str) -> &'a Value {
    scores(card).iter().find(|score| score["id"] == id).unwrap_or_else(|| panic!("no {id} in {card}"))
}

#[tokio::test]
async fn the_best_route_passes_every_scene_in_front_of_every_api() {
    for api in APIS {
        let installation = Installation::new(api).await;
        installation.route(&best("good")).await;
        let before = std::fs::read(installation.home.data().join("signalbox.db")).unwrap();
        let typed = installation.run(&["doctor", "--against-fakes", "--json"]).await;
        let card = typed.json();
        let bad: Vec<&Value> = scores(&card).iter().filter(|score| score["verdict"] != "pass").collect();
        assert!(bad.is_empty(), "{api:?}: {}", serde_json::to_string_pretty(&bad).unwrap());
        assert_eq!((typed.code, scores(&card).len(), &card["summary"]["pass"]), (Some(0), 41, &json!(41)), "{api:?}");
        // Neither the providers nor the database of the installation are touched.
        assert!(installation.fake.calls().is_empty() && installation.fake.list_calls().is_empty(), "{api:?}");
        assert_eq!(std::fs::read(installation.home.data().join("signalbox.db")).unwrap(), before, "{api:?}");
    }
}

#[tokio::test]
async fn a_route_without_fallback_is_told_what_it_lacks() {
    let installation = Installation::new(Api::Chat).await;
    let lonely = json!({"model": "lonely-*", "policy": "latency", "targets": [{"provider": "one", "model": "m-*"}],
        "deadlines": {"headers_ms": 20_000}});
    installation.route(&best("other")).await;
    installation.route(&lonely).await;
    let run = ["doctor", "--against-fakes", "--json", "--route", "lonely-*"];
    let card = installation.run(&run).await.json();
    assert_eq!((&card["routes"][0]["route"], &card["routes"][0]["policy"]), (&json!("lonely-*"), &json!("latency")));
    for (id, verdict, remedy) in [
        ("S02", "partial", Some("second target")),
        ("S06", "partial", Some("second target")),
        ("S07", "partial", Some("first_token_ms")),
        ("S08", "partial", Some("resume")),
        ("S13", "pass", None),
        ("P01", "pass", None),
        ("P02", "pass", None),
        ("P22", "pass", None),
    ] {
        let score = score(&card, id);
        assert_eq!(score["verdict"], verdict, "{score}");
        match remedy {
            Some(remedy) => assert!(score["remedy"].as_str().unwrap().contains(remedy), "{score}"),
            None => assert!(score["remedy"].is_null(), "{score}"),
        }
    }
    let unknown =
        installation.run(&["doctor", "--against-fakes", "--json", "--route", "nothing"]).await.expect(1).json();
    let told = unknown["error"].as_str().unwrap();
    assert!(told.contains("nothing") && told.contains("lonely-*, other"), "{told}");
}

#[tokio::test]
async fn without_routes_the_implied_one_is_played() {
    let installation = Installation::new(Api::Messages).await;
    let text = installation.run(&["doctor", "--against-fakes"]).await.stdout;
    assert!(text.contains("implied)") && text.contains("  pass     P22  leaked key"), "{text}");
    assert!(text.lines().any(|line| line.contains(" passed, ")), "{text}");
}
