//! The order of events is recorded without clocks.

use signalbox_fakes::{End, FakeProvider, Turn, script::FaultKind};

use crate::client::Client;

#[tokio::test]
async fn a_gated_event_is_sent_only_after_its_release() {
    let fake = FakeProvider::start().await.unwrap();
    let gate = fake.script("m", Turn::echo().gated());
    let mut client = Client::connect(&fake).await;
    client.ask("m", true).await;
    client.head().await;
    for released in 1..=6 {
        gate.release(1);
        let chunk = client.chunk().await.unwrap();
        assert!(chunk.starts_with(b"data: "));
        fake.until(|fake| fake.calls()[0].events_sent == released).await;
    }
    assert!(client.chunk().await.unwrap().is_empty());
    fake.until(|fake| fake.calls()[0].end() == Some(End::Completed)).await;
}

#[tokio::test]
async fn an_open_gate_delays_nothing() {
    let fake = FakeProvider::start().await.unwrap();
    let gate = fake.script("m", Turn::echo().gated());
    gate.open();
    for stream in [true, false] {
        assert!(crate::client::ask(&fake, "m", stream).await.whole);
    }
}

#[tokio::test]
async fn a_disconnect_is_detected_before_the_next_release() {
    let fake = FakeProvider::start().await.unwrap();
    let gate = fake.script("m", Turn::echo().gated());
    let mut client = Client::connect(&fake).await;
    client.ask("m", true).await;
    gate.release(2);
    client.head().await;
    client.chunk().await.unwrap();
    client.chunk().await.unwrap();
    let before = fake.tick();
    drop(client);
    fake.until(|fake| fake.calls()[0].ended.is_some()).await;
    let call = &fake.calls()[0];
    let (order, end) = call.ended.unwrap();
    assert_eq!((end, call.events_sent), (End::ClientLeft, 2));
    assert!(call.arrived < before && before < order);
    fake.until(|fake| fake.connections() == 0).await;
}

#[tokio::test]
async fn a_disconnect_during_a_stall_or_endless_answer_is_detected() {
    let fake = FakeProvider::start().await.unwrap();
    fake.script("silent", Turn::echo().before_head(FaultKind::Stall));
    for model in ["silent", "fake-stall-2", "fake-endless", "fake-endlessline"] {
        let mut client = Client::connect(&fake).await;
        client.ask(model, true).await;
        if model != "silent" {
            client.head().await;
            assert!(!client.chunk().await.unwrap().is_empty());
        }
        fake.until(|fake| fake.calls_of(model).len() == 1).await;
        drop(client);
        fake.until(|fake| fake.calls_of(model)[0].end() == Some(End::ClientLeft)).await;
    }
    fake.until(|fake| fake.connections() == 0).await;
}

#[tokio::test]
async fn dropping_the_fake_closes_its_connections() {
    let fake = FakeProvider::start().await.unwrap();
    let mut client = Client::connect(&fake).await;
    client.ask("fake-stall", true).await;
    fake.until(|fake| !fake.calls().is_empty()).await;
    drop(fake);
    assert!(!client.end().await.is_ok_and(|n| n > 0));
}

#[tokio::test(start_paused = true)]
async fn delays_and_drips_follow_the_clock() {
    let fake = FakeProvider::start().await.unwrap();
    for (model, at_least) in [("fake-4x1000", 3_000), ("fake-drip-1000", 400_000)] {
        let begun = tokio::time::Instant::now();
        assert!(crate::client::ask(&fake, model, true).await.whole);
        assert!(begun.elapsed().as_millis() >= at_least, "{model}: {:?}", begun.elapsed());
    }
}
