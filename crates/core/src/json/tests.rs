use proptest::prelude::*;

use super::*;

fn accepts(json: &[u8]) -> bool {
    let mut reader = Reader::new(json);
    reader.skip().and_then(|()| reader.end()).is_some()
}

#[test]
fn reads_the_requested_fields() {
    let mut reader = Reader::new(br#" {"a" : [1, "x\ny", null], "skipped": {"a": [{}]}, "t": "e", "n": null} "#);
    let (mut seen, mut texts) = (Vec::new(), Vec::new());
    let done = reader.object(|name, value| match name {
        "a" => value.array(|element| {
            if element.peek()? == b'"' {
                seen.push(element.string()?.into_owned());
                return Some(());
            }
            element.skip()
        }),
        "t" | "n" => {
            texts.push(value.string_or_null()?);
            Some(())
        }
        _ => value.skip(),
    });
    assert_eq!((done, reader.end()), (Some(()), Some(())));
    assert_eq!((seen, texts), (vec!["x\ny".to_owned()], vec![Some("e".into()), None]));
}

#[test]
fn escaped_names_are_matched() {
    let mut found = None;
    let read = Reader::new(br#"{"mod\u0065l": "x"}"#).object(|name, value| {
        found = Some(name.to_owned());
        value.skip()
    });
    assert_eq!((read, found.as_deref()), (Some(()), Some("model")));
}

#[test]
fn accepts_the_same_documents_as_serde() {
    for json in [
        "",
        " ",
        "{",
        "}",
        "{}",
        " {} ",
        "{}x",
        "[]",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{1:2}",
        "[}",
        "{]",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u00e9\"",
        "\"a\nb\"",
        "\"\u{7f}\"",
        "0",
        "-",
        "-0",
        "01",
        "1.",
        ".1",
        "1.5",
        "1e",
        "1e+",
        "1e-7",
        "1E9",
        "-1.5e+10",
        "+1",
        "1e400",
        "t",
        "true",
        "truex",
        "n",
        "null",
        "falsefalse",
        "NaN",
        "\u{feff}{}",
    ] {
        let serde = serde_json::from_str::<IgnoredAny>(json).is_ok();
        assert_eq!(accepts(json.as_bytes()), serde, "{json}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
    assert!(accepts(nested(MAX_DEPTH).as_bytes()));
    let deep = nested(1_000_000);
    assert!(!accepts(deep.as_bytes()));
    assert!(parse_error(format!("{{\"a\":{}}}", nested(MAX_DEPTH)).as_bytes()).contains("deeper"));
    assert!(parse_error(br#"{"a":"\ud83d","\ud83d":1}"#).contains("unpaired surrogate"));
    assert!(parse_error(b"[]").contains("object"));
    assert!(parse_error(b"{").contains("EOF"));
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,80}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(".{0,12}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_unchanged(text in ".{0,200}") {
        let json = serde_json::to_string(&text).unwrap();
        let read = Reader::new(json.as_bytes()).string();
        prop_assert_eq!(read.as_deref(), Some(text.as_str()));
    }

    #[test]
    fn any_document_and_any_damage_is_judged_like_serde(
        value in json(), at in any::<prop::sample::Index>(), byte in prop_oneof![Just(b'"'), Just(b'\\'), Just(b','), Just(b'}'), 0_u8..0x80]
    ) {
        let mut json = value.to_string().into_bytes();
        prop_assert!(accepts(&json));
        let at = at.index(json.len());
        json[at] = byte;
        prop_assert_eq!(accepts(&json), serde_json::from_slice::<IgnoredAny>(&json).is_ok(), "{}", String::from_utf8_lossy(&json));
    }

    #[test]
    fn a_string_ends_at_its_closing_quote(bytes in prop::collection::vec(prop_oneof![9 => 0x20_u8..0x7f, 1 => any::<u8>()], 0..200)) {
        let end = bytes.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
        prop_assert_eq!(super::plain_len(&bytes), end.unwrap_or(bytes.len()));
    }
}
