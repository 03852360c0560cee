//! Tests of documents: round trips, and equivalent formats.

use api_server::declared::{self, Apply, Document, Format, Plan, References, read::read, write::comments};
use proptest::collection::btree_map;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use signalbox_core::secret::{MASK, Secret};
use signalbox_store::{Sealer, Store, catalog, provider_configs};

const WHOLE: Apply = Apply { dry_run: false, prune: true, base_version: None };

fn sealer() -> Sealer {
    Sealer::new(&Secret::new([7; 32]))
}

async fn store() -> Store {
    Store::open("sqlite::memory:").await.unwrap()
}

async fn apply(store: &Store, document: &Document, how: Apply) -> Plan {
    declared::apply(store, &sealer(), document, how, 7).await.unwrap()
}

async fn export(store: &Store, format: Format) -> String {
    let (document, secrets) = declared::write(&catalog::load(store).await.unwrap(), &sealer()).unwrap();
    format.print(&document, &comments(&secrets)).unwrap()
}

fn parsed(text: &str, format: Format) -> Document {
    read(text, format, &own()).unwrap_or_else(|mistakes| panic!("{mistakes:?} in\n{text}"))
}

fn own() -> References {
    References::Own("/nonexistent".into())
}

fn formats() -> impl Strategy<Value = Format> {
    prop::sample::select(vec![Format::Toml, Format::Yaml, Format::Json])
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,12}",
        "[ -~]{0,12}",
        "(\\$|\\{|env:A|\\}){0,6}",
        Just("true".to_owned()),
        Just("0x1F".to_owned())
    ]
    // Plain text must not look like a reference, and must not contain line separators.
    .prop_map(|text| text.replace("${", "$${").replace(['\u{2028}', '\u{2029}'], ""))
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        texts().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from)
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map("[a-z.$ ]{1,6}", inner, 0..3).prop_map(|fields| fields.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

fn entries() -> impl Strategy<Value = (String, Value)> {
    let open = ("[a-j.]{1,4}", values());
    let known = prop_oneof![
        (Just("baseURL".to_owned()), "https?://[a-z]{1,5}(:[1-9][0-9]{0,3})?(/[a-z]{0,3}){0,2}".prop_map(Value::from)),
        (Just("timeout".to_owned()), (1..=86_400_000_i64).prop_map(Value::from)),
        (Just("timeout".to_owned()), (1..=86_400_000_i64).prop_map(|millis| millis.to_string().into())),
    ];
    let secret = prop_oneof![
        ("(apiKey|x-token)", Just(json!("${env:PATH}"))),
        ("x-token", Just(json!({"a": "Bearer ${env:PATH}"}))),
    ];
    prop_oneof![open, known, secret]
}

/// Name, type, whether it is enabled, priority and description of a provider.
type Facts = (String, String, bool, i32, Option<String>);

/// A provider with its configuration, the models it serves, and their configuration.
type Given = (Facts, Vec<(String, Value)>, u8, Option<Value>);

prop_compose! {
    fn documents()(
        models in btree_map("[a-z]{1,3}(/[a-z0-9:_-]{1,3})?", (option::of("[A-Z]{1,4}"), option::of("[!-~]{1,9}"), prop::collection::vec("[a-z]{1,4}", 0..3)), 0..4),
        providers in btree_map("[a-z0-9-]{1,4}", (("[A-Za-z ]{0,3}", "(qwen-proxy|echo|lm-studio)", any::<bool>(), any::<i32>(), option::of("[!-~]{1,9}")),
            prop::collection::vec(entries(), 0..4), any::<u8>(), option::of(values())), 0..4),
        settings in btree_map("own(\\.[a-z]{1,3})?", prop_oneof![texts().prop_map(Value::from), any::<bool>().prop_map(Value::from), any::<i32>().prop_map(Value::from)], 0..3),
    ) -> Value {
        let ids: Vec<&String> = models.keys().collect();
        let links = |bits: u8, config: &Option<Value>| -> Map<String, Value> {
            let linked = ids.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
            linked.map(|(at, id)| {
                let mut link = Map::new();
                if bits >> 4 == u8::try_from(at).unwrap() {
                    link.insert("default".to_owned(), true.into());
                }
                if let Some(value) = config {
                    link.insert("config".to_owned(), json!({"upstream_model": "u", "more": value}));
                }
                ((*id).clone(), link.into())
            }).collect()
        };
        let provider = |id: &String, ((name, kind, enabled, priority, description), config, bits, more): &Given| {
            let config: Map<String, Value> = config.iter().cloned().collect();
            let mut provider = json!({"name": format!("{name}{id}"), "type": kind, "enabled": enabled, "priority": priority, "config": config, "models": links(*bits, more)});
            if let Some(description) = description {
                provider["description"] = description.as_str().into();
            }
            provider
        };
        let model = |(name, description, capabilities): &(Option<String>, Option<String>, Vec<String>)| {
            let mut model = json!({"capabilities": capabilities});
            for (key, text) in [("name", name), ("description", description)] {
                if let Some(text) = text {
                    model[key] = text.as_str().into();
                }
            }
            model
        };
        let all: Map<String, Value> = providers.iter().map(|(id, given)| (id.clone(), provider(id, given))).collect();
        let models: Map<String, Value> = models.iter().map(|(id, given)| (id.clone(), model(given))).collect();
        json!({"providers": all, "models": models, "settings": settings})
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn an_exported_document_recreates_the_catalogue(document in documents(), format in formats(), other in formats()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (here, there) = (store().await, store().await);
            let text = format.print(&document, &[]).unwrap();
            apply(&here, &parsed(&text, format), WHOLE).await;
            let again = apply(&here, &parsed(&text, format), WHOLE).await;
            assert!(again.changes.is_empty() && again.updated.is_empty(), "applied twice: {again:?}");

            let exported = export(&here, other).await;
            let unchanged = apply(&here, &parsed(&exported, other), WHOLE).await;
            assert!(unchanged.changes.is_empty(), "{:?} of\n{exported}", unchanged.facts());
            assert!(!exported.contains(&std::env::var("PATH").unwrap()), "a secret in\n{exported}");
            // A different store needs the secrets themselves.
            let said = exported.replace(MASK, "${env:PATH}");
            apply(&there, &parsed(&said, other), WHOLE).await;
            assert_eq!(export(&there, other).await, exported);
            here.close().await;
            there.close().await;
        });
    }
}

#[tokio::test]
async fn a_secret_is_sealed_and_a_masked_value_keeps_it() {
    let store = store().await;
    let path = std::env::var("PATH").unwrap();
    let text = "[providers.p]\ntype = \"openai\"\nconfig.apiKey = \"${env:PATH}\"\nconfig.region = \"x-${env:PATH}\"\n";
    let plan = apply(&store, &parsed(text, Format::Toml), Apply::default()).await;
    assert_eq!(plan.created, ["providers.p"]);
    let rows = provider_configs::list(&store, "p").await.unwrap();
    let opened = |at: usize| provider_configs::json(&sealer(), &rows[at]).unwrap();
    assert_eq!((opened(0), opened(1)), (json!(path), json!(format!("x-{path}"))));
    // A value from a reference is secret, whatever its key.
    assert!(rows.iter().all(|row| row.is_sensitive && !row.value.expose().contains(&path)));
    let kept = "[providers.p]\ntype = \"openai\"\npriority = 5\nconfig.apiKey = \"***MASKED***\"\nconfig.region = \"***MASKED***\"\n";
    let plan = apply(&store, &parsed(kept, Format::Toml), WHOLE).await;
    assert_eq!(plan.updated, [("providers.p".to_owned(), vec!["priority".to_owned()])]);
    assert_eq!(plan.deleted, ["providers.lm-studio-default", "providers.qwen-proxy-default", "providers.echo"]);
    assert_eq!(provider_configs::list(&store, "p").await.unwrap().len(), 2);
    store.close().await;
}

const ROUTES: &str = r#"
[[routes]]
model = "fast"
aliases = ["quick"]
targets = [{ provider = "echo", model = "echo", weight = 2, params = { temperature = 0 } }]

[[routes]]
model = "slow-*"
enabled = false
targets = [{ provider = "echo", model = "*" }]
"#;

#[tokio::test]
async fn routes_are_declared_by_model() {
    let store = store().await;
    let dry = Apply { dry_run: true, ..Apply::default() };
    let plan = apply(&store, &parsed(ROUTES, Format::Toml), dry).await;
    assert_eq!(plan.created, ["routes.fast", "routes.slow-*"]);
    assert!(catalog::load(&store).await.unwrap().routes.is_empty(), "a dry run");
    apply(&store, &parsed(ROUTES, Format::Toml), Apply::default()).await;
    for format in [Format::Toml, Format::Yaml, Format::Json] {
        let exported = export(&store, format).await;
        let plan = apply(&store, &parsed(&exported, format), WHOLE).await;
        assert!(plan.changes.is_empty(), "{:?} of\n{exported}", plan.facts());
    }
    let ids: Vec<String> = catalog::load(&store).await.unwrap().routes.into_iter().map(|route| route.id).collect();

    let changed = ROUTES.replace("weight = 2", "weight = 3").replace("enabled = false", "policy = \"latency\"");
    let plan = apply(&store, &parsed(&changed, Format::Toml), Apply::default()).await;
    let fields = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let expected = [
        ("routes.fast".to_owned(), fields(&["targets"])),
        ("routes.slow-*".to_owned(), fields(&["enabled", "policy"])),
    ];
    assert_eq!(plan.updated, expected);
    let after = catalog::load(&store).await.unwrap().routes;
    assert_eq!(after.iter().map(|route| &*route.id).collect::<Vec<_>>(), ids, "ids stay");

    let one = ROUTES.split("\n\n[[routes]]").next().unwrap();
    let kept = apply(&store, &parsed(one, Format::Toml), Apply::default()).await;
    assert!(kept.deleted.is_empty());
    let plan = apply(&store, &parsed(one, Format::Toml), WHOLE).await;
    assert_eq!(plan.deleted, ["routes.slow-*"]);
    apply(&store, &parsed("[settings]", Format::Toml), WHOLE).await;
    assert_eq!(catalog::load(&store).await.unwrap().routes.len(), 1, "the section is absent");
    store.close().await;
}

#[tokio::test]
async fn mistakes_of_routes_and_keys_are_told_with_their_paths() {
    let store = store().await;
    apply(&store, &parsed(ROUTES, Format::Toml), Apply::default()).await;
    let before = catalog::version(&store).await.unwrap();
    let target = r#"targets = [{ provider = "echo", model = "m" }]"#;
    let two = |first: &str, second: &str| format!("[[routes]]\n{first}\n{target}\n[[routes]]\n{second}\n{target}\n");
    for (text, told) in [
        ("routes = 5".to_owned(), "routes: must be a list of tables: [[routes]]"),
        ("routes = [5]".to_owned(), "routes[0]: must be a table"),
        ("[[routes]]\nmodel = \"m\"".to_owned(), "routes[0].targets: is required"),
        (format!("[[routes]]\nmodel = \"m\"\nretries = 11\n{target}"), "routes[0].retries: must be a whole number"),
        (
            "[[routes]]\nmodel = \"m\"\ntargets = [{ provider = \"none\", model = \"m\" }]".to_owned(),
            "routes[0].targets[0].provider: must be the id of a provider; there is none with the id none",
        ),
        (two("model = \"m\"", "model = \"m\""), "routes[1].model: is the model of routes[0] already"),
        (
            two("model = \"m\"", "model = \"n\"\naliases = [\"m\"]"),
            "routes[1].aliases[0]: is a name of the route for m already",
        ),
        (
            two("model = \"m\"\naliases = [\"a\"]", "model = \"n\"\naliases = [\"a\"]"),
            "routes[1].aliases[0]: is a name of the route for m already",
        ),
        (
            two("model = \"quick\"", "model = \"n\"\naliases = [\"fast\"]"),
            "routes[0].model: is an alias of the route for fast already",
        ),
        ("[[keys]]\nname = \"k\"\nkey = \"sbx-mine\"".to_owned(), "keys[0].key: is an unknown field"),
        ("[[keys]]\nname = \"k\"\nlimits = { rpm = 0 }".to_owned(), "keys[0].limits.rpm: must be a whole number"),
        ("[prices]\nprices = [{ id = \"a\", base = { in = \"-1\" } }]".to_owned(), "prices: prices.0"),
        (
            "[route]\nmodel = \"m\"".to_owned(),
            "route: unknown section; use providers, models, settings, routes, keys or prices",
        ),
    ] {
        let mistakes = match read(&text, Format::Toml, &own()) {
            Err(mistakes) => mistakes,
            Ok(document) => match declared::apply(&store, &sealer(), &document, Apply::default(), 7).await {
                Err(declared::Error::Mistakes(mistakes)) => mistakes,
                other => panic!("{other:?} of\n{text}"),
            },
        };
        assert!(mistakes[0].starts_with(told), "{mistakes:?} of\n{text}");
    }
    assert_eq!(catalog::version(&store).await.unwrap(), before);
    store.close().await;
}

#[tokio::test]
async fn a_route_of_a_deleted_provider_can_be_applied_again() {
    let store = store().await;
    apply(&store, &parsed(ROUTES, Format::Toml), Apply::default()).await;
    signalbox_store::providers::delete(&store, "echo").await.unwrap();
    let exported = export(&store, Format::Toml).await;
    let plan = apply(&store, &parsed(&exported, Format::Toml), WHOLE).await;
    assert!(plan.changes.is_empty(), "{:?}", plan.facts());
    store.close().await;
}

fn key_fields(name: &str, expires_at: Option<i64>) -> signalbox_core::schema::ApiKeyFields {
    signalbox_core::schema::ApiKeyFields { name: name.into(), grant: Default::default(), expires_at }
}

async fn add_key(store: &Store, id: &str, name: &str, expires_at: Option<i64>) {
    let (hint, digest, fields) = ("sbx-canary".into(), format!("canary-{id}"), key_fields(name, expires_at));
    let new = signalbox_core::schema::NewApiKey { id: id.into(), hint, digest, fields };
    signalbox_store::api_keys::insert(store, &new, 1).await.unwrap();
}

#[tokio::test]
async fn keys_are_changed_and_keep_their_secrets() {
    let store = store().await;
    add_key(&store, "1", "ci", None).await;
    add_key(&store, "2", "old", Some(3)).await;
    let exported = export(&store, Format::Toml).await;
    assert!(exported.contains("[[keys]]\n") && !exported.contains("canary"), "{exported}");
    let plan = apply(&store, &parsed(&exported, Format::Toml), WHOLE).await;
    assert!(plan.is_empty(), "an expired key can be applied again: {:?}", plan.facts());

    let text = "[[keys]]\nname = \"ci\"\nowner = \"team\"\nlimits = { rpm = 5 }\n";
    let plan = apply(&store, &parsed(text, Format::Toml), Apply::default()).await;
    let expected = [("keys.ci".to_owned(), vec!["limits".to_owned(), "owner".to_owned()])];
    assert_eq!((&plan.updated[..], &plan.deleted, plan.issued.len()), (&expected[..], &vec![], 0));
    let keys = catalog::load(&store).await.unwrap().keys;
    assert_eq!(keys.iter().map(|key| &*key.digest).collect::<Vec<_>>(), ["canary-1", "canary-2"]);
    assert_eq!(keys[0].grant.limits.rpm, Some(5));

    let past = parsed("[[keys]]\nname = \"ci\"\nexpires_at = 5\n", Format::Toml);
    match declared::apply(&store, &sealer(), &past, Apply::default(), 7).await {
        Err(declared::Error::Mistakes(mistakes)) => {
            assert_eq!(mistakes, ["keys[0].expires_at: must be in the future; to end a key now, revoke it"]);
        }
        other => panic!("{other:?}"),
    }
    store.close().await;
}

#[tokio::test]
async fn an_export_with_keys_is_applied_to_a_fresh_installation() {
    let (from, to) = (store().await, store().await);
    for (id, name, expires_at) in [("1", "ci", None), ("2", "old", Some(3)), ("3", "gone", None)] {
        add_key(&from, id, name, expires_at).await;
    }
    signalbox_store::api_keys::revoke(&from, "3", 2).await.unwrap();
    let document = parsed(&export(&from, Format::Toml).await, Format::Toml);
    let dry = apply(&to, &document, Apply { dry_run: true, ..Apply::default() }).await;
    assert!(dry.created.contains(&"keys.ci".to_owned()) && dry.issued.is_empty(), "{:?}", dry.facts());
    assert_eq!(catalog::load(&to).await.unwrap().keys, []);

    let plan = apply(&to, &document, Apply::default()).await;
    let told = plan.facts()["keys"].clone();
    let keys = catalog::load(&to).await.unwrap().keys;
    assert_eq!(keys.iter().map(|key| &*key.name).collect::<Vec<_>>(), ["ci", "old"], "the revoked one is left out");
    for (key, issued) in keys.iter().zip(&plan.issued) {
        assert_eq!(
            (issued.name(), &key.digest),
            (&*key.name, &signalbox_daemon::key_digest(issued.secret().as_bytes()))
        );
        assert!(told.to_string().contains(issued.secret()) && !format!("{plan:?}").contains(issued.secret()));
    }
    assert_eq!((keys[1].expires_at, plan.issued.len()), (Some(3), 2));
    let again = apply(&to, &document, WHOLE).await;
    assert!(again.is_empty() && again.issued.is_empty(), "{:?}", again.facts());
    from.close().await;
    to.close().await;
}

#[tokio::test]
async fn keys_that_are_not_declared_are_pruned_but_the_revoked_ones() {
    let store = store().await;
    for (id, name) in [("1", "ci"), ("2", "other"), ("3", "gone")] {
        add_key(&store, id, name, None).await;
    }
    signalbox_store::api_keys::revoke(&store, "3", 2).await.unwrap();
    let deleted = apply(&store, &parsed("[settings]", Format::Toml), WHOLE).await.deleted;
    assert!(!deleted.iter().any(|what| what.starts_with("keys.")), "the section is absent: {deleted:?}");
    let text = "[[keys]]\nname = \"ci\"\n[[keys]]\nname = \"new\"\n";
    assert_eq!(apply(&store, &parsed(text, Format::Toml), WHOLE).await.deleted, ["keys.other"]);
    let keys = catalog::load(&store).await.unwrap().keys;
    assert_eq!(keys.iter().map(|key| &*key.name).collect::<Vec<_>>(), ["ci", "gone", "new"]);
    store.close().await;
}

#[tokio::test]
async fn prices_are_declared_as_a_whole() {
    let store = store().await;
    let text = "[prices]\nprices = [{ id = \"mine\", provider_id = \"p\", match = [\"*\"], free = true }]\n";
    assert_eq!(apply(&store, &parsed(text, Format::Toml), Apply::default()).await.created, ["prices"]);
    let exported = export(&store, Format::Yaml).await;
    let plan = apply(&store, &parsed(&exported, Format::Yaml), WHOLE).await;
    assert!(plan.changes.is_empty(), "{:?} of\n{exported}", plan.facts());
    let plan = apply(&store, &parsed(&text.replace("mine", "ours"), Format::Toml), Apply::default()).await;
    assert_eq!(plan.updated, [("prices".to_owned(), vec!["prices".to_owned()])]);
    apply(&store, &parsed("[settings]", Format::Toml), WHOLE).await;
    assert!(catalog::load(&store).await.unwrap().prices.is_some(), "the section is absent");
    assert_eq!(apply(&store, &parsed("[prices]", Format::Toml), Apply::default()).await.deleted, ["prices"]);
    assert!(apply(&store, &parsed("[prices]", Format::Toml), Apply::default()).await.changes.is_empty());
    store.close().await;
}
