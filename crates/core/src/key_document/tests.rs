use proptest::prelude::*;

use super::*;
use crate::schema::{KeyLimits, LimitQueue, Priority};

const NOW: i64 = 1_800_000_000_000;

fn read(document: Value) -> Result<ApiKeyFields, Vec<String>> {
    let Value::Object(document) = document else { panic!("{document}") };
    let expiry = Expiry { now_ms: NOW, stored: Some(7) };
    super::read(document, expiry).map_err(|all| all.iter().map(ToString::to_string).collect())
}

fn whole() -> Value {
    json!({
        "name": "CI", "owner": "team-a", "tags": ["ci", "nightly"], "models": ["gpt-*", "claude"],
        "surfaces": ["chat", "embeddings"], "addresses": ["10.0.0.0/8", "::1"],
        "limits": {"rpm": 60, "tpm": 100_000, "concurrency": 4, "queue": {"max_waiting": 5, "timeout_ms": 100}},
        "priority": "high", "budget": {"amount_usd": 12.5, "period": "month"},
        "log_bodies": "redact", "strict": true, "guard": {"answer_cards": "redact", "max_answer_bytes": 9}, "expires_at": "2027-02-01T00:00:00+01:00",
    })
}

#[test]
fn every_field_is_read() {
    let key = read(whole()).unwrap();
    assert_eq!((&*key.name, key.expires_at), ("CI", Some(1_801_436_400_000)));
    let grant = &key.grant;
    assert_eq!((grant.owner.as_deref(), &*grant.tags), (Some("team-a"), &["ci".to_owned(), "nightly".to_owned()][..]));
    let queue = Some(LimitQueue { max_waiting: 5, timeout_ms: 100 });
    assert_eq!(grant.limits, KeyLimits { rpm: Some(60), tpm: Some(100_000), concurrency: Some(4), queue });
    assert_eq!(grant.priority, Some(Priority::High));
    assert_eq!(grant.budget, Some(KeyBudget { amount_usd: 12.5, period: BudgetPeriod::Month }));
    assert_eq!((grant.log_bodies.as_deref(), grant.strict), (Some("redact"), true));
    assert_eq!(grant.guard.and_then(|guard| guard.max_answer_bytes), Some(9));
    assert_eq!(grant.models.as_deref(), Some(&["gpt-*".to_owned(), "claude".to_owned()][..]));
}

#[test]
fn missing_fields_restrict_nothing() {
    let expected = ApiKeyFields { name: "n".into(), grant: KeyGrant::default(), expires_at: None };
    assert_eq!(read(json!({"name": "n"})).unwrap(), expected);
    assert_eq!(read(json!({"name": " n\u{a0}"})).unwrap(), expected);
    assert_eq!(read(json!({"name": "n", "models": null, "budget": null, "expires_at": null})).unwrap(), expected);
}

#[test]
fn names_of_configured_keys_are_taken() {
    for (name, is_free) in [("config-1", false), ("config-12", false), ("config-", true), ("config-x", true)] {
        assert_eq!(read(json!({"name": name})).is_ok(), is_free, "{name}");
    }
}

#[test]
fn what_was_read_is_written_and_read_again() {
    for document in [whole(), json!({"name": "n"})] {
        let key = read(document).unwrap();
        assert_eq!(read(write(&key.name, &key.grant, key.expires_at).into()).unwrap(), key);
    }
}

#[test]
fn an_expiry_is_a_time_in_the_future_or_the_stored_one() {
    for (given, read_as) in [
        (json!(NOW + 1), Some(NOW + 1)),
        (json!(1.9e12), Some(1_900_000_000_000)),
        (json!("2027-01-31T00:00:00Z"), Some(1_801_353_600_000)),
        (json!(7), Some(7)),
        (json!(NOW), None),
        (json!("2020-01-31T00:00:00Z"), None),
        (json!("tomorrow"), None),
        (json!("2027-01-31"), None),
        (json!(-1), None),
        (json!(1.5), None),
        (json!(u64::MAX), None),
        (json!(1e300), None),
        (json!([]), None),
    ] {
        let read = read(json!({"name": "n", "expires_at": given}));
        assert_eq!(read.as_ref().ok().and_then(|key| key.expires_at), read_as, "{given}: {read:?}");
        assert!(read_as.is_some() || read.unwrap_err()[0].starts_with("expires_at must be"));
    }
}

#[test]
fn each_mistake_is_told_with_its_path() {
    for (name, value, told) in [
        ("name", json!(null), "name is required"),
        ("name", json!(" "), "name must be a text of 1 to 128"),
        ("name", json!("a\nb"), "name must not contain line breaks"),
        ("owner", json!(5), "owner must be a text"),
        ("tags", json!("ci"), "tags must be a list of 0 to 32"),
        ("tags", json!(["ci", "ci"]), "tags[1] is given twice"),
        ("tags", json!(["x".repeat(65)]), "tags[0] must be a text of 1 to 64"),
        ("models", json!([]), "models must be a list of 1 to 256"),
        ("models", json!(["a", "*b*"]), "models[1] must not have more than one *"),
        ("models", json!(["!"]), "models[0] must have the name of the model that is denied"),
        ("models", json!(["!!a"]), "models[0] must have the name of the model that is denied"),
        ("models", json!(["!*a*"]), "models[0] must not have more than one *"),
        ("surfaces", json!(["chat", "images"]), "surfaces[1] must be one of chat, messages"),
        ("addresses", json!(["10.0.0.0/8", "localhost"]), "addresses[1] must be an address or a network"),
        ("limits", json!(5), "limits must be an object"),
        ("limits", json!({"rpm": 0}), "limits.rpm must be a whole number from 1 to 1000000000"),
        ("limits", json!({"tpm": -1}), "limits.tpm must be a whole number"),
        ("limits", json!({"concurrency": "4"}), "limits.concurrency must be a whole number"),
        ("limits", json!({"rps": 4}), "limits.rps is an unknown field; use rpm, tpm, concurrency"),
        ("budget", json!({"period": "day"}), "budget.amount_usd must be a number above 0"),
        ("budget", json!({"amount_usd": 0, "period": "day"}), "budget.amount_usd must be"),
        ("budget", json!({"amount_usd": 1e300, "period": "day"}), "budget.amount_usd must be"),
        ("budget", json!({"amount_usd": 1, "period": "year"}), "budget.period must be day, week, month or total"),
        ("budget", json!({"amount_usd": 1, "period": "day", "usd": 1}), "budget.usd is an unknown field"),
        ("log_bodies", json!("some"), "log_bodies must be full, redact or off"),
        ("strict", json!("yes"), "strict must be true or false"),
        ("key", json!("sbx-mine"), "key is an unknown field; use name,"),
    ] {
        let mut document = whole();
        document[name] = value.clone();
        let mistakes = read(document).unwrap_err();
        assert!(mistakes[0].starts_with(told), "{name} {value}: {mistakes:?}");
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let document = json!({"owner": "", "models": ["**", 5], "limits": {"rpm": 0, "tpm": 0}, "budget": {}, "x": 1});
    let paths: Vec<String> =
        read(document).unwrap_err().iter().map(|told| told.split(' ').next().unwrap().to_owned()).collect();
    let expected = [
        "name",
        "owner",
        "models[0]",
        "models[1]",
        "limits.rpm",
        "limits.tpm",
        "budget.amount_usd",
        "budget.period",
        "x",
    ];
    assert_eq!(paths, expected);
}

proptest! {
    #[test]
    fn no_document_panics(field in "[a-z_]{0,8}", text in ".{0,8}", number in any::<f64>(), at in 0_usize..5) {
        let values = [json!(text), json!(number), json!([text]), json!({field.clone(): number}), json!(true)];
        let mut document = whole();
        for name in document.as_object().unwrap().keys().cloned().chain([field]).collect::<Vec<_>>() {
            document[&name] = values[at].clone();
            let _ = read(document.clone());
        }
    }
}
