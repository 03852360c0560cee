use signalbox_core::schema::{ConfigValue, NewProvider, ProviderConfig, ProviderUpdate};
use signalbox_core::secret::Secret;
use signalbox_store::providers::{self, Filter};
use signalbox_store::{Error, Page, provider_configs, provider_models};

use crate::fixture::{Database, on_both, sealer};

on_both!(
    a_new_database_has_defaults,
    made_read_changed_deleted,
    lists_are_ordered_filtered_and_cut,
    a_taken_name_is_a_conflict_and_nothing_stays,
    configs_are_merged,
    secrets_are_sealed,
    secrets_from_before_are_sealed_once,
    a_nul_is_refused,
);

pub(crate) fn new(id: &str, priority: i64) -> NewProvider {
    NewProvider {
        id: id.to_owned(),
        name: format!("Name of {id}"),
        kind: "openai".to_owned(),
        enabled: true,
        priority,
        description: Some("about".to_owned()),
    }
}

pub(crate) fn value(key: &str, json: &str) -> ConfigValue {
    ConfigValue { key: key.to_owned(), value: Secret::new(json.to_owned()), is_sensitive: key == "apiKey" }
}

async fn configs(database: &Database, id: &str) -> Vec<(String, String, bool)> {
    let configs = provider_configs::list(&database.store, id).await.unwrap();
    let opened = |config: ProviderConfig| {
        let value = provider_configs::open(&sealer(), &config).unwrap();
        (config.key, value.expose().clone(), config.is_sensitive)
    };
    configs.into_iter().map(opened).collect()
}

async fn a_new_database_has_defaults(database: &Database) {
    let all = providers::list(&database.store, &Filter::default(), Page::ALL).await.unwrap();
    let short: Vec<_> = all.items.iter().map(|p| (&*p.id, &*p.name, &*p.kind, p.enabled, p.priority)).collect();
    assert_eq!(
        short,
        [
            ("lm-studio-default", "LM Studio Default", "lm-studio", false, 10),
            ("qwen-proxy-default", "Qwen Proxy Default", "qwen-proxy", true, 5),
            ("echo", "Echo", "echo", true, 0),
        ]
    );
    let base_url = |url: &str| ("baseURL".to_owned(), format!("\"{url}\""), false);
    let timeout = ("timeout".to_owned(), "120000".to_owned(), false);
    assert_eq!(configs(database, "qwen-proxy-default").await, std::slice::from_ref(&timeout));
    assert_eq!(configs(database, "lm-studio-default").await, [base_url("http://127.0.0.1:1234/v1"), timeout]);
    assert_eq!(configs(database, "echo").await, []);
    for (provider, models) in
        [("echo", &["echo"][..]), ("qwen-proxy-default", &["qwen3-max"]), ("lm-studio-default", &[])]
    {
        let links = provider_models::list(&database.store, provider).await.unwrap();
        assert_eq!(links.iter().map(|link| &*link.model.id).collect::<Vec<_>>(), models);
        assert!(links.iter().all(|link| link.is_default));
    }
}

async fn made_read_changed_deleted(database: &Database) {
    let store = &database.store;
    let made = providers::insert(store, &sealer(), &new("a", 1), &[value("apiKey", "\"sk\"")], 7).await.unwrap();
    assert_eq!((made.created_at, made.updated_at, made.description.as_deref()), (7, 7, Some("about")));
    assert_eq!(providers::get(store, "a").await.unwrap(), made);
    assert_eq!(configs(database, "a").await, [("apiKey".to_owned(), "\"sk\"".to_owned(), true)]);

    let update = ProviderUpdate { enabled: Some(false), ..ProviderUpdate::default() };
    let changed = providers::update(store, "a", &update, 8).await.unwrap();
    assert_eq!(changed, signalbox_core::schema::Provider { enabled: false, updated_at: 8, ..made });
    let update = ProviderUpdate {
        name: Some("N".to_owned()),
        kind: Some("echo".to_owned()),
        priority: Some(-3),
        description: Some(None),
        enabled: None,
    };
    let changed = providers::update(store, "a", &update, 9).await.unwrap();
    assert_eq!((&*changed.name, &*changed.kind, changed.priority, changed.enabled), ("N", "echo", -3, false));
    assert_eq!(changed.description, None);

    providers::delete(store, "a").await.unwrap();
    assert_eq!(configs(database, "a").await, []);
    for missing in [
        providers::get(store, "a").await.map(drop),
        providers::update(store, "a", &update, 9).await.map(drop),
        providers::delete(store, "a").await,
        provider_configs::put(store, &sealer(), "a", &[], 9).await,
        provider_configs::delete(store, "a", "k").await,
    ] {
        assert!(matches!(missing, Err(Error::NotFound { entity: "provider" })), "{missing:?}");
    }
}

async fn lists_are_ordered_filtered_and_cut(database: &Database) {
    let store = &database.store;
    database.clear().await;
    for (id, priority) in [("b", 5), ("a", 5), ("Z", 5), ("c", 9)] {
        providers::insert(store, &sealer(), &new(id, priority), &[], 0).await.unwrap();
    }
    let ids = async |filter: &Filter, limit, offset| {
        let listed = providers::list(store, filter, Page { limit, offset }).await.unwrap();
        (listed.items.into_iter().map(|provider| provider.id).collect::<Vec<_>>().join(" "), listed.total)
    };
    // Sorted by bytes, independently of the locale of the database: "Z" comes before "a".
    assert_eq!(ids(&Filter::default(), 10, 0).await, ("c Z a b".to_owned(), 4));
    assert_eq!(ids(&Filter::default(), 2, 1).await, ("Z a".to_owned(), 4));
    assert_eq!(ids(&Filter { enabled: Some(false), ..Filter::default() }, 10, 0).await, (String::new(), 0));
    let off = ProviderUpdate { enabled: Some(false), kind: Some("echo".to_owned()), ..ProviderUpdate::default() };
    providers::update(store, "a", &off, 0).await.unwrap();
    assert_eq!(ids(&Filter { enabled: Some(false), ..Filter::default() }, 10, 0).await, ("a".to_owned(), 1));
    assert_eq!(ids(&Filter { kind: Some("openai".to_owned()), ..Filter::default() }, 10, 0).await.1, 3);
    let both = Filter { kind: Some("openai".to_owned()), enabled: Some(false) };
    assert_eq!(ids(&both, 10, 0).await.1, 0);
    let negative = providers::list(store, &both, Page { limit: -1, offset: 0 }).await;
    assert!(matches!(negative, Err(Error::Invalid(_))));
}

async fn a_taken_name_is_a_conflict_and_nothing_stays(database: &Database) {
    let store = &database.store;
    providers::insert(store, &sealer(), &new("a", 1), &[], 0).await.unwrap();
    let conflict = |result: Result<_, Error>| match result {
        Err(Error::Conflict { entity }) => entity,
        other => panic!("{other:?}"),
    };
    let same_id = NewProvider { name: "other".to_owned(), ..new("a", 1) };
    assert_eq!(conflict(providers::insert(store, &sealer(), &same_id, &[], 0).await), "providers.id");
    let same_name = NewProvider { id: "b".to_owned(), ..new("a", 1) };
    assert_eq!(
        conflict(providers::insert(store, &sealer(), &same_name, &[value("k", "1")], 0).await),
        "providers.name"
    );
    assert_eq!(configs(database, "b").await, []);
    let rename = ProviderUpdate { name: Some("Echo".to_owned()), ..ProviderUpdate::default() };
    assert_eq!(conflict(providers::update(store, "a", &rename, 0).await), "providers.name");
}

async fn configs_are_merged(database: &Database) {
    let store = &database.store;
    provider_configs::put(store, &sealer(), "echo", &[value("b", "1"), value("a", "{}")], 1).await.unwrap();
    provider_configs::put(store, &sealer(), "echo", &[value("b", "2")], 2).await.unwrap();
    let read = provider_configs::list(store, "echo").await.unwrap();
    let short: Vec<_> = read.iter().map(|c| (&*c.key, &**c.value.expose(), c.updated_at)).collect();
    assert_eq!(short, [("a", "{}", 1), ("b", "2", 2)]);
    provider_configs::delete(store, "echo", "a").await.unwrap();
    let again = provider_configs::delete(store, "echo", "a").await;
    assert!(matches!(again, Err(Error::NotFound { entity: "config key" })), "{again:?}");
    assert_eq!(configs(database, "echo").await, [("b".to_owned(), "2".to_owned(), false)]);
}

/// Returns the number of values that contain a text unencrypted.
async fn in_clear(database: &Database, text: &str) -> i64 {
    database.number(&format!("SELECT COUNT(*) FROM provider_configs WHERE value LIKE '%{text}%'")).await
}

async fn secrets_are_sealed(database: &Database) {
    let store = &database.store;
    let values = [value("apiKey", "\"canary\""), value("cookies", "\"canary\""), value("baseURL", "\"plain\"")];
    providers::insert(store, &sealer(), &new("a", 1), &values, 0).await.unwrap();
    provider_configs::put(store, &sealer(), "echo", &values, 0).await.unwrap();
    assert_eq!((in_clear(database, "canary").await, in_clear(database, "plain").await), (0, 2));
    assert_eq!(configs(database, "a").await, configs(database, "echo").await);
    // A value sealed for one provider cannot be opened for another.
    database
        .execute(
            "UPDATE provider_configs SET value = (SELECT value FROM provider_configs WHERE provider_id = 'a' AND key = 'apiKey')
             WHERE provider_id = 'echo' AND key = 'apiKey'",
        )
        .await;
    let moved = provider_configs::list(store, "echo").await.unwrap();
    let moved = provider_configs::json(&sealer(), &moved[0]);
    assert!(matches!(moved, Err(Error::Sealed(_))), "{moved:?}");
}

async fn secrets_from_before_are_sealed_once(database: &Database) {
    for (key, sensitive) in [("apiKey", "TRUE"), ("cookies", "FALSE"), ("note", "TRUE"), ("plain", "FALSE")] {
        database
            .execute(&format!(
                "INSERT INTO provider_configs (provider_id, key, value, is_sensitive, created_at, updated_at)
                 VALUES ('echo', '{key}', 'canary', {sensitive}, 1, 1)"
            ))
            .await;
    }
    let before = configs(database, "echo").await;
    for sealed in [3, 0] {
        assert_eq!(provider_configs::seal_all(&database.store, &sealer()).await.unwrap(), sealed);
        assert_eq!(in_clear(database, "canary").await, 1);
        assert_eq!(configs(database, "echo").await, before);
    }
}

async fn a_nul_is_refused(database: &Database) {
    let refused = providers::insert(&database.store, &sealer(), &new("a\0b", 1), &[], 0).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
}
