use signalbox_store::exchanges::{SessionRef, record};
use signalbox_store::{Error, catalog, settings};

use crate::exchanges::whole;
use crate::fixture::{Database, on_both, sealer};
use crate::providers::value;

on_both!(
    every_change_of_the_catalogue_changes_the_version,
    nothing_else_does,
    a_snapshot_holds_everything,
    a_conditional_write_needs_the_version_that_was_read
);

async fn every_change_of_the_catalogue_changes_the_version(database: &Database) {
    let store = &database.store;
    let mut before = catalog::version(store).await.unwrap();
    for change in [
        "INSERT INTO providers (id, name, type, created_at, updated_at) VALUES ('p', 'P', 'openai', 1, 1)",
        "UPDATE providers SET enabled = FALSE WHERE id = 'p'",
        "INSERT INTO provider_configs (provider_id, key, value, created_at, updated_at) VALUES ('p', 'k', '1', 1, 1)",
        "UPDATE provider_configs SET value = '2' WHERE provider_id = 'p'",
        "INSERT INTO models (id, name, created_at, updated_at) VALUES ('m', 'M', 1, 1)",
        "UPDATE models SET name = 'N' WHERE id = 'm'",
        "INSERT INTO provider_models (provider_id, model_id, created_at, updated_at) VALUES ('p', 'm', 1, 1)",
        "UPDATE provider_models SET config = '{}' WHERE provider_id = 'p'",
        "INSERT INTO model_lists (provider_id, base_url, models, updated_at) VALUES ('p', 'b', '[]', 1)",
        "UPDATE model_lists SET models = '[ ]' WHERE provider_id = 'p'",
        "DELETE FROM model_lists WHERE provider_id = 'p'",
        "INSERT INTO settings (key, value, updated_at) VALUES ('s', '1', 1)",
        "UPDATE settings SET value = '2' WHERE key = 's'",
        "DELETE FROM settings WHERE key = 's'",
        "INSERT INTO routes (id, model, document, created_at, updated_at) VALUES ('r', 'm', '{}', 1, 1)",
        "UPDATE routes SET enabled = FALSE WHERE id = 'r'",
        "DELETE FROM routes WHERE id = 'r'",
        "INSERT INTO api_keys (id, name, hint, digest, document, created_at, updated_at)
         VALUES ('k', 'K', 'h', 'd', '{}', 1, 1)",
        "UPDATE api_keys SET revoked_at = 1 WHERE id = 'k'",
        "DELETE FROM api_keys WHERE id = 'k'",
        "DELETE FROM provider_models WHERE provider_id = 'p'",
        "DELETE FROM models WHERE id = 'm'",
        "DELETE FROM provider_configs WHERE provider_id = 'p'",
        "DELETE FROM providers WHERE id = 'p'",
    ] {
        database.execute(change).await;
        let after = catalog::version(store).await.unwrap();
        assert!(after > before, "{change}");
        before = after;
    }
}

async fn nothing_else_does(database: &Database) {
    let store = &database.store;
    let before = catalog::version(store).await.unwrap();
    record(store, &[whole("r", 1, SessionRef::Opens)]).await.unwrap();
    database.execute("UPDATE responses SET truncated = TRUE").await;
    database.execute("INSERT INTO metadata (key, value, updated_at) VALUES ('k', 'v', 1)").await;
    database
        .execute("INSERT INTO qwen_credentials (token, cookies, created_at, updated_at) VALUES ('t', 'c', 1, 1)")
        .await;
    database
        .execute(
            "INSERT INTO errors (error_id, timestamp, error_type, error_message, severity, created_at)
             VALUES ('e', 1, 't', 'm', 's', 1)",
        )
        .await;
    database.execute("DELETE FROM sessions").await;
    // A transaction that is rolled back does not change the version.
    database.execute("BEGIN; DELETE FROM providers; ROLLBACK").await;
    assert_eq!(catalog::version(store).await.unwrap(), before);
}

async fn a_snapshot_holds_everything(database: &Database) {
    let store = &database.store;
    signalbox_store::provider_configs::put(store, &sealer(), "echo", &[value("b", "1"), value("a", "2")], 1)
        .await
        .unwrap();
    signalbox_store::settings::put(store, &[("k".to_owned(), "v".to_owned())], 1).await.unwrap();
    let catalog = catalog::load(store).await.unwrap();
    assert_eq!(catalog.version, catalog::version(store).await.unwrap());
    assert_eq!(catalog.settings, signalbox_store::settings::list(store).await.unwrap());
    let ids: Vec<_> = catalog.providers.iter().map(|(provider, ..)| &*provider.id).collect();
    assert_eq!(ids, ["lm-studio-default", "qwen-proxy-default", "echo"]);
    let (_, configs, models) = catalog.providers.last().unwrap();
    assert_eq!(configs.iter().map(|config| &*config.key).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(*models, signalbox_store::provider_models::list(store, "echo").await.unwrap());
    assert_eq!(models.len(), 1);
}

async fn a_conditional_write_needs_the_version_that_was_read(database: &Database) {
    let store = &database.store;
    let put = async |value: &str| settings::put(store, &[("mine".to_owned(), value.to_owned())], 1).await;
    let value = async || settings::get(store, "mine").await.unwrap().map(|row| row.value);
    let version = catalog::version(store).await.unwrap();
    catalog::only_at(version, put("a")).await.unwrap();
    assert!(matches!(catalog::only_at(version, put("b")).await, Err(Error::Stale)), "the first write changed it");
    assert_eq!(value().await.as_deref(), Some("a"));
    put("c").await.unwrap();
    let version = catalog::version(store).await.unwrap();
    // Of writers with the same version, one succeeds.
    let writers = ["d", "e", "f"].map(|value| catalog::only_at(version, put(value)));
    let [first, second, third] = writers;
    let (first, second, third) = tokio::join!(first, second, third);
    let done = [first, second, third].iter().filter(|done| done.is_ok()).count();
    assert_eq!(done, 1);
}
