//! The commands for routes, keys and prices.

use serde_json::{Value, json};
use signalbox_daemon::key_digest;
use signalbox_harness::{CommandLine, Home};
use signalbox_store::{Page, Store, api_keys, catalog};

async fn open(home: &Home) -> Store {
    Store::open(&format!("sqlite://{}", home.data().join("signalbox.db").display())).await.unwrap()
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[tokio::test]
async fn routes_are_set_shown_and_deleted() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    let type_in = async |line: &str| shell.provider_router(&words(line)).await.expect(0);
    assert_eq!(type_in("route list").await.stdout, "No routes found\n");
    let set = "route set --model fast-* --target echo/big-*,weight=3 --target lm-studio-default/org/m --policy weighted \
               --retries 2 --alias quick --sticky session --resumable";
    assert_eq!(
        type_in(&set.split_whitespace().collect::<Vec<_>>().join(" ")).await.stdout,
        "Route created successfully!\n"
    );
    let listed = type_in("route ls").await.stdout;
    assert!(listed.starts_with("Routes (1 total):\n┌"), "{listed}");
    assert!(listed.contains("│ fast-* │ weighted │ echo/big-*, lm-studio-default/org/m │ Enabled │ 1 "), "{listed}");

    let shown = type_in("route show quick").await.stdout;
    assert!(shown.contains("# targets[1]: the provider lm-studio-default is disabled"), "{shown}");
    let file = home.path().join("route.toml");
    std::fs::write(&file, shown.replace("weight = 3", "weight = 4")).unwrap();
    let set = shell.provider_router(&["route", "set", file.to_str().unwrap(), "--json"]).await.expect(0).json();
    assert_eq!((&set["created"], &set["route"]["targets"][0]["weight"]), (&json!(false), &json!(4)));
    assert_eq!((&set["route"]["aliases"], &set["route"]["retries"]), (&json!(["quick"]), &json!(2)));
    assert_eq!(set["route"]["resumable"], true);
    std::fs::write(&file, r#"{"model": "slow", "enabled": false, "targets": [{"provider": "echo", "model": "e"}]}"#)
        .unwrap();
    let file = file.with_extension("json");
    std::fs::rename(home.path().join("route.toml"), &file).unwrap();
    shell.provider_router(&["route", "set", file.to_str().unwrap()]).await.expect(0);
    let listed = type_in("route list --json").await.json();
    assert_eq!((&listed["total"], &listed["routes"][1]["enabled"]), (&json!(2), &json!(false)));

    assert_eq!(type_in("route delete fast-* --yes").await.stdout, "Route deleted successfully!\n");
    type_in("route delete slow -y").await;
    let store = open(&home).await;
    assert_eq!(catalog::load(&store).await.unwrap().routes, []);
    store.close().await;
}

#[tokio::test]
async fn a_key_is_printed_once() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    let type_in = async |line: &str| shell.provider_router(&words(line)).await.expect(0);
    assert_eq!(type_in("key list").await.stdout, "No keys found\n");
    let created = type_in(
        "key create --name ci --owner team --model gpt-* --rpm 60 --budget 2.5 --period day --expires-at 2100-01-01T00:00:00Z",
    )
    .await
    .stdout;
    assert!(created.starts_with("Key created successfully!\nIt is shown only now"), "{created}");
    let key = created.lines().last().unwrap();
    assert!(key.starts_with("sbx-") && key.len() == 47, "{created}");

    let listed = type_in("key list").await.stdout;
    assert!(listed.contains(&format!("│ ci   │ {}… │ team  │ gpt-*  │ Valid  │", &key[..10])), "{listed}");
    let facts = type_in("key list --json").await.json();
    assert!(!facts.to_string().contains(key) && !listed.contains(key));
    let shown = &facts["keys"][0];
    assert_eq!(
        (&shown["limits"], &shown["budget"]),
        (&json!({"rpm": 60}), &json!({"amount_usd": 2.5, "period": "day"}))
    );

    let rotated = type_in("key rotate ci --overlap 60 --json").await.json();
    let second = rotated["key"].as_str().unwrap();
    assert_eq!(rotated["id"], shown["id"]);
    let store = open(&home).await;
    let stored = api_keys::list(&store, Page::ALL).await.unwrap().items.remove(0);
    store.close().await;
    assert_eq!(stored.digest, key_digest(second.as_bytes()));
    assert_eq!(stored.previous_digest, Some(key_digest(key.as_bytes())));

    assert_eq!(type_in("key revoke ci --yes").await.stdout, "Key revoked successfully!\n");
    assert!(type_in("key list").await.stdout.contains("│ Revoked │"));
    let refused = shell.provider_router(&words("key rotate ci")).await.expect(1);
    assert!(refused.stderr.contains("the key ci is revoked for good"), "{}", refused.stderr);
    assert_eq!(type_in("key delete ci --yes").await.stdout, "Key deleted successfully!\n");

    let file = home.path().join("key.toml");
    std::fs::write(&file, "name = \"n\"\ntags = [\"a\"]\nlimits = { tpm = 5 }\n").unwrap();
    let file = file.to_str().unwrap();
    let made = shell.provider_router(&["key", "create", "--file", file, "--name", "m", "--rpm", "1", "--json"]).await;
    let made = made.expect(0).json();
    assert_eq!(
        (&made["name"], &made["tags"], &made["limits"]),
        (&json!("m"), &json!(["a"]), &json!({"rpm": 1, "tpm": 5}))
    );
}

#[tokio::test]
async fn prices_are_imported_from_the_map_of_litellm() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    let file = home.path().join("map.json");
    let map = json!({
        "gpt-mine": {"litellm_provider": "openai", "input_cost_per_token": 1.5e-6, "output_cost_per_token": 7e-6},
        "claude-mine": {"litellm_provider": "anthropic", "input_cost_per_token": 1e-6, "output_cost_per_token": 5e-6},
        "picture": {"litellm_provider": "openai", "output_cost_per_image": 0.04},
    });
    std::fs::write(&file, map.to_string()).unwrap();
    let path = file.to_str().unwrap();
    let dry = shell.provider_router(&["price", "import", path, "--dry-run", "--json"]).await.expect(0).json();
    assert_eq!(dry["document"]["prices"].as_array().unwrap().len(), 2);
    assert_eq!(shell.provider_router(&words("price show openai/gpt-mine --json")).await.expect(0).json()["total"], 0);
    let done = shell.provider_router(&["price", "import", path, "--type", "openai"]).await.expect(0).stdout;
    assert_eq!(done, "Prices imported successfully: 1 rows; 1 models left out\n");
    let shown = shell.provider_router(&words("price show openai/gpt-mine")).await.expect(0).stdout;
    assert!(shown.contains("│ openai/gpt-mine │ 1.5   │ 7      │ file"), "{shown}");
    let none = shell.provider_router(&words("price show anthropic/claude-mine --json")).await.expect(0).json();
    assert_eq!(none["total"], 0);
    let refused = shell.provider_router(&["price", "import", path, "--type", "nonsense"]).await.expect(1).stderr;
    assert!(refused.contains("nothing was changed") && refused.contains("anthropic"), "{refused}");
    std::fs::write(&file, "{}").unwrap();
    let empty = shell.provider_router(&["price", "import", path]).await.expect(1).stderr;
    assert!(empty.contains("no prices by tokens"), "{empty}");
    let reset = shell.provider_router(&words("price reset --imported --yes")).await.expect(0).stdout;
    assert_eq!(reset, "The imported prices are removed.\n");
}

#[tokio::test]
async fn prices_are_set_shown_and_reset() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    let type_in = async |line: &str| shell.provider_router(&words(line)).await.expect(0);
    let shipped = type_in("price show openai/gpt-4.1 --json").await.json();
    assert!(shipped["total"].as_i64() > Some(0) && shipped["prices"][0]["source"] == "shipped", "{shipped}");
    let file = home.path().join("prices.json");
    let document: Value = json!({"prices": [{"id": "openai/mine", "base": {"in": "1.5", "out": "7"}}]});
    std::fs::write(&file, document.to_string()).unwrap();
    let set = shell.provider_router(&["price", "set", file.to_str().unwrap()]).await.expect(0).stdout;
    assert_eq!(set, "Prices set successfully: 1 rows\n");
    let shown = type_in("price show openai/mine").await.stdout;
    assert!(shown.contains("│ openai/mine │ 1.5   │ 7      │ override │"), "{shown}");
    let overrides: Value = serde_json::from_str(&type_in("price show --overrides").await.stdout).unwrap();
    assert_eq!(overrides, document);
    std::fs::write(&file, r#"{"prices": [{"id": "openai/mine", "base": {"in": "-1", "out": "7"}}], "x": 1}"#).unwrap();
    let refused = shell.provider_router(&["price", "set", file.to_str().unwrap()]).await.expect(1).stderr;
    assert!(refused.starts_with("Error: nothing was changed:\n  ") && refused.lines().count() == 3, "{refused}");
    assert_eq!(type_in("price reset --yes").await.stdout, "The overrides of the shipped prices are removed.\n");
    assert_eq!(type_in("price reset --yes").await.stdout, "There are no overrides of the shipped prices already\n");
    let none = shell.provider_router(&words("price show --overrides")).await.expect(1);
    assert!(none.stderr.contains("there are no overrides"), "{}", none.stderr);
}

#[tokio::test]
async fn invalid_arguments_are_reported_and_change_nothing() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    shell.provider_router(&words("route set --model m --alias n --target echo/e")).await.expect(0);
    shell.provider_router(&words("key create --name k")).await.expect(0);
    for (line, code, told) in [
        ("route set", 1, "give a file, or --model and --target"),
        ("route set --model x", 64, "--target"),
        ("route set --policy weighted", 64, "--model"),
        ("route set x.json --model m --target echo/e", 64, "--model"),
        ("route set /nonexistent.toml", 1, "cannot read /nonexistent.toml"),
        ("route set --model x --target echo", 1, "--target takes PROVIDER/MODEL"),
        ("route set --model x --target none/e", 1, "targets[0].provider must be the id of a provider"),
        ("route set --model x --target echo/e,weight=0 --retries 11 --policy best", 1, "\n  retries must be"),
        ("route set --model n --target echo/e", 1, "the route for m has the name n already"),
        ("route set --model x --alias m --target echo/e", 1, "the route for m has the name m already"),
        ("route show missing", 1, "Route not found: missing. Existing routes: m"),
        ("route delete m", 1, "--yes"),
        ("key create", 1, "name is required"),
        ("key create --name k", 1, "a key with the name k exists"),
        ("key create --name x --rpm 0 --surface images", 1, "\n  limits.rpm must be"),
        ("key create --name x --expires-at 2020-01-01T00:00:00Z", 1, "expires_at must be in the future"),
        ("key create --name x --budget 5", 64, "--period"),
        ("key create --name x --budget much --period day", 64, "much"),
        ("key rotate missing", 1, "Key not found: missing"),
        ("key rotate k --overlap -1", 64, "-1"),
        ("key rotate k --overlap 2592001", 1, "--overlap must be from 0 to 2592000"),
        ("key revoke k", 1, "--yes"),
        ("key delete k", 1, "--yes"),
        ("price set /nonexistent.json", 1, "cannot read /nonexistent.json"),
        ("price reset", 1, "--yes"),
    ] {
        let typed = shell.provider_router(&words(line)).await.expect(code);
        assert!(typed.stderr.contains(told), "{line}: {}", typed.stderr);
    }
    let store = open(&home).await;
    let loaded = catalog::load(&store).await.unwrap();
    store.close().await;
    assert_eq!(loaded.routes.iter().map(|route| &*route.model).collect::<Vec<_>>(), ["m"]);
    assert_eq!(loaded.keys.iter().map(|key| (&*key.name, key.revoked_at)).collect::<Vec<_>>(), [("k", None)]);
}
