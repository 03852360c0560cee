use signalbox_core::{provider_type::provider_type, schema, secret::Secret};
use signalbox_store::Store;

use super::*;
use crate::journal::Bodies;

/// Provider row of a test. `models` are pairs of id and upstream name; the first is the default model.
pub(crate) struct Row<'a> {
    pub(crate) id: &'a str,
    pub(crate) priority: i64,
    pub(crate) models: &'a [(&'a str, Option<&'a str>)],
    pub(crate) enabled: bool,
    pub(crate) kind: &'a str,
    /// The provider's own list, if it has been read.
    pub(crate) list: Option<&'a [&'a str]>,
    /// `defaultModel` of the provider's configuration.
    pub(crate) default: Option<&'a str>,
    /// Names of the provider's keys, if it has several.
    pub(crate) keys: &'a [&'a str],
}

impl Row<'_> {
    pub(crate) const ENABLED: Self =
        Row { id: "", priority: 0, models: &[], enabled: true, kind: "echo", list: None, default: None, keys: &[] };
}

pub(crate) fn snapshot(rows: &[Row<'_>], active: Option<&str>) -> Snapshot {
    routed(rows, active, vec![])
}

pub(crate) fn routed(rows: &[Row<'_>], active: Option<&str>, routes: Vec<schema::Route>) -> Snapshot {
    let providers = rows.iter().map(|row| {
        let provider = schema::Provider {
            id: row.id.into(),
            name: row.id.to_uppercase(),
            kind: row.kind.into(),
            enabled: row.enabled,
            priority: row.priority,
            description: None,
            created_at: 0,
            updated_at: 0,
        };
        let links = row.models.iter().enumerate().map(|(n, (id, upstream))| schema::LinkedModel {
            model: schema::Model {
                id: (*id).into(),
                name: (*id).into(),
                description: None,
                capabilities: vec![],
                created_at: 7000,
                updated_at: 0,
            },
            is_default: n == 0,
            config: upstream.map(|name| format!(r#"{{"upstream_model":"{name}"}}"#)),
        });
        let default = row.default.map(|model| schema::ProviderConfig {
            provider_id: row.id.into(),
            key: "defaultModel".into(),
            value: Secret::new(format!("\"{model}\"")),
            is_sensitive: false,
            updated_at: 0,
        });
        let keys: serde_json::Map<_, _> =
            row.keys.iter().map(|name| ((*name).to_owned(), format!("sk-{name}").into())).collect();
        let keys = (!keys.is_empty()).then(|| schema::ProviderConfig {
            provider_id: row.id.into(),
            key: "apiKeys".into(),
            value: Secret::new(serde_json::Value::Object(keys).to_string()),
            is_sensitive: true,
            updated_at: 0,
        });
        (provider, default.into_iter().chain(keys).collect(), links.collect())
    });
    let lists = rows.iter().filter_map(|row| {
        let models = row.list?.iter().map(|id| Model::new(id, 9, "own")).collect();
        let base_url = provider_type(row.kind).base_url.unwrap_or_default().to_owned();
        Some(model_lists::ModelList { provider_id: row.id.into(), base_url, models, updated_at: 0 })
    });
    let setting = |value: &str| schema::Setting { key: "active_provider".into(), value: value.into(), updated_at: 0 };
    let catalog = Catalog {
        version: 3,
        providers: providers.collect(),
        models: vec![],
        lists: lists.collect(),
        settings: active.map(setting).into_iter().collect(),
        prices: None,
        imported_prices: None,
        routes,
        keys: vec![],
    };
    Snapshot::new(catalog, &sealer(1), &AddressPolicy::default(), &Metrics::default(), None)
}

fn sealer(byte: u8) -> Sealer {
    Sealer::new(&Secret::new([byte; 32]))
}

#[tokio::test]
async fn a_secret_sealed_with_another_key_disables_its_provider_with_a_hint() {
    let store = Store::open("sqlite::memory:").await.unwrap();
    let value = |key: &str, value: &str| schema::ConfigValue {
        key: key.into(),
        value: Secret::new(format!("\"{value}\"")),
        is_sensitive: key == "apiKey",
    };
    let values = [value("baseURL", "http://127.0.0.1:1/v1"), value("apiKey", "sk-canary"), value("logBodies", "off")];
    provider_configs::put(&store, &sealer(2), "qwen-proxy-default", &values, 0).await.unwrap();
    for (key, readable) in [(2, true), (1, false)] {
        let rows = signalbox_store::catalog::load(&store).await.unwrap();
        let snapshot = Snapshot::new(rows, &sealer(key), &AddressPolicy::default(), &Metrics::default(), None);
        let provider = snapshot.provider("qwen-proxy-default").unwrap();
        assert_eq!(provider.log_bodies, Bodies::Off);
        assert_eq!(snapshot.unreadable().is_none(), readable);
        match &provider.adapter {
            Adapter::Misconfigured(reason) => assert!(!readable && reason.contains("SIGNALBOX_KEY"), "{reason}"),
            _ => assert!(readable),
        }
        assert!(snapshot.provider("echo").unwrap().is_healthy());
    }
    store.close().await;
}

fn ids(list: &ModelList) -> Vec<&str> {
    list.data.iter().map(|model| &*model.id).collect()
}

#[test]
fn a_model_is_listed_once_under_the_first_provider() {
    let rows = [
        Row { id: "b", priority: 1, models: &[("m", None)], ..Row::ENABLED },
        Row { id: "a", priority: 2, models: &[("m", None)], ..Row::ENABLED },
        Row { id: "off", priority: 3, models: &[("m", None), ("gone", None)], enabled: false, ..Row::ENABLED },
    ];
    let snapshot = snapshot(&rows, None);
    assert_eq!(snapshot.models(), ModelList::new(vec![Model::new("m", 7, "a")]));
    assert_eq!(snapshot.rows().len(), 3);
}

#[test]
fn the_active_provider_is_listed_first_in_its_own_order() {
    let rows = [
        Row { id: "a", models: &[("alias", Some("z")), ("y", None)], list: Some(&["z", "y", "x"]), ..Row::ENABLED },
        Row { id: "b", models: &[("m", None), ("y", None)], list: Some(&["unlinked"]), ..Row::ENABLED },
        Row { id: "c", models: &[], list: None, ..Row::ENABLED },
        Row { id: "off", list: Some(&["gone"]), enabled: false, ..Row::ENABLED },
    ];
    let listed = |active| snapshot(&rows, active).models();
    assert_eq!(ids(&listed(Some("a"))), ["z", "y", "x", "alias", "m"]);
    assert_eq!(ids(&listed(Some("b"))), ["unlinked", "m", "y", "alias"]);
    for nobody in [None, Some("c"), Some("off"), Some("unknown")] {
        assert_eq!(ids(&listed(nobody)), ["alias", "m", "y"], "{nobody:?}");
    }
    assert_eq!(listed(Some("a")).data[0], Model::new("z", 9, "own"));
}

#[test]
fn a_list_of_another_base_url_is_ignored() {
    let rows = [Row { id: "a", kind: "lm-studio", list: Some(&["x"]), ..Row::ENABLED }];
    let now = snapshot(&rows, Some("a"));
    assert_eq!(ids(&now.models()), ["x"]);
    let list = |base_url: &str| model_lists::ModelList {
        provider_id: "a".into(),
        base_url: base_url.into(),
        models: vec![Model::new("x", 9, "own")],
        updated_at: 0,
    };
    let provider = &now.providers()[0];
    for (base_url, kept) in [("http://127.0.0.1:1234/v1", true), ("http://127.0.0.1:1/v1", false)] {
        let catalog = Catalog {
            version: 4,
            providers: vec![(provider.row.clone(), vec![], vec![])],
            models: vec![],
            lists: vec![list(base_url)],
            settings: vec![],
            prices: None,
            imported_prices: None,
            routes: vec![],
            keys: vec![],
        };
        let moved = Snapshot::new(catalog, &sealer(1), &AddressPolicy::default(), &Metrics::default(), None);
        assert_eq!(moved.own_list(provider).is_some(), kept, "{base_url}");
    }
}

#[test]
fn a_qwen_proxy_without_an_address_is_the_one_beside_the_router() {
    let at = |qwen_proxy: Option<&str>| {
        let rows = [Row { id: "a", kind: "qwen-proxy", ..Row::ENABLED }];
        let provider = snapshot(&rows, None).providers()[0].row.clone();
        let catalog = Catalog {
            version: 1,
            providers: vec![(provider, vec![], vec![])],
            models: vec![],
            lists: vec![],
            settings: vec![],
            prices: None,
            imported_prices: None,
            routes: vec![],
            keys: vec![],
        };
        let (policy, qwen_proxy) = (AddressPolicy::default(), qwen_proxy.map(str::to_owned));
        Snapshot::new(catalog, &sealer(1), &policy, &Metrics::default(), qwen_proxy)
    };
    let (one, other) = (at(Some("http://127.0.0.1:20000")), at(Some("http://[::1]:20001")));
    for (snapshot, authority) in [(&one, "127.0.0.1:20000"), (&other, "[::1]:20001")] {
        match &snapshot.providers()[0].adapter {
            Adapter::Remote(remote) => assert_eq!(remote.target.authority(), authority),
            adapter => panic!("{adapter:?}"),
        }
    }
    let fingerprint = |snapshot: &Snapshot| snapshot.fingerprint(&snapshot.providers()[0]);
    assert_ne!(fingerprint(&one), fingerprint(&other), "its list of models is asked for again");
    match &at(None).providers()[0].adapter {
        Adapter::Misconfigured(reason) => assert!(reason.contains("qwen-proxy"), "{reason}"),
        adapter => panic!("{adapter:?}"),
    }
}
