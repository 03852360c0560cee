use signalbox_core::openai::Model;
use signalbox_store::{catalog, model_lists, providers};

use crate::fixture::{Database, on_both};

on_both!(a_list_is_kept_until_it_changes, it_goes_with_its_provider, a_damaged_list_is_no_list, long_lists_are_kept);

fn models(ids: &[&str]) -> Vec<Model> {
    ids.iter().map(|id| Model::new(id, 7, "o")).collect()
}

async fn a_list_is_kept_until_it_changes(database: &Database) {
    let store = &database.store;
    assert_eq!(model_lists::list(store).await.unwrap(), []);
    let (url, both) = ("http://127.0.0.1:1/v1", models(&["b", "a"]));
    model_lists::put(store, "echo", url, &both, 1).await.unwrap();
    let version = catalog::version(store).await.unwrap();
    model_lists::put(store, "echo", url, &both, 2).await.unwrap();
    assert_eq!(catalog::version(store).await.unwrap(), version, "the same list is no change");
    let kept = model_lists::list(store).await.unwrap();
    assert_eq!((&*kept[0].provider_id, &*kept[0].base_url, &kept[0].models), ("echo", url, &both));
    assert_eq!((kept.len(), kept[0].updated_at), (1, 1));

    model_lists::put(store, "echo", "http://127.0.0.1:2/v1", &models(&[]), 3).await.unwrap();
    assert!(catalog::version(store).await.unwrap() > version);
    let kept = catalog::load(store).await.unwrap().lists;
    assert_eq!((&*kept[0].base_url, kept[0].models.len(), kept[0].updated_at), ("http://127.0.0.1:2/v1", 0, 3));
}

async fn it_goes_with_its_provider(database: &Database) {
    let store = &database.store;
    model_lists::put(store, "echo", "", &models(&["a"]), 1).await.unwrap();
    providers::delete(store, "echo").await.unwrap();
    // A provider's list may arrive after the provider was deleted.
    model_lists::put(store, "echo", "", &models(&["a"]), 1).await.unwrap();
    assert_eq!(model_lists::list(store).await.unwrap(), []);
}

async fn a_damaged_list_is_no_list(database: &Database) {
    let store = &database.store;
    model_lists::put(store, "echo", "", &models(&["a"]), 1).await.unwrap();
    database.execute("UPDATE model_lists SET models = '[{\"id\":'").await;
    let catalog = catalog::load(store).await.unwrap();
    assert!(catalog.lists[0].models.is_empty() && !catalog.providers.is_empty());
    model_lists::put(store, "echo", "", &models(&["a"]), 2).await.unwrap();
    assert_eq!(model_lists::list(store).await.unwrap()[0].models, models(&["a"]));
}

async fn long_lists_are_kept(database: &Database) {
    let ids: Vec<String> = (0..5000).map(|n| format!("vendor/model-{n}:free")).collect();
    let many = models(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    model_lists::put(&database.store, "echo", "", &many, 1).await.unwrap();
    assert_eq!(model_lists::list(&database.store).await.unwrap()[0].models, many);
}
