use http::HeaderMap;
use signalbox_core::secret::Secret;
use signalbox_store::credentials::NewCredential;

use super::*;

fn config(token: &str, guest: bool) -> LoginConfig {
    LoginConfig { token: Secret::new(token.into()), cookies: Secret::default(), guest }
}

async fn logins(token: &str, guest: bool) -> Logins {
    let store = Store::open("sqlite::memory:").await.unwrap();
    Logins::new(store, Sealer::new(&Secret::new([1; 32])), &config(token, guest))
}

async fn store(logins: &Logins, token: &str, expires_at: Option<i64>) -> i64 {
    let new = NewCredential {
        label: token.into(),
        token: Secret::new(token.into()),
        cookies: Secret::new("a=b".into()),
        expires_at,
    };
    credentials::put(&logins.store, &logins.sealer, &new, 1).await.unwrap()
}

/// Returns the token that is sent with this login.
fn token(login: &Result<Login, NoLogin>) -> String {
    let mut headers = HeaderMap::new();
    login.as_ref().unwrap().add_to(&mut headers);
    headers.get("bx-umidtoken").map_or("", |token| token.to_str().unwrap()).to_owned()
}

#[tokio::test]
async fn the_stored_login_takes_precedence_over_the_configured_one() {
    let logins = logins("env", false).await;
    assert_eq!(token(&logins.current(5_000).await), "env");
    let one = store(&logins, "one", Some(10)).await;
    assert_eq!(token(&logins.current(9_999).await), "one");
    assert_eq!(token(&logins.current(10_000).await), "env", "expired");
    store(&logins, "two", None).await;
    assert_eq!(token(&logins.current(10_000).await), "two", "a new login is used at once");
    credentials::activate(&logins.store, one).await.unwrap();
    assert_eq!(token(&logins.current(0).await), "one");
}

#[tokio::test]
async fn without_a_login_the_error_says_why() {
    let logins = logins("", false).await;
    assert_eq!(logins.current(0).await.unwrap_err(), NoLogin::Missing);
    store(&logins, "one", Some(10)).await;
    assert_eq!(logins.current(10_000).await.unwrap_err(), NoLogin::Expired);
    let other = Sealer::new(&Secret::new([2; 32]));
    let other = Logins::new(logins.store.clone(), other, &config("", true));
    assert!(matches!(other.current(0).await, Err(NoLogin::Unreadable(_))));
}

#[tokio::test]
async fn guests_send_no_credentials() {
    let login = logins("", true).await.current(0).await;
    assert_eq!((token(&login), login.unwrap().source), (String::new(), Source::Guest));
}

#[tokio::test]
async fn a_rate_limited_login_is_suspended() {
    let limited = Failure::RateLimited { retry_after: Some(Duration::from_secs(7)) };
    for logins in [logins("env", false).await, logins("", false).await] {
        if logins.configured.is_none() {
            store(&logins, "one", None).await;
        }
        let login = logins.current(0).await.unwrap();
        logins.record_failure(&login, &limited, 1_000).await;
        assert_eq!(logins.current(1_500).await.unwrap_err(), NoLogin::CoolingDown(Duration::from_secs(7)));
        logins.current(8_000).await.unwrap();
        store(&logins, "another", None).await;
        assert_eq!(token(&logins.current(1_500).await), "another", "another login is not suspended");
    }
}

#[tokio::test]
async fn a_login_failure_is_stored_until_the_login_works() {
    let logins = logins("", false).await;
    store(&logins, "one", None).await;
    let noted = async || credentials::list(&logins.store).await.unwrap().remove(0).last_error;
    let login = logins.current(0).await.unwrap();
    logins.record_failure(&login, &Failure::Empty, 0).await;
    assert_eq!(noted().await, None, "the failure is not caused by the login");
    logins.record_failure(&login, &Failure::Captcha, 0).await;
    assert!(noted().await.unwrap().contains("captcha"));
    logins.record_success(&logins.current(0).await.unwrap()).await;
    assert_eq!(noted().await, None);
}

#[tokio::test]
async fn the_last_known_login_is_used_without_the_database() {
    let logins = logins("", false).await;
    store(&logins, "one", None).await;
    logins.current(0).await.unwrap();
    logins.store.close().await;
    assert_eq!(token(&logins.current(0).await), "one");
}
