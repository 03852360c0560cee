//! Ids of answers of Responses and of their items: those of the gateway, and those that a request names.

use std::borrow::Cow;

use signalbox_core::json::Reader;
use uuid::Uuid;

/// Returns the id of the request in the id of an answer or of one of its items, such as `resp_ID` or `msg_ID_0`.
/// Providers' own ids are longer. An id is one text only: in another case, or with blanks, it is none of the gateway's.
#[must_use]
pub fn request_of(id: &str) -> Option<Uuid> {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let part = id.split('_').nth(1).filter(|part| part.len() == 32)?;
    id.bytes().all(is_part).then(|| Uuid::try_parse(part).ok()).flatten()
}

/// Returns whether the body of a request refers to items that only the log has.
#[must_use]
pub fn refers_to_log(body: &[u8]) -> bool {
    memchr::memmem::find(body, b"\"item_reference\"").is_some()
        && named(body).1.iter().any(|id| request_of(id).is_some())
}

/// Returns `previous_response_id` of a request, and the ids in its `item_reference`s.
#[must_use]
pub fn named(body: &[u8]) -> (Option<String>, Vec<String>) {
    let (mut previous, mut referred) = (None, Vec::new());
    // The body has been read as JSON before.
    let _ = Reader::new(body).fields(|name, value| match &*name {
        "previous_response_id" if value.peek()? == b'"' => {
            previous = value.string().map(Cow::into_owned);
            Some(())
        }
        "input" if value.peek()? == b'[' => value.array(|item| {
            if item.peek()? != b'{' {
                return item.skip();
            }
            let (mut kind, mut id) = (None, None);
            item.fields(|name, value| {
                let raw = value.raw()?;
                match &*name {
                    "type" => kind = Some(raw),
                    "id" => id = Reader::new(raw).string(),
                    _ => {}
                }
                Some(())
            })?;
            if kind == Some(b"\"item_reference\"") {
                referred.extend(id.map(Cow::into_owned));
            }
            Some(())
        }),
        _ => value.skip(),
    });
    (previous.filter(|id| !id.is_empty()), referred)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_this_gateway_are_recognised() {
        let id = Uuid::from_u128(7);
        let letters = Uuid::from_u128(0xabc);
        assert_eq!(request_of(&format!("resp_{}", letters.simple())), Some(letters));
        assert_eq!(request_of(&format!("resp_{:X}", letters.simple())), None);
        for (name, known) in [
            (format!("resp_{}", id.simple()), true),
            (format!("msg_{}_0", id.simple()), true),
            (format!("fc_{}_12", id.simple()), true),
            (format!("resp_{}", id.hyphenated()), false),
            ("resp_68a1b2c3d4e5f60718293a4b5c6d7e8f9012345678901234".to_owned(), false),
            (id.simple().to_string(), false),
            (format!(" resp_{}", id.simple()), false),
            (format!("resp_{} ", id.simple()), false),
            (format!("RESP_{}", id.simple()), false),
            ("resp_".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(request_of(&name), known.then_some(id), "{name}");
        }
    }

    #[test]
    fn only_references_and_the_previous_answer_are_named() {
        let named = |body: &str| named(body.as_bytes());
        assert_eq!(named(r#"{"input":"hi","previous_response_id":null}"#), (None, vec![]));
        assert_eq!(
            named(
                r#"{"input":[{"type":"item_reference","id":"msg_1"},{"type":"message","id":"msg_2"},7,{"id":"msg_3","type":"item_reference"}],"previous_response_id":"resp_1"}"#
            ),
            (Some("resp_1".into()), vec!["msg_1".into(), "msg_3".into()])
        );
    }
}
