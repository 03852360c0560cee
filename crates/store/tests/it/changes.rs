use signalbox_core::schema::{NewModel, NewProvider};
use signalbox_store::catalog::{self, Change, change};
use signalbox_store::provider_models::NewLink;
use signalbox_store::{Error, activity};

use crate::fixture::{Database, on_both, sealer};
use crate::providers::value;

on_both!(
    all_kinds_of_changes_are_made_as_one,
    a_change_of_an_old_state_is_not_made,
    one_that_fails_leaves_nothing,
    names_are_swapped,
    answers_are_counted_by_provider,
);

fn provider(id: &str, name: &str) -> Change {
    Change::Provider(NewProvider {
        id: id.to_owned(),
        name: name.to_owned(),
        kind: "openai".to_owned(),
        enabled: true,
        priority: 1,
        description: None,
    })
}

fn link(provider_id: &str, model_id: &str, is_default: bool) -> Change {
    let (provider_id, model_id) = (provider_id.to_owned(), model_id.to_owned());
    Change::Link(NewLink { provider_id, model_id, is_default, config: Some("{\"a\":1}".to_owned()) })
}

/// Applies changes to the current version.
async fn made(database: &Database, changes: &[Change]) -> Result<bool, Error> {
    let version = catalog::version(&database.store).await.unwrap();
    change(&database.store, &sealer(), version, changes, 7).await
}

/// Returns the catalogue in short form: providers with names and models (the default marked), models, settings.
async fn short(database: &Database) -> String {
    let catalog = catalog::load(&database.store).await.unwrap();
    let mut parts: Vec<String> = Vec::new();
    for (row, configs, links) in &catalog.providers {
        let keys: Vec<&str> = configs.iter().map(|config| config.key.as_str()).collect();
        let mark = |is_default: bool| if is_default { "*" } else { "" };
        let models: Vec<String> =
            links.iter().map(|link| format!("{}{}", link.model.id, mark(link.is_default))).collect();
        parts.push(format!("{}={}({})[{}]", row.id, row.name, keys.join(" "), models.join(" ")));
    }
    parts.extend(catalog.models.iter().map(|model| model.id.clone()));
    parts.extend(catalog.settings.iter().map(|setting| format!("{}:{}", setting.key, setting.value)));
    parts.join(", ")
}

async fn all_kinds_of_changes_are_made_as_one(database: &Database) {
    database.clear().await;
    let model = NewModel { id: "m".to_owned(), name: "M".to_owned(), description: None, capabilities: vec![] };
    let other = NewModel { id: "n".to_owned(), ..model.clone() };
    let config = |key: &str| Change::Config { provider_id: "p".to_owned(), value: value(key, "\"v\"") };
    let setting = Change::Setting { key: "k".to_owned(), value: "v".to_owned() };
    // Referenced rows may come last.
    let all = [
        link("p", "m", true),
        link("p", "n", true),
        setting,
        config("apiKey"),
        config("timeout"),
        provider("p", "P"),
        Change::Model(model),
        Change::Model(other),
    ];
    assert!(made(database, &all).await.unwrap());
    let whole = "p=P(apiKey timeout)[n* m], m, n, active_provider:echo, k:v";
    assert_eq!(short(database).await, whole);
    assert!(made(database, &all).await.unwrap());
    assert_eq!(short(database).await, whole, "once more");
    let p = || "p".to_owned();
    let gone = [
        Change::DeleteConfig { provider_id: p(), key: "timeout".to_owned() },
        Change::DeleteLink { provider_id: p(), model_id: "m".to_owned() },
        Change::DeleteModel("n".to_owned()),
        Change::ResetSetting("k".to_owned()),
        Change::DeleteProvider("nobody".to_owned()),
    ];
    assert!(made(database, &gone).await.unwrap());
    assert_eq!(short(database).await, "p=P(apiKey)[], m, active_provider:echo");
    assert!(made(database, &[Change::DeleteProvider(p())]).await.unwrap());
    assert_eq!(short(database).await, "m, active_provider:echo");
}

async fn a_change_of_an_old_state_is_not_made(database: &Database) {
    let version = catalog::version(&database.store).await.unwrap();
    assert!(made(database, &[provider("p", "P")]).await.unwrap());
    let late = change(&database.store, &sealer(), version, &[provider("late", "Late")], 7).await;
    assert!(!late.unwrap());
    assert!(!short(database).await.contains("late"));
}

async fn one_that_fails_leaves_nothing(database: &Database) {
    let before = short(database).await;
    let taken = made(database, &[provider("p", "P"), provider("q", "Echo")]).await.unwrap_err();
    assert!(matches!(&taken, Error::Conflict { entity } if entity == "providers.name"), "{taken:?}");
    let nobody = made(database, &[provider("p", "P"), link("p", "no-model", false)]).await.unwrap_err();
    assert!(matches!(nobody, Error::NotFound { .. }), "{nobody:?}");
    assert_eq!(short(database).await, before);
}

async fn names_are_swapped(database: &Database) {
    database.clear().await;
    assert!(made(database, &[provider("a", "A"), provider("b", "B")]).await.unwrap());
    assert!(made(database, &[provider("a", "B"), provider("b", "A")]).await.unwrap());
    assert_eq!(short(database).await, "b=A()[], a=B()[], active_provider:echo");
}

async fn answers_are_counted_by_provider(database: &Database) {
    assert!(activity::by_provider(&database.store).await.unwrap().is_empty());
    let insert = "INSERT INTO sessions (id, chat_id, first_user_message, created_at, last_accessed, expires_at) VALUES ('s', 's', '', 1, 1, 1);
         INSERT INTO requests (session_id, request_id, timestamp, method, path, request_body, upstream_request, model, stream, status, created_at)
             VALUES ('s', 'a', 1, 'POST', '/', '{}', 'null', 'm', FALSE, 'completed', 1), ('s', 'b', 1, 'POST', '/', '{}', 'null', 'm', FALSE, 'failed', 1),
                    ('s', 'c', 1, 'POST', '/', '{}', 'null', 'm', FALSE, 'failed', 1);
         INSERT INTO responses (id, timestamp, provider_id, duration_ms, error, created_at)
             SELECT id, 1, CASE WHEN request_id = 'c' THEN NULL ELSE 'p' END, CASE WHEN request_id = 'c' THEN NULL WHEN request_id = 'a' THEN 10 ELSE 21 END,
                 CASE WHEN request_id = 'a' THEN NULL ELSE 'e' END, 1 FROM requests;";
    database.execute(insert).await;
    let found = activity::by_provider(&database.store).await.unwrap();
    let short: Vec<_> =
        found.iter().map(|row| (row.provider_id.as_deref(), row.requests, row.errors, row.avg_duration_ms)).collect();
    assert_eq!(short, [(Some("p"), 2, 1, Some(16)), (None, 1, 1, None)]);
}
