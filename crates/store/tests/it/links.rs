use signalbox_core::schema::ModelUpdate;
use signalbox_store::provider_models::{self, NewLink};
use signalbox_store::{Error, models, providers};

use crate::fixture::{Database, on_both, sealer};
use crate::providers::new;

on_both!(
    a_list_adds_and_changes_nothing_else,
    linked_listed_unlinked,
    there_is_one_default,
    ends_take_their_links_along,
    rivals_for_the_default_take_turns
);

fn link(provider_id: &str, model_id: &str, is_default: bool) -> NewLink {
    NewLink {
        provider_id: provider_id.to_owned(),
        model_id: model_id.to_owned(),
        is_default,
        config: Some(r#"{"upstream_model":"x"}"#.to_owned()),
    }
}

/// Returns the models of a provider, with the default in capitals.
async fn links(database: &Database, provider: &str) -> String {
    let links = provider_models::list(&database.store, provider).await.unwrap();
    let name = |link: &signalbox_core::schema::LinkedModel| match link.is_default {
        true => link.model.id.to_uppercase(),
        false => link.model.id.clone(),
    };
    links.iter().map(name).collect::<Vec<_>>().join(" ")
}

async fn prepare(database: &Database) {
    for id in ["a", "b", "c"] {
        models::insert(&database.store, &crate::models::new(id, &[]), 0).await.unwrap();
    }
    providers::insert(&database.store, &sealer(), &crate::providers::new("p", 99), &[], 0).await.unwrap();
}

async fn linked_listed_unlinked(database: &Database) {
    let store = &database.store;
    prepare(database).await;
    let made = provider_models::link(store, &link("p", "b", false), 3).await.unwrap();
    assert_eq!((&*made.provider_id, &*made.model_id, made.is_default, made.created_at), ("p", "b", false, 3));
    assert_eq!(made.config.as_deref(), Some(r#"{"upstream_model":"x"}"#));
    provider_models::link(store, &link("p", "a", false), 3).await.unwrap();
    assert_eq!(links(database, "p").await, "a b");

    let again = provider_models::link(store, &link("p", "b", true), 3).await;
    assert!(
        matches!(&again, Err(Error::Conflict { entity }) if entity == "provider_models.provider_id, provider_models.model_id"),
        "{again:?}"
    );
    let nobody = provider_models::link(store, &link("x", "b", false), 3).await;
    assert!(matches!(nobody, Err(Error::NotFound { entity: "provider" })), "{nobody:?}");
    let nothing = provider_models::link(store, &link("p", "x", false), 3).await;
    assert!(matches!(nothing, Err(Error::NotFound { entity: "model" })), "{nothing:?}");

    provider_models::unlink(store, "p", "b").await.unwrap();
    let again = provider_models::unlink(store, "p", "b").await;
    assert!(matches!(again, Err(Error::NotFound { entity: "link" })), "{again:?}");
    assert_eq!(links(database, "p").await, "a");
}

async fn there_is_one_default(database: &Database) {
    let store = &database.store;
    prepare(database).await;
    for model in ["a", "b", "c"] {
        provider_models::link(store, &link("p", model, model != "c"), 0).await.unwrap();
    }
    assert_eq!(links(database, "p").await, "B a c");
    let row = provider_models::set_default(store, "p", "c", 9).await.unwrap();
    assert_eq!((row.is_default, row.updated_at), (true, 9));
    assert_eq!(links(database, "p").await, "C a b");
    provider_models::set_default(store, "p", "c", 9).await.unwrap();
    let unlinked = provider_models::set_default(store, "p", "echo", 9).await;
    assert!(matches!(unlinked, Err(Error::NotFound { entity: "link" })), "{unlinked:?}");
    assert_eq!(links(database, "p").await, "C a b", "the failed change has not cleared the default");
    let nobody = provider_models::set_default(store, "x", "c", 9).await;
    assert!(matches!(nobody, Err(Error::NotFound { entity: "provider" })), "{nobody:?}");
}

async fn ends_take_their_links_along(database: &Database) {
    let store = &database.store;
    prepare(database).await;
    for (provider, model) in [("p", "a"), ("p", "b"), ("echo", "a")] {
        provider_models::link(store, &link(provider, model, false), 0).await.unwrap();
    }
    let serving = provider_models::providers_of(store, "a").await.unwrap();
    assert_eq!(serving.iter().map(|linked| &*linked.provider.id).collect::<Vec<_>>(), ["p", "echo"]);
    models::delete(store, "b").await.unwrap();
    assert_eq!(links(database, "p").await, "a");
    providers::delete(store, "p").await.unwrap();
    assert_eq!(links(database, "p").await, "");
    assert_eq!(provider_models::providers_of(store, "a").await.unwrap().len(), 1);
    models::get(store, "a").await.unwrap();
}

async fn rivals_for_the_default_take_turns(database: &Database) {
    let store = &database.store;
    prepare(database).await;
    for model in ["a", "b"] {
        provider_models::link(store, &link("p", model, false), 0).await.unwrap();
    }
    for round in 0..10 {
        let (a, b) = tokio::join!(
            provider_models::set_default(store, "p", "a", round),
            provider_models::set_default(store, "p", "b", round),
        );
        a.unwrap();
        b.unwrap();
        let links = links(database, "p").await;
        assert!(links == "A b" || links == "B a", "{links}");
    }
}

async fn a_list_adds_and_changes_nothing_else(database: &Database) {
    let store = &database.store;
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    providers::insert(store, &sealer(), &new("p", 1), &[], 1).await.unwrap();
    let synced = provider_models::sync(store, "p", &ids(&["b", "a"]), 2).await.unwrap();
    assert_eq!(synced, provider_models::Synced { models_added: 2, links_added: 2 });
    let linked = async || {
        let all = provider_models::list(store, "p").await.unwrap();
        all.into_iter().map(|linked| (linked.model.id, linked.is_default)).collect::<Vec<_>>()
    };
    let row = |id: &str, default| (id.to_owned(), default);
    assert_eq!(
        linked().await,
        [row("b", true), row("a", false)],
        "the first listed model is the default of a provider without one"
    );
    let model = models::get(store, "a").await.unwrap();
    assert_eq!(model.description.as_deref(), Some("a - Discovered from p"));
    assert_eq!(model.capabilities, ["chat", "completion"]);

    // Later changes by the user are kept.
    provider_models::set_default(store, "p", "a", 3).await.unwrap();
    let described = ModelUpdate { description: Some(Some("mine".to_owned())), ..ModelUpdate::default() };
    models::update(store, "b", &described, 3).await.unwrap();
    let again = provider_models::sync(store, "p", &ids(&["c", "b"]), 4).await.unwrap();
    assert_eq!(again, provider_models::Synced { models_added: 1, links_added: 1 });
    assert_eq!(linked().await, [row("a", true), row("b", false), row("c", false)]);
    assert_eq!(models::get(store, "b").await.unwrap().description.as_deref(), Some("mine"));
    assert_eq!(provider_models::sync(store, "p", &[], 5).await.unwrap(), provider_models::Synced::default());
    let unknown = provider_models::sync(store, "nobody", &ids(&["a"]), 6).await;
    assert!(matches!(unknown, Err(Error::NotFound { entity: "provider" })), "{unknown:?}");
}
