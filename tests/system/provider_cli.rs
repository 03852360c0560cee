//! The commands of the provider CLI, as users run them, with and without a running router.

mod catalogue;
mod migrate;
mod terminal;

use serde_json::{Value, json};
use signalbox_daemon::sealing_key;
use signalbox_fakes::FakeProvider;
use signalbox_harness::{CommandLine, Home, Launch, Router, Typed, eventually};
use signalbox_store::{Page, Sealer, Store, provider_configs, providers};

use crate::gateway::{CHAT, chat};

const KEY: &str = "sk-canary-0123456789";

/// Returns the stored provider and its decrypted configuration.
pub(crate) async fn stored(home: &Home, id: &str) -> Option<(Value, Value)> {
    let store = Store::open(&format!("sqlite://{}", home.data().join("signalbox.db").display())).await.unwrap();
    let sealer = Sealer::new(&sealing_key(&home.data()).unwrap());
    let row = providers::get(&store, id).await.ok();
    let rows = provider_configs::list(&store, id).await.unwrap();
    store.close().await;
    let config = rows.iter().map(|row| (row.key.clone(), provider_configs::json(&sealer, row).unwrap()));
    let config = config.collect::<serde_json::Map<_, _>>().into();
    row.map(|row| (json!(row), config))
}

/// Asserts that the output does not contain the key.
#[track_caller]
pub(crate) fn discreet(typed: Typed) -> Typed {
    assert!(!typed.stdout.contains("canary") && !typed.stderr.contains("canary"), "{}{}", typed.stdout, typed.stderr);
    typed
}

#[tokio::test]
async fn the_transcript_of_the_provider_cli_is_stable() {
    let home = Home::new();
    let fake = FakeProvider::start().await.unwrap();
    let shell = CommandLine::new(&home).env("MY_KEY", KEY);
    let words = async |words: &[&str]| discreet(shell.provider_router(words).await);
    let type_in = async |line: &str| words(&line.split(' ').collect::<Vec<_>>()).await;

    let listed = type_in("provider list").await.expect(0);
    assert!(listed.stdout.starts_with("Providers (3 total):\n┌"), "{}", listed.stdout);
    assert!(listed.stdout.contains("│ qwen-proxy-default ") && listed.stdout.contains("http://127.0.0.1:3000"));

    let url = format!("baseURL={}", fake.url());
    let add = ["provider", "add", "--id", "mine", "--name", "My own", "--type", "openai", "--priority", "7"];
    let values = ["--config", &url, "--config", "timeout=5000", "--set-env", "apiKey=MY_KEY"];
    let added = words(&[&add[..], &values[..]].concat()).await.expect(0);
    assert!(
        added.stdout.starts_with("Provider created successfully!\nIt is now the active provider"),
        "{}",
        added.stdout
    );
    let (row, config) = stored(&home, "mine").await.unwrap();
    assert_eq!((&row["name"], &row["priority"], &row["enabled"]), (&json!("My own"), &json!(7), &json!(true)));
    assert_eq!(config, json!({"baseURL": fake.url(), "timeout": 5000, "apiKey": KEY}));

    let tested = type_in("provider test mine").await.expect(0);
    assert!(tested.stdout.starts_with("Connection test successful!\nResponse time: "), "{}", tested.stdout);
    let tested = type_in("test mine").await.expect(0);
    assert_eq!(tested.after("Testing provider: "), "mine");
    assert!(tested.stdout.contains("✓ Health check passed") && tested.after("Response time: ").ends_with("ms"));

    assert_eq!(type_in("status").await.expect(0).after("Name:         "), "mine");
    type_in("set echo").await.expect(0);
    let set = type_in("set mine").await.expect(0);
    assert!(set.stdout.starts_with("Provider successfully changed:\n  From: echo\n  To:   mine"), "{}", set.stdout);
    assert!(type_in("set mine").await.expect(0).stdout.contains("Provider is already set to: mine"));
    let status = type_in("status").await.expect(0);
    assert!(status.stdout.contains("║ Provider Status ║"), "{}", status.stdout);
    assert_eq!((status.after("Name:         "), status.after("Status:       ")), ("mine", "Active"));
    assert_eq!(status.after("Base URL:     "), fake.url());
    for list in ["list", "ls"] {
        assert!(type_in(list).await.expect(0).stdout.contains("│ ✓      │ mine "));
    }

    assert!(type_in("provider disable mine").await.expect(0).stdout.contains("Provider disabled successfully!"));
    assert!(type_in("provider disable mine").await.expect(0).stdout.contains("disabled already"));
    assert_eq!(type_in("status").await.expect(0).after("Status:       "), "Disabled");
    assert!(!type_in("provider list --enabled").await.expect(0).stdout.contains("mine"));
    assert!(type_in("provider enable mine").await.expect(0).stdout.contains("Provider enabled successfully!"));

    let edited = type_in("provider edit mine --name Renamed --config timeout=6000").await.expect(0);
    assert!(edited.stdout.contains("Provider updated successfully!"));
    let (row, config) = stored(&home, "mine").await.unwrap();
    assert_eq!((&row["name"], &row["priority"]), (&json!("Renamed"), &json!(7)));
    assert_eq!(config, json!({"baseURL": fake.url(), "timeout": 6000, "apiKey": KEY}));
    type_in("provider edit mine --unset timeout").await.expect(0);
    assert_eq!(stored(&home, "mine").await.unwrap().1, json!({"baseURL": fake.url(), "apiKey": KEY}));

    let added = type_in("model add --id gpt/5 --capabilities chat,vision").await.expect(0);
    assert!(added.stdout.starts_with("Model created successfully!"), "{}", added.stdout);
    let linked = type_in("model link mine gpt/5 --default --upstream-model gpt-5").await.expect(0);
    assert!(linked.stdout.starts_with("Model linked successfully!"));
    assert!(type_in("model link mine gpt/5").await.expect(0).stdout.contains("already"));
    assert!(type_in("model list -c vision").await.expect(0).stdout.contains("│ gpt/5 │ gpt/5 │ chat, vision │ mine "));
    assert!(type_in("model unlink mine gpt/5").await.expect(0).stdout.starts_with("Model unlinked successfully!"));

    assert!(type_in("history").await.expect(0).stdout.starts_with("No request history found"));
    assert!(type_in("stats").await.expect(0).stdout.starts_with("No statistics available yet"));
    let store = Store::open(&format!("sqlite://{}", home.data().join("signalbox.db").display())).await.unwrap();
    let audit = signalbox_store::audit::list(&store, &Default::default(), Page { limit: 1, offset: 0 }).await.unwrap();
    store.close().await;
    assert!(audit.items[0].actor.as_deref().is_some_and(|actor| actor.starts_with("cli:")), "{audit:?}");
    let removed = type_in("provider remove mine --yes").await.expect(0);
    assert!(removed.stdout.starts_with("Provider removed successfully!"), "{}", removed.stdout);
    assert!(stored(&home, "mine").await.is_none());
    assert_eq!(type_in("status").await.expect(0).after("Status:       "), "Not Found");
}

#[tokio::test]
async fn invalid_arguments_are_reported_and_change_nothing() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    for (line, code, told) in [
        ("set missing", 1, "Error: Provider not found: missing. Existing providers: "),
        ("test missing", 1, "Provider not found"),
        ("provider add", 1, "--id"),
        ("provider add --id x", 1, "--type"),
        ("provider add --id X --type openai", 1, "lowercase"),
        ("provider add --id echo --type echo", 1, "already"),
        ("provider add --id x --type echo --name Echo", 1, "another --name"),
        ("provider add --id x --type openai", 1, "--set-env apiKey=VARIABLE"),
        ("provider add --id x --type openai --set-env apiKey=NOT_SET", 1, "NOT_SET is not set"),
        ("provider add --id x --type openai --set-file apiKey=/nonexistent", 1, "/nonexistent"),
        ("provider add --id x --type mine --set baseURL=ftp://x", 1, "baseURL"),
        ("provider add --id x --type mine --set baseURL=http://169.254.169.254", 1, "baseURL"),
        ("provider add --id x --type lm-studio --config timeout=soon", 1, "whole number"),
        ("provider add --id x --type lm-studio --priority high", 64, "high"),
        ("provider edit echo", 1, "--name"),
        ("provider edit echo --name", 64, "--name"),
        ("provider edit echo --config nothing.toml --name x", 78, "nothing.toml"),
        ("provider edit echo --unset nothing", 1, "nothing"),
        ("provider edit echo --type openai", 1, "apiKey"),
        ("provider edit missing --name x", 1, "Provider not found"),
        ("provider remove echo", 1, "--yes"),
        ("provider remove missing --yes", 1, "Provider not found"),
        ("provider enable missing", 1, "Provider not found"),
        ("model add", 1, "--id"),
        ("model add --id a..b", 1, "letters"),
        ("model add --id echo", 1, "already"),
        ("model add --id new --provider missing", 1, "Provider not found"),
        ("model link echo nothing", 1, "Model not found"),
        ("model unlink echo qwen3-max", 1, "not linked"),
        ("history --limit 0", 64, "1..=1000"),
        ("migrate --env-file /nonexistent", 1, "/nonexistent"),
        ("fly", 64, "fly"),
        ("list --db-path /dev/null/no", 1, "the database cannot be used"),
    ] {
        let typed = shell.provider_router(&line.split(' ').collect::<Vec<_>>()).await.expect(code);
        assert!(typed.stderr.contains(told), "{line}: {}", typed.stderr);
    }
    assert!(stored(&home, "x").await.is_none());
    assert_eq!(stored(&home, "echo").await.unwrap().0["name"], "Echo");
    let models = shell.provider_router(&["model", "list", "--json"]).await.expect(0).json();
    assert_eq!(models["total"], 2);
}

#[tokio::test]
async fn json_output_has_the_same_facts() {
    let home = Home::new();
    let shell = CommandLine::new(&home).env("MY_KEY", KEY);
    let json = async |line: &str, code: i32| {
        discreet(shell.provider_router(&line.split(' ').collect::<Vec<_>>()).await.expect(code)).json()
    };
    let added = json("provider --json add --id mine --type openai --set-env apiKey=MY_KEY --disabled", 0).await;
    assert_eq!((&added["success"], &added["created"], &added["enabled"]), (&json!(true), &json!(true), &json!(false)));
    let listed = json("provider list --type openai --json", 0).await;
    assert_eq!(listed["providers"][0]["config"], json!({"apiKey": "***MASKED***"}));
    assert_eq!(json("set mine --json", 0).await["to"], "mine");
    assert_eq!(json("status --json", 0).await["status"], "Disabled");
    let failed = json("set missing --json", 1).await;
    assert!(failed["success"] == false && failed["error"].as_str().unwrap().contains("missing"), "{failed}");
    assert_eq!(json("history --json", 0).await, json!({"requests": [], "total": 0, "success": true}));
    assert_eq!(json("stats --json", 0).await["total_requests"], 0);
}

#[tokio::test]
async fn a_running_router_applies_changes_and_its_log_is_readable() {
    let router = Router::start(Launch::default()).await;
    let fake = FakeProvider::start().await.unwrap();
    let shell = CommandLine::new(&router.home);
    let url = format!("baseURL={}", fake.url());
    shell.provider_router(&["provider", "add", "--id", "new", "--type", "mine", "--config", &url]).await.expect(0);
    let asked = async |model: &str| router.client.post(CHAT, &chat(model, false)).await.status;
    eventually("an answer of the new provider", async || (asked("new/m").await == 200).then_some(())).await;
    shell.provider_router(&["provider", "disable", "new"]).await.expect(0);
    eventually("the end of the new provider", async || (asked("new/m").await == 404).then_some(())).await;

    let history = eventually("the request in the log", async || {
        let history = shell.provider_router(&["history", "--provider", "new", "--json"]).await.expect(0).json();
        (history["total"].as_i64() > Some(0) && history["requests"][0]["status"] == "completed").then_some(history)
    })
    .await;
    let request = &history["requests"][0];
    assert_eq!((&request["endpoint"], &request["status_code"]), (&json!(CHAT), &json!(200)));
    let text = shell.provider_router(&["history", "-p", "new", "-l", "1"]).await.expect(0).stdout;
    assert!(text.contains("│ Request ID") && text.contains("200 completed") && text.contains("1 of "), "{text}");
    let stats = shell.provider_router(&["stats"]).await.expect(0);
    assert!(stats.stdout.starts_with("Usage Statistics\nTotal Requests: "), "{}", stats.stdout);
    assert!(stats.stdout.contains("│ new ") && stats.stdout.contains("ms "), "{}", stats.stdout);
}

#[tokio::test]
async fn shell_completions_are_generated() {
    let shell = CommandLine::new(&Home::new());
    for name in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = shell.provider_router(&["completions", name]).await.expect(0).stdout;
        assert!(script.contains("provider-router") && script.contains("upstream-model"), "{name}");
    }
    shell.provider_router(&["completions", "cmd"]).await.expect(64);
}
