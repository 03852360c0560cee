//! Reads and validates what a client asks of the routing of one request, in headers or in the extension `signalbox` of
//! the body.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::fields::Fields;
use crate::mistake::Mistake;
use crate::route_document::{MAX_PROVIDER, MAX_REGION, POLICIES, deadlines, price};
use crate::schema::{RouteDeadlines, RoutePolicy};

/// Name of the extension of the body.
pub const EXTENSION: &str = "signalbox";

/// Prefix of the headers.
pub const HEADER_PREFIX: &str = "x-signalbox-";

/// Overrides of the routing of one request, as its client asks for them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Overrides {
    /// Id of the only provider that may be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Region of the only targets that may be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Policy that replaces that of the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<RoutePolicy>,
    /// Maximum price in US dollars that the request may be expected to have at a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_price_usd: Option<f64>,
    /// Whether other targets may be tried after the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallbacks: Option<bool>,
    /// Whether the rest of its stream may be fetched after a lost connection; replaces that of the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumable: Option<bool>,
    /// Deadlines that apply where they are shorter than those of the route and of the router.
    #[serde(skip_serializing_if = "RouteDeadlines::is_empty")]
    pub deadlines: RouteDeadlines,
}

/// Fields of the extension, and of the headers that are named after them. `true`: in `deadlines`.
const FIELDS: [(&str, bool); 11] = [
    ("provider", false),
    ("region", false),
    ("policy", false),
    ("max_price_usd", false),
    ("fallbacks", false),
    ("resumable", false),
    ("connect_ms", true),
    ("headers_ms", true),
    ("first_token_ms", true),
    ("idle_ms", true),
    ("total_ms", true),
];

/// Reads the headers, given by name and value, and the value of the extension; both are optional. All names begin with
/// [`HEADER_PREFIX`].
///
/// # Errors
/// Returns every mistake, with the name of the header or the path in the body.
pub fn read<'a>(
    headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    extension: Option<Value>,
) -> Result<Overrides, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let of_headers = of_headers(headers, &mut mistakes);
    let of_body = match extension {
        None | Some(Value::Null) => Overrides::default(),
        Some(Value::Object(fields)) => of_fields(Fields::new(EXTENSION.to_owned(), fields, &mut mistakes)),
        Some(_) => {
            mistakes.push(Mistake { path: EXTENSION.to_owned(), what: "must be an object".to_owned() });
            Overrides::default()
        }
    };
    let merged = merged(&of_headers.document(), of_body.document(), &mut mistakes);
    if mistakes.is_empty() { Ok(merged) } else { Err(mistakes) }
}

fn of_headers<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>, mistakes: &mut Vec<Mistake>) -> Overrides {
    let mut document = Map::new();
    for (name, value) in headers {
        let field = name.strip_prefix(HEADER_PREFIX).map(|rest| rest.replace('-', "_")).unwrap_or_default();
        let mut mistake = |what: String| mistakes.push(Mistake { path: name.to_owned(), what });
        let Some((_, is_deadline)) = FIELDS.iter().find(|(known, _)| *known == field) else {
            let known = FIELDS.map(|(known, _)| header_of(known)).join(", ");
            mistake(format!("is an unknown header; use {known}"));
            continue;
        };
        let Some(text) = std::str::from_utf8(value).ok().map(str::trim) else {
            mistake("must be text".to_owned());
            continue;
        };
        let is_text = matches!(&*field, "provider" | "region" | "policy");
        let value = if is_text { None } else { serde_json::from_str(text).ok() };
        let value = value.unwrap_or_else(|| text.into());
        let place = match is_deadline {
            false => &mut document,
            true => match document.entry("deadlines").or_insert_with(|| Map::new().into()) {
                Value::Object(deadlines) => deadlines,
                _ => continue,
            },
        };
        if place.insert(field, value).is_some() {
            mistake("is given twice".to_owned());
        }
    }
    let mut found = Vec::new();
    let read = of_fields(Fields::new(String::new(), document, &mut found));
    mistakes.extend(found.into_iter().map(|Mistake { path, what }| Mistake { path: header_of(&path), what }));
    read
}

/// Returns the name of the header for a field.
fn header_of(path: &str) -> String {
    format!("{HEADER_PREFIX}{}", path.trim_start_matches("deadlines.").replace('_', "-"))
}

fn of_fields(mut fields: Fields<'_>) -> Overrides {
    let overrides = Overrides {
        provider: fields.line("provider", MAX_PROVIDER),
        region: fields.line("region", MAX_REGION),
        policy: fields.word("policy", &POLICIES),
        max_price_usd: price(&mut fields),
        fallbacks: fields.boolean("fallbacks"),
        resumable: fields.boolean("resumable"),
        deadlines: fields.nested("deadlines").map(deadlines).unwrap_or_default(),
    };
    fields.finish();
    overrides
}

/// Merges the fields of the headers and of the body. A field that is in both is a mistake.
fn merged(headers: &Map<String, Value>, mut body: Map<String, Value>, mistakes: &mut Vec<Mistake>) -> Overrides {
    let mut merge = |into: &mut Map<String, Value>, from: &Map<String, Value>, parent: &str| {
        for (name, value) in from.iter().filter(|(_, value)| !value.is_object()) {
            if into.insert(name.clone(), value.clone()).is_some() {
                let what = format!("is given in the body, too, as {EXTENSION}.{parent}{name}; give it once");
                mistakes.push(Mistake { path: header_of(name), what });
            }
        }
    };
    merge(&mut body, headers, "");
    if let Some(Value::Object(deadlines)) = headers.get("deadlines") {
        let given = body.entry("deadlines").or_insert_with(|| Map::new().into());
        if let Value::Object(given) = given {
            merge(given, deadlines, "deadlines.");
        }
    }
    // It has been validated.
    of_fields(Fields::new(String::new(), body, &mut Vec::new()))
}

// === impl Overrides ===

impl Overrides {
    /// Returns them in the form of the extension.
    #[must_use]
    pub fn document(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(document)) => document,
            _ => Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(headers: &[(&str, &str)], extension: Option<Value>) -> Result<Overrides, Vec<String>> {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        super::read(headers, extension).map_err(|all| all.iter().map(ToString::to_string).collect())
    }

    fn whole() -> Value {
        json!({
            "provider": "a", "region": "eu", "policy": "cheapest", "max_price_usd": 0.5, "fallbacks": false,
            "resumable": true,
            "deadlines": {"connect_ms": 1, "headers_ms": 2, "first_token_ms": 3, "idle_ms": 4, "total_ms": 5},
        })
    }

    const HEADERS: [(&str, &str); 11] = [
        ("x-signalbox-provider", "a"),
        ("x-signalbox-region", " eu "),
        ("x-signalbox-policy", "cheapest"),
        ("x-signalbox-max-price-usd", "0.5"),
        ("x-signalbox-fallbacks", "false"),
        ("x-signalbox-resumable", "true"),
        ("x-signalbox-connect-ms", "1"),
        ("x-signalbox-headers-ms", "2"),
        ("x-signalbox-first-token-ms", "3"),
        ("x-signalbox-idle-ms", "4"),
        ("x-signalbox-total-ms", "5"),
    ];

    #[test]
    fn headers_and_body_say_the_same() {
        let of_body = read(&[], Some(whole())).unwrap();
        assert_eq!((of_body.policy, of_body.fallbacks), (Some(RoutePolicy::Cheapest), Some(false)));
        assert_eq!(of_body.deadlines.total_ms, Some(5));
        assert_eq!(read(&HEADERS, None).unwrap(), of_body);
        assert_eq!(Value::Object(of_body.document()), whole());
        assert_eq!(read(&[], None).unwrap(), Overrides::default());
        assert_eq!(read(&[], Some(Value::Null)).unwrap(), Overrides::default());
        let mixed = read(&HEADERS[..8], Some(json!({"deadlines": {"idle_ms": 4, "total_ms": 5, "first_token_ms": 3}})));
        assert_eq!(mixed.unwrap(), of_body);
        let number = read(&[("x-signalbox-provider", "42")], None).unwrap();
        assert_eq!(number.provider.as_deref(), Some("42"), "a name may look like a number");
    }

    #[test]
    fn every_mistake_is_told_with_the_name_that_the_client_wrote() {
        for (headers, extension, told) in [
            (
                &[("x-signalbox-kind", "priority")][..],
                None,
                "x-signalbox-kind is an unknown header; use x-signalbox-provider,",
            ),
            (&[("x-signalbox-policy", "best")], None, "x-signalbox-policy must be priority, weighted,"),
            (&[("x-signalbox-fallbacks", "no")], None, "x-signalbox-fallbacks must be true or false"),
            (&[("x-signalbox-resumable", "1")], None, "x-signalbox-resumable must be true or false"),
            (&[("x-signalbox-max-price-usd", "-1")], None, "x-signalbox-max-price-usd must be a number above 0"),
            (&[("x-signalbox-max-price-usd", "{}")], None, "x-signalbox-max-price-usd must be a number above 0"),
            (&[("x-signalbox-idle-ms", "1.5")], None, "x-signalbox-idle-ms must be a whole number from 1 to 86400000"),
            (&[("x-signalbox-idle-ms", "5"), ("x-signalbox-idle-ms", "6")], None, "x-signalbox-idle-ms is given twice"),
            (&[("x-signalbox-region", "")], None, "x-signalbox-region must be a text of 1 to 64"),
            (&[], Some(json!([])), "signalbox must be an object"),
            (&[], Some(json!({"policy": 1})), "signalbox.policy must be priority,"),
            (&[], Some(json!({"timeout": 1})), "signalbox.timeout is an unknown field; use provider, region,"),
            (&[], Some(json!({"deadlines": {"total_ms": 0}})), "signalbox.deadlines.total_ms must be a whole number"),
            (
                &[("x-signalbox-region", "eu")],
                Some(json!({"region": "eu"})),
                "x-signalbox-region is given in the body, too, as signalbox.region",
            ),
            (
                &[("x-signalbox-idle-ms", "1")],
                Some(json!({"deadlines": {"idle_ms": 2}})),
                "x-signalbox-idle-ms is given in the body, too, as signalbox.deadlines.idle_ms",
            ),
        ] {
            let mistakes = read(headers, extension).unwrap_err();
            assert!(mistakes.len() == 1 && mistakes[0].starts_with(told), "{told}: {mistakes:?}");
        }
        let all = read(
            &[("x-signalbox-x", "1"), ("x-signalbox-total-ms", "no")],
            Some(json!({"fallbacks": 1, "deadlines": 2, "y": 3})),
        );
        assert_eq!(all.unwrap_err().len(), 5);
        let unreadable = super::read([("x-signalbox-region", &b"\xff"[..])].into_iter(), None).unwrap_err();
        assert_eq!(unreadable[0].to_string(), "x-signalbox-region must be text");
    }

    proptest! {
        #[test]
        fn what_is_accepted_says_the_same_in_both_forms(at in proptest::collection::vec(0_usize..11, 0..11), value in "[0-9a-z.]{0,6}") {
            let headers: Vec<(&str, &str)> = at.iter().map(|at| (HEADERS[*at].0, if value.is_empty() { HEADERS[*at].1 } else { &*value })).collect();
            if let Ok(asked) = read(&headers, None) {
                prop_assert_eq!(read(&[], Some(asked.document().into())).unwrap(), asked);
            }
        }
    }
}
