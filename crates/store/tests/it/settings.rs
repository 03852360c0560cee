use std::time::Duration;

use signalbox_core::secret::Secret;
use signalbox_store::credentials::{self, NewCredential};
use signalbox_store::settings::ACTIVE_PROVIDER;
use signalbox_store::{Error, Store, settings};

use crate::fixture::{Database, on_both, sealer};

on_both!(
    written_read_reset,
    a_bad_pair_keeps_all_out,
    a_caller_that_gives_up_blocks_no_other,
    the_first_login_replaces_an_active_provider_that_was_not_chosen,
    a_choice_is_kept_even_if_it_is_what_was_seeded,
    a_login_cannot_choose_a_disabled_provider,
);

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

async fn written_read_reset(database: &Database) {
    let store = &database.store;
    assert!(settings::delete(store, ACTIVE_PROVIDER).await.unwrap(), "the defaults of every new database");
    assert_eq!(settings::list(store).await.unwrap(), []);
    assert_eq!(settings::get(store, "server.port").await.unwrap(), None);
    settings::put(store, &[pair("server.port", "3001"), pair("logging.level", "info")], 1).await.unwrap();
    settings::put(store, &[pair("server.port", "3005")], 2).await.unwrap();
    let all = settings::list(store).await.unwrap();
    let short: Vec<_> = all.iter().map(|s| (&*s.key, &*s.value, s.updated_at)).collect();
    assert_eq!(short, [("logging.level", "info", 1), ("server.port", "3005", 2)]);
    assert_eq!(settings::get(store, "server.port").await.unwrap().as_ref(), all.last());
    assert!(settings::delete(store, "server.port").await.unwrap());
    assert!(!settings::delete(store, "server.port").await.unwrap());
}

async fn a_bad_pair_keeps_all_out(database: &Database) {
    let refused = settings::put(&database.store, &[pair("a", "1"), pair("b", "\0")], 1).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    for key in ["a", "b"] {
        assert_eq!(settings::get(&database.store, key).await.unwrap(), None);
    }
}

async fn active(store: &Store) -> (String, bool) {
    let setting = settings::get(store, ACTIVE_PROVIDER).await.unwrap().unwrap();
    (setting.value, settings::is_seeded(store, ACTIVE_PROVIDER).await.unwrap())
}

async fn login(store: &Store, label: &str) {
    let new = NewCredential {
        label: label.to_owned(),
        token: Secret::new("t".to_owned()),
        cookies: Secret::new("c".to_owned()),
        expires_at: None,
    };
    credentials::put(store, &sealer(), &new, 1).await.unwrap();
}

async fn the_first_login_replaces_an_active_provider_that_was_not_chosen(database: &Database) {
    let store = &database.store;
    assert_eq!(active(store).await, ("echo".to_owned(), true));
    login(store, "a").await;
    assert_eq!(active(store).await, ("qwen-proxy-default".to_owned(), false));
    settings::put(store, &[pair(ACTIVE_PROVIDER, "lm-studio-default")], 1).await.unwrap();
    login(store, "b").await;
    assert_eq!(active(store).await, ("lm-studio-default".to_owned(), false), "it was selected explicitly");
    settings::delete(store, ACTIVE_PROVIDER).await.unwrap();
    login(store, "c").await;
    assert_eq!(settings::get(store, ACTIVE_PROVIDER).await.unwrap(), None, "no value was chosen");
}

async fn a_choice_is_kept_even_if_it_is_what_was_seeded(database: &Database) {
    let store = &database.store;
    settings::put(store, &[pair(ACTIVE_PROVIDER, "echo")], 1).await.unwrap();
    login(store, "a").await;
    assert_eq!(active(store).await, ("echo".to_owned(), false));
}

async fn a_login_cannot_choose_a_disabled_provider(database: &Database) {
    let store = &database.store;
    database.execute("UPDATE providers SET enabled = FALSE WHERE type = 'qwen-proxy'").await;
    login(store, "a").await;
    assert_eq!(active(store).await, ("echo".to_owned(), true));
}

async fn a_caller_that_gives_up_blocks_no_other(database: &Database) {
    let store = &database.store;
    for step in 0..40 {
        let mine = format!("step.{step}.");
        let pairs = [pair(&format!("{mine}a"), "1"), pair(&format!("{mine}b"), "2")];
        // A cancelled write is applied completely or not at all, and its connection is released.
        drop(tokio::time::timeout(Duration::from_micros(step * 50), settings::put(store, &pairs, 1)).await);
        let all = settings::list(store).await.unwrap();
        let found = all.iter().filter(|setting| setting.key.starts_with(&mine)).count();
        assert!(found == 0 || found == 2, "{found}");
        settings::put(store, &[pair("c", "3")], 1).await.unwrap();
    }
}
