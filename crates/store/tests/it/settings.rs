use std::time::Duration;

use signalbox_store::{Error, settings};

use crate::fixture::{Database, on_both};

on_both!(written_read_reset, a_bad_pair_keeps_all_out, a_caller_who_gives_up_blocks_nobody);

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

async fn written_read_reset(database: &Database) {
    let store = &database.store;
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
    assert_eq!(settings::list(&database.store).await.unwrap(), []);
}

async fn a_caller_who_gives_up_blocks_nobody(database: &Database) {
    let store = &database.store;
    for step in 0..40 {
        let mine = format!("step.{step}.");
        let pairs = [pair(&format!("{mine}a"), "1"), pair(&format!("{mine}b"), "2")];
        // Wherever it is interrupted, it is done as a whole or not at all, and its connection is free again.
        drop(tokio::time::timeout(Duration::from_micros(step * 50), settings::put(store, &pairs, 1)).await);
        let all = settings::list(store).await.unwrap();
        let found = all.iter().filter(|setting| setting.key.starts_with(&mine)).count();
        assert!(found == 0 || found == 2, "{found}");
        settings::put(store, &[pair("c", "3")], 1).await.unwrap();
    }
}
