use std::net::IpAddr;

use signalbox_core::schema::{ApiKey, KeyGrant};

use super::issued::tests::{hex, key};
use super::*;
use crate::caller::CallerKind;

fn keys(keys: &[&str]) -> ClientKeys {
    let client_keys = keys.iter().map(|key| Secret::new((*key).to_owned())).collect();
    ClientKeys::new(&AuthConfig { client_keys, insecure_no_auth: false })
}

fn headers(name: &'static str, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static(name), http::HeaderValue::from_static(value))])
}

fn admits(keys: &ClientKeys, headers: &HeaderMap) -> bool {
    keys.admit(headers, None).is_ok()
}

#[test]
fn wrong_keys_are_counted_and_valid_keys_always_pass() {
    let (keys, peer) = (keys(&["sk-one"]), PeerAddr("192.0.2.1:5000".parse().unwrap()));
    let (wrong, right) = (headers("x-api-key", "sk-two"), headers("x-api-key", "sk-one"));
    let mut denied = (0..100).map(|_| keys.admit(&wrong, Some(&peer)).unwrap_err());
    assert!(denied.by_ref().take(20).all(|denied| denied == Denied::Unknown));
    assert!(denied.all(|denied| matches!(denied.retry_after(), Some(1..=3))));
    assert_eq!(keys.clone().admit(&right, Some(&peer)), Ok(()));
    assert!(keys.admit_with(&HeaderMap::new(), Some("sk-three"), Some(&peer)).unwrap_err().retry_after().is_some());
    assert_eq!(
        keys.admit(&headers("x-api-key", ""), Some(&peer)),
        Err(Denied::Unknown),
        "a missing key does not count as a wrong one"
    );
    let other = PeerAddr("192.0.2.2:5000".parse().unwrap());
    assert_eq!(keys.admit(&wrong, Some(&other)), Err(Denied::Unknown));
}

#[test]
fn any_configured_key_is_accepted_in_either_header() {
    let keys = keys(&["sk-one", "sk-two"]);
    assert!(admits(&keys, &headers("authorization", "Bearer sk-one")));
    assert!(admits(&keys, &headers("authorization", "bearer  sk-two ")));
    assert!(admits(&keys, &headers("x-api-key", "sk-two")));
    // base64 of `me:sk-two`
    assert!(admits(&keys, &headers("authorization", "Basic bWU6c2stdHdv")));
}

fn admitted(keys: &ClientKeys, issued: &IssuedKeys, key: &str, peer: &str) -> Result<Option<String>, Denied> {
    let mut request = Request::builder().header("x-api-key", key).body(()).unwrap();
    request.extensions_mut().insert(PeerAddr(peer.parse().unwrap()));
    keys.admit_request(&request, issued).map(|caller| caller.map(|caller| caller.id().to_owned()))
}

const HERE: &str = "192.0.2.1:5000";

#[test]
fn keys_of_the_configuration_are_callers() {
    let keys = keys(&["sk-one", "sk-two"]);
    let id = |key| admitted(&keys, &IssuedKeys::default(), key, HERE);
    assert_eq!([id("sk-one"), id("sk-two")], ["config-1", "config-2"].map(|id| Ok(Some(id.to_owned()))));
    assert_eq!(id("sk-three"), Err(Denied::Unknown));
}

#[test]
fn of_equal_keys_the_last_one_counts() {
    let secrets = ["a", "b", "a"].map(|key| Secret::new(key.to_owned()));
    let keys = ClientKeys::with_bodies(secrets.iter().zip([None, None, Some("off")]));
    let caller = keys.configured(&digest(&SHA256, b"a")).unwrap();
    assert_eq!((caller.id(), caller.grant().log_bodies.as_deref()), ("config-3", Some("off")));
}

#[test]
fn issued_keys_are_callers_beside_those_of_the_configuration() {
    let grant = KeyGrant { addresses: Some(vec!["192.0.2.0/24".to_owned()]), ..KeyGrant::default() };
    let rows = [
        key("k1", &hex("sbx-one"), KeyGrant::default()),
        ApiKey { revoked_at: Some(1), ..key("k2", &hex("sbx-two"), KeyGrant::default()) },
        ApiKey { expires_at: Some(1), ..key("k3", &hex("sbx-three"), KeyGrant::default()) },
        key("k4", &hex("sbx-four"), grant),
    ];
    let issued = IssuedKeys::new(&rows);
    for keys in [keys(&[]), keys(&["sk-one"])] {
        let admitted = |key, peer| admitted(&keys, &issued, key, peer);
        assert_eq!(admitted("sbx-one", HERE), Ok(Some("k1".to_owned())));
        assert_eq!(admitted("sbx-four", HERE), Ok(Some("k4".to_owned())));
        let outside: IpAddr = "198.51.100.1".parse().unwrap();
        assert_eq!(admitted("sbx-four", "198.51.100.1:80"), Err(Denied::Address(Some(outside))));
        // Valid once, so no guesses: they do not count.
        for _ in 0..100 {
            assert_eq!(admitted("sbx-two", HERE), Err(Denied::Revoked));
            assert_eq!(admitted("sbx-three", HERE), Err(Denied::Expired));
        }
        assert_eq!(admitted("", HERE), Err(Denied::Unknown));
    }
    assert_eq!(admitted(&keys(&["sk-one"]), &issued, "sk-one", HERE), Ok(Some("config-1".to_owned())));
}

#[test]
fn without_any_key_a_service_is_open_unless_others_can_reach_it() {
    let none = IssuedKeys::default();
    assert_eq!(admitted(&keys(&[]), &none, "anything", HERE), Ok(None));
    assert_eq!(admitted(&keys(&[]).always_needed(), &none, "anything", HERE), Err(Denied::Unknown));
}

#[test]
fn other_services_of_the_installation_need_no_key() {
    let signer = ServiceSigner::new(&Secret::new([1; 32]));
    let keys = keys(&["sk-one"]).with_services(signer.clone());
    let mut request = Request::builder().uri("/v1/providers").body(()).unwrap();
    assert_eq!(keys.admit_request(&request, &IssuedKeys::default()).unwrap_err(), Denied::Unknown);
    let (name, value) = signer.sign(request.method(), "/v1/providers", unix_ms()).unwrap();
    request.headers_mut().insert(name, value);
    let caller = keys.admit_request(&request, &IssuedKeys::default()).unwrap().unwrap();
    assert_eq!(caller.kind(), CallerKind::Service);
}

#[test]
fn everything_else_is_refused() {
    let keys = keys(&["sk-one"]);
    for value in [
        "Bearer sk-on",
        "Bearer sk-one1",
        "Bearer ",
        "Bearer",
        "Basic sk-one",
        "Basic c2stb25l",
        "Basic bWU6c2s=",
        "sk-one",
        "Digest sk-one",
        "",
    ] {
        assert!(!admits(&keys, &headers("authorization", value)), "{value}");
    }
    assert!(!admits(&keys, &HeaderMap::new()));
}

#[test]
fn without_keys_every_request_is_admitted() {
    assert!(keys(&[]).is_empty() && admits(&keys(&[]), &HeaderMap::new()));
}

#[test]
fn debug_output_hides_keys() {
    assert!(!format!("{:?}", keys(&["sk-canary"])).contains("canary"));
}
