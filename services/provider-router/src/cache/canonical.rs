//! The canonical form of a JSON value: members sorted by name, no white space, strings without needless escapes.
//! Numbers stay as they are written, because `1.0` and `1` may mean different things to a provider.

use signalbox_core::json::Reader;

/// Maximum depth of nesting of values that are rewritten. Deeper ones stay as they are written.
const MAX_DEPTH: usize = 64;

/// Appends the canonical form of the next value. Returns `None` if it is not valid JSON.
pub(super) fn write(value: &mut Reader<'_>, out: &mut Vec<u8>) -> Option<()> {
    write_at(value, out, 0)
}

/// Appends an object with these members, each a name and a canonical value.
pub(super) fn write_members(mut members: Vec<(String, Vec<u8>)>, out: &mut Vec<u8>) {
    // A stable sort: of members with the same name, the order decides which of them counts.
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    out.push(b'{');
    for (n, (name, value)) in members.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write_string(name, out);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
}

fn write_at(value: &mut Reader<'_>, out: &mut Vec<u8>, depth: usize) -> Option<()> {
    match value.peek()? {
        b'{' if depth < MAX_DEPTH => {
            let mut members = Vec::new();
            value.fields(|name, value| {
                let mut canonical = Vec::new();
                write_at(value, &mut canonical, depth + 1)?;
                members.push((name.into_owned(), canonical));
                Some(())
            })?;
            write_members(members, out);
        }
        b'[' if depth < MAX_DEPTH => {
            out.push(b'[');
            let mut is_first = true;
            value.array(|element| {
                if !std::mem::replace(&mut is_first, false) {
                    out.push(b',');
                }
                write_at(element, out, depth + 1)
            })?;
            out.push(b']');
        }
        b'"' => {
            let raw = value.raw()?;
            match Reader::new(raw).string() {
                Some(text) => write_string(&text, out),
                // Unpaired surrogates have no other form.
                None => out.extend_from_slice(raw),
            }
        }
        _ => out.extend_from_slice(value.raw()?),
    }
    Some(())
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    // Serialising a string into memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn canonical(json: &str) -> Option<String> {
        let mut out = Vec::new();
        write(&mut Reader::new(json.as_bytes()), &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn order_white_space_and_escapes_do_not_count() {
        let expected = r#"{"a":[1,2.0,{"x":"é","y":null}],"b":"\n"}"#;
        for json in [
            expected,
            r#" { "b" : "\u000a", "a" : [ 1 , 2.0 , {"y":null,"x":"\u00e9"} ] } "#,
            "{\"b\":\"\\n\",\"\\u0061\":[1,2.0,{\"x\":\"\\u00E9\",\"y\":null}]}",
        ] {
            assert_eq!(canonical(json).unwrap(), expected, "{json}");
        }
    }

    #[test]
    fn what_differs_stays_different() {
        let different = [
            "1",
            "1.0",
            "1e0",
            "\"1\"",
            "[1]",
            "[[1]]",
            "{}",
            "[]",
            "null",
            r#"{"a":1}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":2,"a":1}"#,
        ];
        for (n, one) in different.iter().enumerate() {
            for other in &different[n + 1..] {
                assert_ne!(canonical(one), canonical(other), "{one} {other}");
            }
        }
        assert_ne!(canonical(r#""\ud800""#), canonical(r#""\ud801""#));
    }

    #[test]
    fn what_is_no_json_has_no_form() {
        for json in ["", "{", "[1", "tru", r#"{"a"}"#, "\"a"] {
            assert_eq!(canonical(json), None, "{json}");
        }
    }

    #[test]
    fn deep_values_are_taken_as_written() {
        let deep = format!("{}[ 1 ]{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert_eq!(canonical(&deep).unwrap(), deep);
    }

    proptest! {
        #[test]
        fn the_form_means_the_same(text in ".*", number in any::<i64>(), flags in proptest::collection::vec(any::<bool>(), 0..4)) {
            let value = serde_json::json!({"z": text, "a": {"n": number, "flags": flags}});
            let form = canonical(&value.to_string()).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&form).unwrap(), value);
            prop_assert_eq!(canonical(&form).unwrap(), form);
        }
    }
}
