use signalbox_core::schema::{ModelUpdate, NewModel};
use signalbox_store::models::{self, Filter};
use signalbox_store::{Error, Page};

use crate::fixture::{Database, on_both};

on_both!(made_read_changed_deleted, lists_are_ordered_filtered_and_cut, rows_of_the_original_are_read);

pub(crate) fn new(id: &str, capabilities: &[&str]) -> NewModel {
    NewModel {
        id: id.to_owned(),
        name: id.to_owned(),
        description: None,
        capabilities: capabilities.iter().map(|&word| word.to_owned()).collect(),
    }
}

async fn made_read_changed_deleted(database: &Database) {
    let store = &database.store;
    let made = models::insert(store, &new("org/m:free", &["chat", "a\"b"]), 5).await.unwrap();
    assert_eq!(made.capabilities, ["chat", "a\"b"]);
    assert_eq!(models::get(store, "org/m:free").await.unwrap(), made);
    let taken = models::insert(store, &new("org/m:free", &[]), 5).await;
    assert!(matches!(&taken, Err(Error::Conflict { entity }) if entity == "models.id"), "{taken:?}");

    let described = ModelUpdate { description: Some(Some("d".to_owned())), ..ModelUpdate::default() };
    let changed = models::update(store, "org/m:free", &described, 6).await.unwrap();
    assert_eq!((changed.description.as_deref(), changed.updated_at, changed.created_at), (Some("d"), 6, 5));
    assert_eq!(changed.capabilities, made.capabilities);
    let emptied = ModelUpdate { name: Some("n".to_owned()), description: Some(None), capabilities: Some(Vec::new()) };
    let changed = models::update(store, "org/m:free", &emptied, 7).await.unwrap();
    assert_eq!((&*changed.name, changed.description, changed.capabilities.len()), ("n", None, 0));

    models::delete(store, "org/m:free").await.unwrap();
    for missing in [
        models::get(store, "org/m:free").await.map(drop),
        models::update(store, "org/m:free", &emptied, 8).await.map(drop),
        models::delete(store, "org/m:free").await,
    ] {
        assert!(matches!(missing, Err(Error::NotFound { entity: "model" })), "{missing:?}");
    }
}

async fn lists_are_ordered_filtered_and_cut(database: &Database) {
    let store = &database.store;
    for (id, capabilities) in [("b", &["chat", "vision"][..]), ("a", &["vision"]), ("c", &["chatter"])] {
        models::insert(store, &new(id, capabilities), 0).await.unwrap();
    }
    let ids = async |filter: &Filter, limit, offset| {
        let listed = models::list(store, filter, Page { limit, offset }).await.unwrap();
        (listed.items.into_iter().map(|model| model.id).collect::<Vec<_>>().join(" "), listed.total)
    };
    assert_eq!(ids(&Filter::default(), 10, 0).await, ("a b c echo qwen3-max".to_owned(), 5));
    assert_eq!(ids(&Filter::default(), 2, 3).await, ("echo qwen3-max".to_owned(), 5));
    let capability = |word: &str| Filter { capability: Some(word.to_owned()), ..Filter::default() };
    assert_eq!(ids(&capability("vision"), 1, 1).await, ("b".to_owned(), 2));
    assert_eq!(ids(&capability("chat"), 10, 0).await.0, "b echo qwen3-max");
    let served = Filter { provider_id: Some("echo".to_owned()), ..Filter::default() };
    assert_eq!(ids(&served, 10, 0).await, ("echo".to_owned(), 1));
    let neither = Filter { capability: Some("vision".to_owned()), ..served };
    assert_eq!(ids(&neither, 10, 0).await, (String::new(), 0));
}

async fn rows_of_the_original_are_read(database: &Database) {
    database
        .execute(
            r#"INSERT INTO models (id, name, capabilities, created_at, updated_at) VALUES
               ('twice', 'twice', '"[\"chat\",\"completion\"]"', 1, 1), ('none', 'none', NULL, 1, 1),
               ('broken', 'broken', '[chat', 1, 1)"#,
        )
        .await;
    let store = &database.store;
    assert_eq!(models::get(store, "twice").await.unwrap().capabilities, ["chat", "completion"]);
    assert!(models::get(store, "none").await.unwrap().capabilities.is_empty());
    let broken = models::get(store, "broken").await;
    assert!(matches!(broken, Err(Error::Corrupt(_))), "{broken:?}");
}
