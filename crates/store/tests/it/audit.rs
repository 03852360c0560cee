use signalbox_core::schema::{AuditEntry, ModelUpdate, NewModel, ProviderUpdate};
use signalbox_core::secret::Secret;
use signalbox_store::audit::{self, Actor, Filter, RequestLine};
use signalbox_store::credentials::{self, NewCredential};
use signalbox_store::{Page, models, provider_configs, providers, settings};

use crate::fixture::{Database, on_both, sealer};
use crate::providers::{new, value};

on_both!(
    a_new_database_says_who_filled_it,
    changes_are_written_down_with_who_and_what,
    what_did_not_happen_is_not_written_down,
    actors_are_not_confused,
    secrets_stay_where_they_are,
    requests_are_noted_once,
    entries_are_filtered_cut_and_forgotten,
);

fn caller(request: &str) -> Actor {
    let request = RequestLine { id: request.to_owned(), method: "POST".to_owned(), path: "/api/providers".to_owned() };
    Actor { name: "api:127.0.0.1".to_owned(), request: Some(request) }
}

async fn entries(database: &Database, filter: &Filter) -> Vec<AuditEntry> {
    audit::list(&database.store, filter, Page::ALL).await.unwrap().items
}

/// Returns the entries about one resource in short form, the oldest first.
async fn about(database: &Database, resource: &str, id: &str) -> Vec<(Option<String>, String, String, String)> {
    let filter = Filter { resource: Some(resource.to_owned()), resource_id: Some(id.to_owned()), ..Filter::default() };
    let text = |json: Option<serde_json::Value>| json.map(|json| json.to_string()).unwrap_or_default();
    let short = |entry: AuditEntry| (entry.actor, entry.action, text(entry.before), text(entry.after));
    entries(database, &filter).await.into_iter().rev().map(short).collect()
}

fn by(actor: &str, action: &str, before: &str, after: &str) -> (Option<String>, String, String, String) {
    (Some(actor.to_owned()), action.to_owned(), before.to_owned(), after.to_owned())
}

async fn a_new_database_says_who_filled_it(database: &Database) {
    let all = entries(database, &Filter::default()).await;
    assert!(all.len() > 5 && all.iter().all(|entry| entry.actor.as_deref() == Some("signalbox")), "{all:?}");
}

async fn changes_are_written_down_with_who_and_what(database: &Database) {
    let store = &database.store;
    let begun = audit::with_actor(caller("r-1"), async {
        let config = [value("baseURL", "\"http://x\""), value("apiKey", "\"canary\"")];
        providers::insert(store, &sealer(), &new("p", 1), &config, 1).await.unwrap();
        let renamed = ProviderUpdate { name: Some("New".to_owned()), ..ProviderUpdate::default() };
        providers::update(store, "p", &renamed, 2).await.unwrap();
        // Only the time changes.
        providers::update(store, "p", &renamed, 3).await.unwrap();
        provider_configs::put(store, &sealer(), "p", &[value("apiKey", "\"canary-2\"")], 4).await.unwrap();
        providers::delete(store, "p").await.unwrap();
    });
    begun.await;
    let row = |name: &str| {
        format!(r#"{{"description":"about","enabled":true,"name":"{name}","priority":1,"type":"openai"}}"#)
    };
    let (old, new) = (row("Name of p"), row("New"));
    let who = "api:127.0.0.1";
    let expected = [by(who, "created", "", &old), by(who, "updated", &old, &new), by(who, "deleted", &new, "")];
    assert_eq!(about(database, "provider", "p").await, expected);
    let hidden = r#"{"value":"***"}"#;
    let expected = [by(who, "created", "", hidden), by(who, "updated", hidden, hidden), by(who, "deleted", hidden, "")];
    assert_eq!(about(database, "provider_config", "p/apiKey").await, expected);
    let shown = r#"{"value":"\"http://x\""}"#;
    let expected = [by(who, "created", "", shown), by(who, "deleted", shown, "")];
    assert_eq!(about(database, "provider_config", "p/baseURL").await, expected);

    let entry = entries(database, &Filter { request_id: Some("r-1".to_owned()), ..Filter::default() }).await;
    let (method, path) = (entry[0].method.as_deref(), entry[0].path.as_deref());
    assert_eq!((entry.len(), method, path), (8, Some("POST"), Some("/api/providers")));
    assert!(entry.iter().all(|entry| entry.outcome == "done" && entry.at > 1_700_000_000_000), "{entry:?}");
}

async fn what_did_not_happen_is_not_written_down(database: &Database) {
    let store = &database.store;
    let before = entries(database, &Filter::default()).await.len();
    audit::with_actor(caller("r-2"), async {
        providers::insert(store, &sealer(), &new("echo", 1), &[], 1).await.unwrap_err();
        providers::delete(store, "nobody").await.unwrap_err();
        let pairs = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "\0".to_owned())];
        settings::put(store, &pairs, 1).await.unwrap_err();
    })
    .await;
    assert_eq!(entries(database, &Filter::default()).await.len(), before);
}

async fn actors_are_not_confused(database: &Database) {
    let store = &database.store;
    let put = async |value: &str| settings::put(store, &[("k".to_owned(), value.to_owned())], 1).await.unwrap();
    audit::with_actor(Actor::command_line("me"), put("1")).await;
    put("2").await;
    database.execute("UPDATE settings SET value = '3' WHERE key = 'k'").await;
    let actors: Vec<_> = about(database, "setting", "k").await.into_iter().map(|entry| entry.0).collect();
    assert_eq!(actors, [Some("cli:me".to_owned()), None, None]);
    assert_eq!(database.number("SELECT COUNT(*) FROM audit_actor").await, 0);
}

async fn secrets_stay_where_they_are(database: &Database) {
    let store = &database.store;
    let login = |token: &str| NewCredential {
        label: "mine".to_owned(),
        token: Secret::new(token.to_owned()),
        cookies: Secret::new("canary-cookie".to_owned()),
        expires_at: Some(9),
    };
    let id = credentials::put(store, &sealer(), &login("canary-token"), 5).await.unwrap();
    credentials::put(store, &sealer(), &login("canary-other"), 6).await.unwrap();
    credentials::cool_down(store, id, 1, "canary-why").await.unwrap();
    credentials::delete(store, id, 0).await.unwrap();
    // Rows as the Node.js version left them: neither marked as sensitive nor sealed.
    database
        .execute(
            "INSERT INTO provider_configs (provider_id, key, value, is_sensitive, created_at, updated_at)
             VALUES ('echo', 'cookie', 'canary-a', FALSE, 1, 1), ('echo', 'baseURL', 'canary-b', TRUE, 1, 1)",
        )
        .await;
    provider_configs::seal_all(store, &sealer()).await.unwrap();
    let all = entries(database, &Filter::default()).await;
    let text = serde_json::to_string(&all).unwrap();
    assert!(!text.contains("canary") && !text.contains("sealed:"), "{text}");
    let actions: Vec<_> = about(database, "credential", &id.to_string()).await.into_iter().map(|e| e.1).collect();
    assert_eq!(actions.first().map(String::as_str), Some("created"));
    assert_eq!(actions.last().map(String::as_str), Some("deleted"));
    assert!(actions.len() >= 4, "a replaced login is recorded, leftovers are not: {actions:?}");
}

async fn requests_are_noted_once(database: &Database) {
    let store = &database.store;
    let changing = caller("r-3");
    audit::with_actor(changing.clone(), async {
        settings::put(store, &[("k".to_owned(), "1".to_owned())], 1).await.unwrap();
    })
    .await;
    audit::log_request(store, &changing, 200, 7).await.unwrap();
    audit::log_request(store, &caller("r-4"), 202, 8).await.unwrap();
    audit::log_request(store, &caller("r-5"), 409, 9).await.unwrap();
    audit::log_request(store, &caller("r-6"), 500, 10).await.unwrap();
    let of = async |request: &str| {
        let filter = Filter { request_id: Some(request.to_owned()), ..Filter::default() };
        let found = entries(database, &filter).await;
        assert_eq!(found.len(), 1, "{found:?}");
        (found[0].resource.clone(), found[0].action.clone(), found[0].outcome.clone(), found[0].status)
    };
    let row = |resource: &str, action: &str, outcome: &str, status| {
        (resource.to_owned(), action.to_owned(), outcome.to_owned(), status)
    };
    assert_eq!(of("r-3").await, row("setting", "created", "done", None));
    assert_eq!(of("r-4").await, row("request", "POST", "done", Some(202)));
    assert_eq!(of("r-5").await, row("request", "POST", "refused", Some(409)));
    assert_eq!(of("r-6").await, row("request", "POST", "failed", Some(500)));
    assert!(audit::log_request(store, &Actor::program(), 200, 1).await.is_err());
}

async fn entries_are_filtered_cut_and_forgotten(database: &Database) {
    let store = &database.store;
    let model =
        NewModel { id: "m".to_owned(), name: "m".to_owned(), description: None, capabilities: vec!["chat".to_owned()] };
    audit::with_actor(Actor::command_line("me"), async {
        models::insert(store, &model, 1).await.unwrap();
        let update = ModelUpdate { name: Some("M".to_owned()), ..ModelUpdate::default() };
        models::update(store, "m", &update, 2).await.unwrap();
    })
    .await;
    let mine = Filter { actor: Some("cli:me".to_owned()), ..Filter::default() };
    let page = audit::list(store, &mine, Page { limit: 1, offset: 0 }).await.unwrap();
    assert_eq!((page.total, page.items.len(), page.items[0].action.as_str()), (2, 1, "updated"));
    for (filter, count) in [
        (Filter { action: Some("created".to_owned()), ..mine.clone() }, 1),
        (Filter { resource: Some("model".to_owned()), resource_id: Some("m".to_owned()), ..Filter::default() }, 2),
        (Filter { outcome: Some("refused".to_owned()), ..Filter::default() }, 0),
        (Filter { until: Some(1_700_000_000_000), ..Filter::default() }, 0),
        (Filter { since: Some(1_700_000_000_000), ..mine }, 2),
    ] {
        assert_eq!(entries(database, &filter).await.len(), count, "{filter:?}");
    }
    let all = u64::try_from(entries(database, &Filter::default()).await.len()).unwrap();
    assert_eq!(audit::delete_before(store, 1_700_000_000_000, 100).await.unwrap(), 0);
    assert_eq!(audit::delete_before(store, i64::MAX, 1).await.unwrap(), 1);
    assert_eq!(audit::delete_before(store, i64::MAX, 1000).await.unwrap(), all - 1);
}
