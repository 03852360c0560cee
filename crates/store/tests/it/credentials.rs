use signalbox_core::secret::Secret;
use signalbox_store::credentials::{self, NewCredential};
use signalbox_store::{Error, Sealer};

use crate::fixture::{Database, on_both, sealer};

on_both!(
    stored_sealed_and_read_back,
    the_newest_is_active_until_the_user_says_otherwise,
    the_newest_valid_login_succeeds_the_deleted_one,
    a_label_is_replaced,
    rows_from_before_are_sealed_on_first_use,
    another_key_opens_nothing,
    what_went_wrong_is_noted,
);

fn login(label: &str, token: &str) -> NewCredential {
    NewCredential {
        label: label.to_owned(),
        token: Secret::new(token.to_owned()),
        cookies: Secret::new(format!("token={token}")),
        expires_at: Some(100),
    }
}

async fn put(database: &Database, label: &str, token: &str) -> i64 {
    credentials::put(&database.store, &sealer(), &login(label, token), 5).await.unwrap()
}

/// Returns the token of the active login.
async fn active(database: &Database) -> Option<String> {
    let opened = credentials::active(&database.store, &sealer()).await.unwrap()?;
    assert_eq!(*opened.cookies.expose(), format!("token={}", opened.token.expose()));
    Some(opened.token.expose().clone())
}

/// Returns the number of rows that contain the text unencrypted.
async fn in_clear(database: &Database, text: &str) -> i64 {
    let count = format!("SELECT COUNT(*) FROM qwen_credentials WHERE token || cookies LIKE '%{text}%'");
    database.number(&count).await
}

async fn stored_sealed_and_read_back(database: &Database) {
    assert_eq!(active(database).await, None);
    let id = put(database, "mine", "canary").await;
    assert_eq!(active(database).await.as_deref(), Some("canary"));
    assert_eq!(in_clear(database, "canary").await, 0);
    let listed = credentials::list(&database.store).await.unwrap();
    assert_eq!(listed.len(), 1);
    let row = &listed[0];
    assert_eq!((row.id, &*row.label, row.expires_at, row.active), (id, "mine", Some(100), true));
    assert_eq!((row.created_at, row.updated_at, row.is_expired(99), row.is_expired(100)), (5, 5, false, true));
}

async fn the_newest_is_active_until_the_user_says_otherwise(database: &Database) {
    let store = &database.store;
    let one = put(database, "one", "t1").await;
    let two = put(database, "two", "t2").await;
    assert_eq!(active(database).await.as_deref(), Some("t2"));
    credentials::activate(store, one).await.unwrap();
    assert_eq!(active(database).await.as_deref(), Some("t1"));
    let order: Vec<i64> = credentials::list(store).await.unwrap().iter().map(|row| row.id).collect();
    assert_eq!(order, [one, two]);
    for missing in [credentials::activate(store, 99).await, credentials::delete(store, 99, 0).await.map(drop)] {
        assert!(matches!(missing, Err(Error::NotFound { entity: "credential" })), "{missing:?}");
    }
    assert_eq!(active(database).await.as_deref(), Some("t1"), "an invalid change has no effect");
    assert_eq!(credentials::delete_all(store).await.unwrap(), 2);
}

async fn the_newest_valid_login_succeeds_the_deleted_one(database: &Database) {
    let store = &database.store;
    // All expire at 100.
    let one = put(database, "one", "t1").await;
    let two = put(database, "two", "t2").await;
    let three = put(database, "three", "t3").await;
    assert_eq!(credentials::delete(store, one, 99).await.unwrap(), None, "the active one stays");
    assert_eq!(active(database).await.as_deref(), Some("t3"));
    assert_eq!(credentials::delete(store, three, 99).await.unwrap(), Some(two));
    assert_eq!(active(database).await.as_deref(), Some("t2"));
    let four = put(database, "four", "t4").await;
    assert_eq!(credentials::delete(store, four, 100).await.unwrap(), None, "the other one has expired");
    assert_eq!(active(database).await, None);
}

async fn a_label_is_replaced(database: &Database) {
    let id = put(database, "mine", "old").await;
    credentials::cool_down(&database.store, id, 9_000, "wait").await.unwrap();
    assert_eq!(put(database, "mine", "new").await, id);
    assert_eq!(active(database).await.as_deref(), Some("new"));
    let row = credentials::list(&database.store).await.unwrap().remove(0);
    assert_eq!((row.cooldown_until, row.last_error), (None, None));
}

async fn rows_from_before_are_sealed_on_first_use(database: &Database) {
    database
        .execute(
            "INSERT INTO qwen_credentials (token, cookies, active, created_at, updated_at)
             VALUES ('canary', 'token=canary', TRUE, 1, 1)",
        )
        .await;
    assert_eq!(in_clear(database, "canary").await, 1);
    for _ in 0..2 {
        assert_eq!(active(database).await.as_deref(), Some("canary"));
        assert_eq!(in_clear(database, "canary").await, 0);
    }
}

async fn another_key_opens_nothing(database: &Database) {
    put(database, "mine", "canary").await;
    let other = Sealer::new(&Secret::new([8; 32]));
    let refused = credentials::active(&database.store, &other).await;
    assert!(matches!(refused, Err(Error::Sealed(_))), "{refused:?}");
    // Swapping the secrets of two rows does not help either.
    put(database, "other", "canary2").await;
    database.execute("UPDATE qwen_credentials SET token = (SELECT token FROM qwen_credentials WHERE NOT active)").await;
    assert!(matches!(credentials::active(&database.store, &sealer()).await, Err(Error::Sealed(_))));
}

async fn what_went_wrong_is_noted(database: &Database) {
    let store = &database.store;
    let id = put(database, "mine", "t").await;
    credentials::cool_down(store, id, 9_000, "rate limited").await.unwrap();
    let row = credentials::active(store, &sealer()).await.unwrap().unwrap().row;
    assert_eq!((row.cooldown_until, row.last_error.as_deref()), (Some(9_000), Some("rate limited")));
    credentials::note(store, id, None).await.unwrap();
    let row = credentials::list(store).await.unwrap().remove(0);
    assert_eq!((row.cooldown_until, row.last_error), (Some(9_000), None));
}
