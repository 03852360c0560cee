//! Streaming without delay: no event waits for the next one, and no byte changes.

use signalbox_fakes::{Turn, script::Chat};
use signalbox_harness::Client;

use crate::gateway::{CHAT, Gateway, counted_chat};

#[tokio::test]
async fn each_event_is_sent_before_the_next_arrives() {
    let gateway = Gateway::start().await;
    let gate = gateway.fake.script("m", Turn::echo().gated());
    // The router waits for the first event before it sends anything to the client.
    gate.release(1);
    let mut events = gateway.router.stream(CHAT, &counted_chat("fake/m")).await;
    for event in 1..=7 {
        if event > 1 {
            gate.release(1);
        }
        let frame = events.next().await.unwrap();
        assert_eq!(frame.is_done(), event == 7);
        // The client has received this event, and the provider cannot have sent more.
        gateway.fake.until(|fake| fake.calls_of("m")[0].events_sent == event).await;
    }
    assert!(events.finish().await.complete);
}

#[tokio::test]
async fn i14_every_byte_of_a_stream_is_relayed_unchanged() {
    let gateway = Gateway::start().await;
    let chat_with = |change: fn(&mut Chat)| Turn::says("één, 二 and \u{1F600}; done").chat(change);
    let turns = [
        ("usual", chat_with(|_| {})),
        ("crlf", chat_with(|chat| chat.crlf = true)),
        ("comments", chat_with(|chat| chat.comments = true)),
        ("all", chat_with(|chat| (chat.crlf, chat.comments) = (true, true)).split(1)),
        ("bytes", chat_with(|_| {}).split(1)),
        ("sevens", chat_with(|chat| chat.comments = true).split(7)),
        ("thoughts", chat_with(|chat| chat.reasoning = Some("hm, let me see".into()))),
        ("undone", chat_with(|chat| chat.done = false)),
    ];
    let direct = Client::new(gateway.fake.addr().port());
    for (model, turn) in turns {
        gateway.fake.script(model, turn);
        let expected = direct.stream(CHAT, &counted_chat(model)).await.finish().await;
        let relayed = gateway.router.stream(CHAT, &counted_chat(&format!("fake/{model}"))).await.finish().await;
        assert!(relayed.complete, "{model}");
        assert_eq!(relayed.raw, expected.raw, "{model}: {}", String::from_utf8_lossy(&relayed.raw));
    }
}

#[tokio::test]
async fn every_byte_of_a_whole_answer_is_relayed_unchanged() {
    let gateway = Gateway::start().await;
    let body = "{ \"id\":\"x\",\n\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"\\u00e9\"},\"finish_reason\":\"stop\"}], \"extra\": 1e2 }\n";
    gateway.fake.script(
        "odd",
        Turn::raw("application/json", body).header("openai-processing-ms", "7").header("x-extra", "not listed"),
    );
    let answer = gateway.ask("fake/odd").await.expect(200);
    assert_eq!(answer.text(), body);
    assert_eq!((answer.header("openai-processing-ms"), answer.header("x-extra")), ("7", ""));
}

#[tokio::test]
async fn every_byte_of_a_request_except_the_model_is_relayed_unchanged() {
    let gateway = Gateway::start().await;
    let text = |model: &str| {
        format!(
            "{{ \"future_field\" : {{\"a\":[1.50,null]}},\t\"model\" : \"{model}\" ,\n \"messages\":[{{\"role\":\"user\",\"content\":\"\\u00e9 \\ud83d\\ude00 one\"}}] , \"temperature\":0.70 }}\n"
        )
    };
    let sent = gateway.router.request("POST".parse().unwrap(), CHAT, text("fake/m")).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    let call = &gateway.fake.calls_of("m")[0];
    assert_eq!(String::from_utf8_lossy(&call.body), text("m"));
    assert_eq!(call.header("authorization"), Some("Bearer sk-test-0123456789abcdef"));
}

crate::manner::rudely! {
    each_event_is_sent_before_the_next_arrives,
    i14_every_byte_of_a_stream_is_relayed_unchanged,
    every_byte_of_a_whole_answer_is_relayed_unchanged,
    every_byte_of_a_request_except_the_model_is_relayed_unchanged,
}
