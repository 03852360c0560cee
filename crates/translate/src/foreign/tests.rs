use proptest::prelude::*;

use super::*;

const OWN: &str = "0198c0de0198c0de0198c0de0198c0de";

fn cleaned(api: Api, body: &str) -> Option<(String, Vec<String>)> {
    let cleaned = without_foreign(api, body.as_bytes())?;
    let lost = cleaned.losses.iter().map(|loss| format!("{} {}", loss.field, loss.action)).collect();
    Some((String::from_utf8(cleaned.body).unwrap(), lost))
}

#[test]
fn unsigned_thinking_is_cut_and_the_rest_stays() {
    let signed = r#"{ "type":"thinking","thinking":"b" , "signature":"c2ln" }"#;
    for (blocks, kept, lost) in [
        (format!(r#"{{"type":"thinking","thinking":"a","signature":""}}, {signed} ,{{"x":1.0}}"#), format!(r#"{signed} ,{{"x":1.0}}"#), vec![0]),
        (format!(r#"{signed} , {{"signature":null,"type":"thinking","thinking":"a"}}"#), signed.to_owned(), vec![1]),
        (
            r#"{"type":"text","text":"x"},{"type":"thinking","thinking":""} , {"type":"thinking"}, {"type":"tool_use"}"#.to_owned(),
            r#"{"type":"text","text":"x"},{"type":"tool_use"}"#.to_owned(),
            vec![1, 2],
        ),
    ] {
        let body = |blocks: &str| {
            format!(r#"{{"odd":1e400, "messages" : [ {{"role":"user","content":"thinking"}} , {{"role":"assistant","content":[ {blocks} ]}} ] }}"#)
        };
        let lost = lost.into_iter().map(|at| format!("messages.1.content.{at} dropped")).collect();
        assert_eq!(cleaned(Api::Messages, &body(&blocks)), Some((body(&kept), lost)), "{blocks}");
    }
}

#[test]
fn a_message_that_was_only_thinking_goes_as_a_whole() {
    let body = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":""}]},{"role":"user","content":"b"}]}"#;
    let expected = r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}"#;
    assert_eq!(
        cleaned(Api::Messages, body),
        Some((expected.to_owned(), vec!["messages.1.content.0 dropped".to_owned()]))
    );
}

#[test]
fn items_of_another_account_are_cut_by_their_place() {
    let body = r#"{"model":"m","input":[ {"role":"user","content":"a"}, {"x":1} ,{"y":1.0}], "odd": 1e400}"#;
    let cut = |indices: &[usize]| {
        let cleaned = without_items(body.as_bytes(), indices)?;
        let lost: Vec<String> = cleaned.losses.iter().map(|loss| loss.field.clone()).collect();
        Some((String::from_utf8(cleaned.body).unwrap(), lost.join(" ")))
    };
    let expected = |input: &str| format!(r#"{{"model":"m","input":[ {input}], "odd": 1e400}}"#);
    let user = r#"{"role":"user","content":"a"}"#;
    assert_eq!(cut(&[1]), Some((expected(&format!("{user}, {{\"y\":1.0}}")), "input.1".to_owned())));
    assert_eq!(cut(&[1, 2]), Some((expected(user), "input.1 input.2".to_owned())));
    assert_eq!((cut(&[]), cut(&[7])), (None, None));
    assert!(without_items(br#"{"input":"text"}"#, &[0]).is_none());
}

#[test]
fn own_items_are_cut_and_lose_their_ids() {
    let handle = r#"{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"signalbox.thinking.v1:{\"thinking\":\"x\"}"}"#;
    let bare = format!(r#"{{"type":"reasoning","id":"rs_{OWN}_0","summary":[]}}"#);
    let vendor = r#"{"type":"reasoning","id":"rs_68a1","summary":[],"encrypted_content":"gAAAA"}"#;
    let call =
        format!(r#"{{ "id":"fc_{OWN}_1" , "type":"function_call","call_id":"c","name":"f","arguments":"{{}}"}}"#);
    let kept_call = r#"{ "type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#;
    let body =
        format!(r#"{{"model":"m","input":[ {{"role":"user","content":"_0"}}, {handle}, {bare}, {vendor} , {call}]}}"#);
    let expected = format!(r#"{{"model":"m","input":[ {{"role":"user","content":"_0"}}, {vendor} , {kept_call}]}}"#);
    let lost = vec!["input.1 dropped".to_owned(), "input.2 dropped".to_owned()];
    assert_eq!(cleaned(Api::Responses, &body), Some((expected, lost)));
    // Only the id, which is the last member here.
    let message = format!(r#"{{"input":[{{"type":"message","role":"assistant","content":"x", "id":"msg_{OWN}_0"}}]}}"#);
    let expected = r#"{"input":[{"type":"message","role":"assistant","content":"x"}]}"#;
    assert_eq!(cleaned(Api::Responses, &message), Some((expected.to_owned(), vec![])));
}

#[test]
fn other_bodies_are_not_touched() {
    let reference = format!(r#"{{"input":[{{"type":"item_reference","id":"msg_{OWN}_0"}}]}}"#);
    for (api, body) in [
        (Api::Chat, r#"{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"x"}]}]}"#),
        (
            Api::Messages,
            r#"{"thinking":{"type":"enabled"},"messages":[{"role":"user","content":"\"type\":\"thinking\""}]}"#,
        ),
        (Api::Messages, r#"{"messages":[{"content":[{"type":"thinking","thinking":"","signature":"s"}]}]}"#),
        (Api::Messages, r#"{"messages":["thinking",{"content":["thinking",7,{"type":"thinking","signature":[]}]}]}"#),
        (Api::Messages, r#"{"messages":{"thinking":1}}"#),
        (Api::Responses, r#"{"input":"signalbox.thinking.v1:{}"}"#),
        (Api::Responses, r#"{"input":["signalbox.thinking.v1:",{"role":"user","content":"signalbox.thinking.v1:"}]}"#),
        (Api::Responses, r#"{"input":[{"type":"message","id":"msg_0123","role":"assistant","content":"x"}]}"#),
        // Stored items are looked up in the request log.
        (Api::Responses, &reference),
    ] {
        assert_eq!(cleaned(api, body), None, "{body}");
    }
}

proptest! {
    #[test]
    fn what_is_left_are_the_elements_that_are_not_cut(cut in prop::collection::vec(any::<bool>(), 0..9), blanks in 0_usize..3) {
        let comma = format!("{0},{0}", " ".repeat(blanks));
        let elements: Vec<String> = (0..cut.len()).map(|at| format!("[{at}]")).collect();
        let body = format!("[{}]", elements.join(&comma));
        let places: Vec<Range<usize>> = elements.iter().map(|one| {
            let start = body.find(one.as_str()).unwrap();
            start..start + one.len()
        }).collect();
        let (mut left, mut at) = (String::new(), 0);
        for range in without(&places, &cut) {
            prop_assert!(range.start >= at);
            left.push_str(&body[at..range.start]);
            at = range.end;
        }
        left.push_str(&body[at..]);
        let kept: Vec<String> = elements.iter().zip(&cut).filter(|(_, cut)| !**cut).map(|(one, _)| one.clone()).collect();
        prop_assert_eq!(left, format!("[{}]", kept.join(&comma)));
    }
}
