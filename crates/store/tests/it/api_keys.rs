use signalbox_core::schema::{
    ApiKeyFields, BudgetPeriod, KeyBudget, KeyGrant, KeyLimits, LimitQueue, NewApiKey, Priority,
};
use signalbox_store::api_keys::{self, Rotation};
use signalbox_store::catalog::{Change, KeyChanges, KnownKeys, change, load_since};
use signalbox_store::{Error, Page, audit, catalog};

use crate::fixture::{Database, on_both, sealer};

on_both!(
    a_key_is_kept_as_it_was_given,
    several_keys_are_created_together_or_not_at_all,
    a_rotated_key_keeps_the_previous_digest_for_a_while,
    a_revoked_key_stays_revoked,
    keys_are_part_of_the_catalogue,
    only_changed_keys_are_read_again,
    digests_are_not_audited,
    ten_thousand_keys_are_loaded,
);

fn fields(name: &str) -> ApiKeyFields {
    ApiKeyFields { name: name.into(), grant: KeyGrant::default(), expires_at: None }
}

fn new(id: &str) -> NewApiKey {
    let digest = format!("digest-of-{id}");
    NewApiKey { id: id.into(), hint: format!("sbx-{id}"), digest, fields: fields(&format!("name of {id}")) }
}

async fn a_key_is_kept_as_it_was_given(database: &Database) {
    let store = &database.store;
    let mut given = new("k");
    given.fields.expires_at = Some(99);
    given.fields.grant = KeyGrant {
        owner: Some("team".into()),
        tags: vec!["a".into(), "b".into()],
        models: Some(vec!["gpt-*".into()]),
        surfaces: Some(vec!["chat".into()]),
        addresses: Some(vec!["10.0.0.0/8".into()]),
        limits: KeyLimits {
            rpm: Some(60),
            tpm: Some(u64::from(u32::MAX)),
            concurrency: Some(4),
            queue: Some(LimitQueue { max_waiting: 5, timeout_ms: 100 }),
        },
        priority: Some(Priority::High),
        budget: Some(KeyBudget { amount_usd: 12.5, period: BudgetPeriod::Month }),
        log_bodies: Some("redact".into()),
        strict: true,
        guard: serde_json::from_value(serde_json::json!({"secrets": "redact", "cards": "refuse"})).unwrap(),
    };
    let made = api_keys::insert(store, &given, 5).await.unwrap();
    assert_eq!((&*made.id, &*made.name, &*made.hint), ("k", "name of k", "sbx-k"));
    assert_eq!((&*made.digest, &made.grant, made.expires_at), ("digest-of-k", &given.fields.grant, Some(99)));
    assert_eq!((made.previous_digest.as_deref(), made.revoked_at, made.updated_at), (None, None, 5));
    assert_eq!(api_keys::get(store, "k").await.unwrap(), made);

    let taken = NewApiKey { fields: fields("name of k"), ..new("l") };
    let taken = api_keys::insert(store, &taken, 6).await.unwrap_err();
    assert!(matches!(&taken, Error::Conflict { entity } if entity == "api_keys.name"), "{taken:?}");
    api_keys::insert(store, &new("l"), 6).await.unwrap();
    let taken = api_keys::update(store, "l", &fields("name of k"), 7).await.unwrap_err();
    assert!(matches!(&taken, Error::Conflict { entity } if entity == "api_keys.name"), "{taken:?}");

    let changed = api_keys::update(store, "k", &fields("another"), 8).await.unwrap();
    assert_eq!((&*changed.name, &changed.grant, changed.expires_at), ("another", &KeyGrant::default(), None));
    assert_eq!((changed.created_at, changed.updated_at, &*changed.digest), (5, 8, "digest-of-k"));
    let list = api_keys::list(store, Page { limit: 1, offset: 0 }).await.unwrap();
    assert_eq!((list.items, list.total), (vec![changed], 2));
    api_keys::delete(store, "k").await.unwrap();
    for missing in [
        api_keys::get(store, "k").await.map(drop),
        api_keys::update(store, "k", &fields("x"), 8).await.map(drop),
        api_keys::revoke(store, "k", 8).await.map(drop),
        api_keys::delete(store, "k").await,
    ] {
        assert!(matches!(missing.unwrap_err(), Error::NotFound { entity: "key" }));
    }
}

fn rotation(digest: &str, previous_expires_at: Option<i64>) -> Rotation {
    Rotation { hint: format!("sbx-{digest}"), digest: digest.into(), previous_expires_at }
}

async fn several_keys_are_created_together_or_not_at_all(database: &Database) {
    let store = &database.store;
    api_keys::insert_all(store, &[], 5).await.unwrap();
    api_keys::insert_all(store, &[new("k"), new("l")], 5).await.unwrap();
    assert_eq!(
        (api_keys::get(store, "k").await.unwrap().created_at, &*api_keys::get(store, "l").await.unwrap().digest),
        (5, "digest-of-l")
    );
    let taken = NewApiKey { fields: fields("name of k"), ..new("n") };
    let taken = api_keys::insert_all(store, &[new("m"), taken], 6).await.unwrap_err();
    assert!(matches!(&taken, Error::Conflict { entity } if entity == "api_keys.name"), "{taken:?}");
    assert_eq!(api_keys::list(store, Page::ALL).await.unwrap().total, 2);
}

async fn a_rotated_key_keeps_the_previous_digest_for_a_while(database: &Database) {
    let store = &database.store;
    api_keys::insert(store, &new("k"), 1).await.unwrap();
    let rotated = api_keys::rotate(store, "k", &rotation("second", Some(50)), 2).await.unwrap();
    assert_eq!((&*rotated.digest, &*rotated.hint, rotated.updated_at), ("second", "sbx-second", 2));
    assert_eq!((rotated.previous_digest.as_deref(), rotated.previous_expires_at), (Some("digest-of-k"), Some(50)));
    let rotated = api_keys::rotate(store, "k", &rotation("third", None), 3).await.unwrap();
    assert_eq!(
        (&*rotated.digest, rotated.previous_digest.as_deref(), rotated.previous_expires_at),
        ("third", Some("second"), None),
        "known as one that has ended"
    );
    let missing = api_keys::rotate(store, "none", &rotation("fourth", None), 3).await.unwrap_err();
    assert!(matches!(missing, Error::NotFound { .. }));
}

async fn a_revoked_key_stays_revoked(database: &Database) {
    let store = &database.store;
    api_keys::insert(store, &new("k"), 1).await.unwrap();
    api_keys::rotate(store, "k", &rotation("second", Some(50)), 2).await.unwrap();
    let revoked = api_keys::revoke(store, "k", 3).await.unwrap();
    assert_eq!((revoked.revoked_at, revoked.previous_expires_at, revoked.updated_at), (Some(3), None, 3));
    assert_eq!(api_keys::revoke(store, "k", 4).await.unwrap(), revoked);
    let refused = api_keys::rotate(store, "k", &rotation("third", None), 5).await.unwrap_err();
    assert!(matches!(refused, Error::NotFound { .. }));
    assert_eq!(api_keys::update(store, "k", &fields("renamed"), 6).await.unwrap().revoked_at, Some(3));
}

async fn keys_are_part_of_the_catalogue(database: &Database) {
    let store = &database.store;
    let mut versions = vec![catalog::version(store).await.unwrap()];
    api_keys::insert(store, &new("k"), 1).await.unwrap();
    versions.push(catalog::version(store).await.unwrap());
    assert_eq!(catalog::load(store).await.unwrap().keys, api_keys::list(store, Page::ALL).await.unwrap().items);
    api_keys::revoke(store, "k", 2).await.unwrap();
    versions.push(catalog::version(store).await.unwrap());

    let apply = async |id: &str| {
        let version = catalog::version(store).await.unwrap();
        let changes = [Change::Key { id: id.into(), fields: fields("renamed") }, Change::Prices("{}".into())];
        change(store, &sealer(), version, &changes, 7).await
    };
    assert!(matches!(apply("none").await.unwrap_err(), Error::NotFound { entity: "key" }));
    assert_eq!(catalog::load(store).await.unwrap().prices, None, "nothing is applied");
    assert!(apply("k").await.unwrap());
    let loaded = catalog::load(store).await.unwrap();
    assert_eq!((&*loaded.keys[0].name, loaded.prices.as_deref()), ("renamed", Some("{}")));
    versions.push(loaded.version);
    api_keys::delete(store, "k").await.unwrap();
    versions.push(catalog::version(store).await.unwrap());
    assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
    let version = catalog::version(store).await.unwrap();
    assert!(change(store, &sealer(), version, &[Change::DeletePrices], 8).await.unwrap());
    assert_eq!(catalog::load(store).await.unwrap().prices, None);
}

/// Returns the names of the keys that were read, and the ids that are gone.
fn read(changes: &KeyChanges) -> (Vec<&str>, Vec<&str>) {
    let mut gone: Vec<&str> = changes.gone.iter().map(|id| &**id).collect();
    gone.sort_unstable();
    (changes.rows.iter().map(|key| &*key.name).collect(), gone)
}

async fn only_changed_keys_are_read_again(database: &Database) {
    let store = &database.store;
    let insert = "INSERT INTO api_keys (id, name, hint, digest, document, created_at, updated_at)
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000)
        SELECT 'k' || n, 'name ' || n, 'sbx-', 'd' || n, '{}', 1, 1 FROM n";
    database.execute(insert).await;
    let (_, changes, known) = load_since(store, &KnownKeys::default()).await.unwrap();
    assert_eq!((changes.rows.len(), changes.is_complete), (10_000, true));

    let next = async |known: &KnownKeys| {
        let (catalog, changes, known) = load_since(store, known).await.unwrap();
        assert!(catalog.keys.is_empty() && !changes.is_complete);
        (changes, known)
    };
    api_keys::update(store, "k7", &fields("seven"), 2).await.unwrap();
    let (changes, known) = next(&known).await;
    assert_eq!(read(&changes), (vec!["seven"], vec![]));
    signalbox_store::settings::put(store, &[("active_provider".to_owned(), "echo".to_owned())], 3).await.unwrap();
    let (changes, known) = next(&known).await;
    assert_eq!(read(&changes), (vec![], vec![]), "another part of the catalogue has changed");

    // Also what was written by hand, without a new time of the change.
    database.execute("UPDATE api_keys SET revoked_at = 9 WHERE id = 'k8'").await;
    database.execute("DELETE FROM api_keys WHERE id IN ('k1', 'k2')").await;
    api_keys::insert(store, &new("k2"), 4).await.unwrap();
    database.execute("UPDATE api_keys SET id = 'moved' WHERE id = 'k3'").await;
    let (changes, known) = next(&known).await;
    assert_eq!(read(&changes), (vec!["name 3", "name 8", "name of k2"], vec!["k1", "k3"]));
    assert_eq!(changes.rows[1].revoked_at, Some(9));

    database.execute("UPDATE api_keys SET document = '{' WHERE id = 'k9'").await;
    let (changes, known) = next(&known).await;
    assert_eq!(read(&changes), (vec![], vec!["k9"]), "a key that cannot be read is not accepted");
    api_keys::update(store, "k9", &fields("nine"), 5).await.unwrap();
    let (changes, known) = next(&known).await;
    assert_eq!(read(&changes), (vec!["nine"], vec![]));

    database.execute("DELETE FROM api_keys").await;
    let (changes, known) = next(&known).await;
    assert_eq!((changes.rows.len(), changes.gone.len()), (0, 9_999));
    // An older catalogue in place of the last one is read whole.
    database.execute("UPDATE catalog_version SET version = 2").await;
    assert!(load_since(store, &known).await.unwrap().1.is_complete);
}

async fn digests_are_not_audited(database: &Database) {
    let store = &database.store;
    api_keys::insert(store, &new("k"), 1).await.unwrap();
    let second = Rotation { hint: "sbx-2".into(), ..rotation("digest-of-second", Some(50)) };
    api_keys::rotate(store, "k", &second, 2).await.unwrap();
    api_keys::revoke(store, "k", 3).await.unwrap();
    api_keys::delete(store, "k").await.unwrap();
    let filter = audit::Filter { resource: Some("key".to_owned()), ..audit::Filter::default() };
    let entries = audit::list(store, &filter, Page::ALL).await.unwrap().items;
    let actions: Vec<_> = entries.iter().rev().map(|entry| &*entry.action).collect();
    assert_eq!(actions, ["created", "updated", "updated", "deleted"]);
    assert!(entries.iter().all(|entry| entry.resource_id == "k" && !format!("{entry:?}").contains("digest")));
    let created = entries[3].after.clone().unwrap();
    let expected = serde_json::json!({"name": "name of k", "hint": "sbx-k", "document": created["document"],
        "previous_expires_at": null, "expires_at": null, "revoked_at": null});
    assert_eq!(created, expected);
    assert_eq!(entries[1].after.as_ref().unwrap()["revoked_at"], 3);
}

async fn ten_thousand_keys_are_loaded(database: &Database) {
    let insert = "INSERT INTO api_keys (id, name, hint, digest, document, created_at, updated_at)
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000)
        SELECT 'k' || n, 'name ' || n, 'sbx-', 'd' || n, '{\"limits\":{\"rpm\":5}}', 1, 1 FROM n";
    database.execute(insert).await;
    let keys = catalog::load(&database.store).await.unwrap().keys;
    assert_eq!(keys.len(), 10_000);
    assert!(keys.iter().all(|key| key.grant.limits.rpm == Some(5)));
}
