//! `migrate`: the environment of the Node.js version is imported once.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::json;
use signalbox_daemon::sealing_key;
use signalbox_harness::{CommandLine, Home, Launch, Router};
use signalbox_store::{Sealer, Store, credentials};

use super::{KEY, discreet, stored};

const FILE: &str = "# mine
PORT=3001
DEFAULT_PROVIDER=lm-studio
LM_STUDIO_BASE_URL=http://192.168.0.22:1234/v1
LM_STUDIO_DEFAULT_MODEL=qwen3-max
QWEN_API_KEY=sk-canary-0123456789
REQUEST_TIMEOUT=60000
QWEN_TOKEN=canary-token
QWEN_COOKIES='a=canary; b=2'
MODEL_MAPPINGS={\"a\":\"b\"}
";

#[tokio::test]
async fn variables_of_the_nodejs_version_are_migrated_once() {
    let home = Home::new();
    let file = home.path().join("env");
    fs::write(&file, FILE).unwrap();
    let file = file.to_str().unwrap();
    let shell = CommandLine::new(&home);
    let migrate = async |more: &[&str]| {
        let words = [&["migrate", "--env-file", file], more].concat();
        discreet(shell.provider_router(&words).await)
    };
    let dry = migrate(&["--dry-run"]).await.expect(0);
    assert!(dry.stdout.contains("lm-studio-default: set the configuration and the model"), "{}", dry.stdout);
    assert!(dry.stdout.contains("MODEL_MAPPINGS: has no effect here") && dry.stdout.contains("PORT: is still read"));
    assert!(stored(&home, "qwen-direct-default").await.is_none() && !home.data().join("backups").exists());

    let done = migrate(&[]).await.expect(0);
    assert!(done.stdout.contains("Migration completed successfully!"), "{}", done.stdout);
    let backup = done.after("Backup: ");
    let before = Store::open(&format!("sqlite://{backup}")).await.unwrap();
    assert!(signalbox_store::providers::get(&before, "qwen-direct-default").await.is_err());
    before.close().await;
    let (row, config) = stored(&home, "lm-studio-default").await.unwrap();
    assert_eq!(row["enabled"], true);
    assert_eq!(config, json!({"baseURL": "http://192.168.0.22:1234/v1", "timeout": 60_000}));
    let (row, config) = stored(&home, "qwen-direct-default").await.unwrap();
    assert_eq!((&row["type"], config), (&json!("dashscope"), json!({"apiKey": KEY, "timeout": 60_000})));
    assert_eq!(shell.provider_router(&["status", "--json"]).await.json()["active"], "lm-studio-default");
    let store = Store::open(&format!("sqlite://{}", home.data().join("signalbox.db").display())).await.unwrap();
    let login = credentials::active(&store, &Sealer::new(&sealing_key(&home.data()).unwrap())).await.unwrap().unwrap();
    assert_eq!((login.token.expose().as_str(), login.cookies.expose().as_str()), ("canary-token", "a=canary; b=2"));
    store.close().await;

    shell.provider_router(&["provider", "edit", "lm-studio-default", "--config", "timeout=1"]).await.expect(0);
    assert!(migrate(&[]).await.expect(0).stdout.contains("lm-studio-default: exists already"));
    assert_eq!(stored(&home, "lm-studio-default").await.unwrap().1["timeout"], 1);
}

#[tokio::test]
async fn invalid_variables_are_reported_and_legacy_mode_is_respected() {
    let home = Home::new();
    let file = home.path().join("env");
    for (text, told) in [
        ("DEFAULT_PROVIDER=unheard-of", "DEFAULT_PROVIDER is unheard-of"),
        ("LM_STUDIO_BASE_URL=ftp://x", "lm-studio-default"),
        ("QWEN_API_KEY=canary\nREQUEST_TIMEOUT=soon", "REQUEST_TIMEOUT takes milliseconds"),
    ] {
        fs::write(&file, text).unwrap();
        let shell = CommandLine::new(&home);
        let typed = discreet(shell.provider_router(&["migrate", "--env-file", file.to_str().unwrap()]).await.expect(1));
        assert!(typed.stderr.contains(told), "{text}: {}", typed.stderr);
    }
    assert!(stored(&home, "qwen-direct-default").await.is_none());
    let legacy = CommandLine::new(&home).env("USE_LEGACY_CONFIG", "true").env("QWEN_API_KEY", KEY);
    assert!(legacy.provider_router(&["migrate"]).await.expect(0).stdout.contains("deprecated"));
    assert!(stored(&home, "qwen-direct-default").await.is_none());
}

#[tokio::test]
async fn the_first_start_migrates_the_nodejs_file_once() {
    let home = Home::new();
    // The layout of a checkout of the Node.js version.
    let data = home.path().join("provider-router/data");
    fs::create_dir_all(&data).unwrap();
    fs::write(home.path().join("provider-router/.env"), FILE).unwrap();
    let database = data.join("provider-router.db");
    let url = format!("sqlite://{}", database.display());
    let start = async || Router::start(Launch::default().home(&home).database(url.clone())).await;
    let provider = async |id: &str| {
        let store = Store::open(&url).await.unwrap();
        let found = signalbox_store::providers::get(&store, id).await.ok();
        let logins = credentials::list(&store).await.unwrap().len();
        store.close().await;
        (found, logins)
    };

    let mut router = start().await;
    let (found, logins) = provider("qwen-direct-default").await;
    assert_eq!((found.unwrap().kind.as_str(), logins), ("dashscope", 1));
    let said = router.process.stderr();
    assert!(said.contains("qwen-direct-default: create") && !said.contains("canary"), "{said}");
    router.process.signal(Signal::SIGTERM);
    assert!(router.process.wait_exit().await.success());

    // Later changes by the user are kept.
    let store = Store::open(&url).await.unwrap();
    signalbox_store::providers::delete(&store, "qwen-direct-default").await.unwrap();
    credentials::delete_all(&store).await.unwrap();
    store.close().await;
    let router = start().await;
    let (found, logins) = provider("qwen-direct-default").await;
    assert!(found.is_none() && logins == 0, "{}", router.process.stderr());
}

#[tokio::test]
async fn cookies_without_quotes_are_migrated_and_other_lines_skipped() {
    let home = Home::new();
    fs::create_dir_all(home.data()).unwrap();
    let text = "QWEN_API_KEY=k\nnot a line of canary\nQWEN_TOKEN=t\nQWEN_COOKIES=a=b; c=d\n";
    fs::write(home.data().join(".env"), text).unwrap();
    let router = Router::start(Launch::default().home(&home)).await;
    let said = router.process.stderr();
    assert!(said.contains("its line 2 is not NAME=VALUE, and was skipped") && !said.contains("canary"), "{said}");
    assert!(stored(&home, "qwen-direct-default").await.is_some());
    let store = Store::open(&format!("sqlite://{}", home.data().join("signalbox.db").display())).await.unwrap();
    let login = credentials::active(&store, &Sealer::new(&sealing_key(&home.data()).unwrap())).await.unwrap().unwrap();
    assert_eq!((login.token.expose().as_str(), login.cookies.expose().as_str()), ("t", "a=b; c=d"));
    store.close().await;
}

#[tokio::test]
async fn an_invalid_or_disabled_migration_does_not_prevent_startup() {
    for (text, told) in [
        ("QWEN_API_KEY='canary", "its line 1 is not NAME=VALUE"),
        ("QWEN_API_KEY=canary\nREQUEST_TIMEOUT=soon", "REQUEST_TIMEOUT takes milliseconds"),
        ("USE_LEGACY_CONFIG=true\nQWEN_API_KEY=canary", "USE_LEGACY_CONFIG is true"),
    ] {
        let home = Home::new();
        fs::create_dir_all(home.data()).unwrap();
        fs::write(home.data().join(".env"), text).unwrap();
        let router = Router::start(Launch::default().home(&home)).await;
        let said = router.process.stderr();
        assert!(said.contains(told) && !said.contains("canary"), "{text}: {said}");
        assert!(stored(&home, "qwen-direct-default").await.is_none());
    }
}
