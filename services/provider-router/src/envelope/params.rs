//! Fields that a target sets in the body of a request.

use bytes::Bytes;
use serde_json::{Map, Value};
use signalbox_core::json::Reader;

/// Returns the body with these fields: they replace those of the same name, all other bytes stay identical.
#[must_use]
pub fn with_params(body: &Bytes, params: &Map<String, Value>) -> Bytes {
    if params.is_empty() {
        return body.clone();
    }
    let (mut out, mut copied, mut seen, mut is_empty) = (Vec::new(), 0, Vec::new(), true);
    let read = Reader::lenient(body).fields(|name, value| {
        is_empty = false;
        let raw = value.raw()?;
        if let Some((name, value)) = params.get_key_value(&*name) {
            let start = raw.as_ptr() as usize - body.as_ptr() as usize;
            out.extend_from_slice(&body[copied..start]);
            write(value, &mut out);
            copied = start + raw.len();
            seen.push(name);
        }
        Some(())
    });
    if read.is_none() {
        return body.clone();
    }
    out.extend_from_slice(&body[copied..]);
    let mut added = Vec::new();
    for (name, value) in params.iter().filter(|(name, _)| !seen.contains(name)) {
        if !added.is_empty() {
            added.push(b',');
        }
        // Serialising a string into memory cannot fail.
        let _ = serde_json::to_writer(&mut added, name);
        added.push(b':');
        write(value, &mut added);
    }
    if !added.is_empty() {
        if !is_empty {
            added.push(b',');
        }
        let at = memchr::memchr(b'{', &out).map_or(0, |at| at + 1);
        out.splice(at..at, added);
    }
    out.into()
}

fn write(value: &Value, out: &mut Vec<u8>) {
    // Serialising a value into memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_replaced_and_added_and_the_rest_stays() {
        let params = serde_json::from_str(r#"{"temperature":0,"x":{"y":[1]}}"#).unwrap();
        for (body, expected) in [
            (r#"{ "a":1e400, "temperature" : 0.7 ,"b":2}"#, r#"{"x":{"y":[1]}, "a":1e400, "temperature" : 0 ,"b":2}"#),
            (r#"{"x":null,"temperature":1}"#, r#"{"x":{"y":[1]},"temperature":0}"#),
            (r#"{"x":1,"temperature":1,"x":2}"#, r#"{"x":{"y":[1]},"temperature":0,"x":{"y":[1]}}"#),
            ("{}", r#"{"temperature":0,"x":{"y":[1]}}"#),
            ("[1]", "[1]"),
        ] {
            let merged = with_params(&Bytes::from_static(body.as_bytes()), &params);
            assert_eq!(String::from_utf8_lossy(&merged), expected, "{body}");
        }
        let body = Bytes::from_static(b"{}");
        assert_eq!(with_params(&body, &Map::new()), body);
    }
}
