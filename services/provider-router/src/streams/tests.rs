//! Tests of streams between a scripted answer and readers that come and go, with paused time.

use std::{
    future::poll_fn,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use proptest::prelude::*;
use signalbox_core::{Api, sse::Splitter};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::{pump::Answer, *};
use crate::relay::BoxError;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A stream of a request, and the provider's side of it.
struct Scene {
    streams: Arc<Streams>,
    draining: CancellationToken,
    /// Sends pieces of the answer; the answer ends properly when it is dropped.
    pieces: Option<mpsc::UnboundedSender<Result<Bytes, BoxError>>>,
    /// Pieces that have been taken.
    taken: Arc<AtomicUsize>,
    is_cancelled: Arc<AtomicBool>,
    stop: CancellationToken,
    request: Uuid,
    reader: Option<StreamReader>,
}

struct Scripted {
    pieces: mpsc::UnboundedReceiver<Result<Bytes, BoxError>>,
    taken: Arc<AtomicUsize>,
    is_cancelled: Arc<AtomicBool>,
    stop: CancellationToken,
}

impl Answer for Scripted {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.is_cancelled() {
            return Poll::Ready(Some(Err("cancelled".into())));
        }
        let next = self.pieces.poll_recv(cx);
        if matches!(next, Poll::Ready(Some(Ok(_)))) {
            self.taken.fetch_add(1, Ordering::Relaxed);
        }
        next.map(|next| next.map(|piece| piece.map(Frame::data)))
    }

    fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }
}

impl Scene {
    fn new() -> Self {
        Self::with(1 << 20, 1 << 26)
    }

    fn with(max_bytes: u64, max_total_bytes: u64) -> Self {
        let config = StreamsConfig {
            max_bytes: Size::from_bytes(max_bytes),
            max_total_bytes: Size::from_bytes(max_total_bytes),
            reconnect_timeout: "60s".parse().unwrap(),
        };
        let draining = CancellationToken::new();
        let streams = Arc::new(Streams::new(&config, draining.clone()));
        let (pieces, receiver) = mpsc::unbounded_channel();
        let (taken, is_cancelled, stop) = (Arc::default(), Arc::default(), CancellationToken::new());
        let answer = Scripted {
            pieces: receiver,
            taken: Arc::clone(&taken),
            is_cancelled: Arc::clone(&is_cancelled),
            stop: stop.clone(),
        };
        let caller = Caller::configured(1, None);
        let request = Uuid::from_u128(7);
        let origin = Origin { request, api: Api::Chat, path: "/x", caller: Some(&caller), body: b"{}" };
        let reader = streams.start(answer, &origin, HeaderMap::new(), Version::HTTP_11);
        let (pieces, reader) = (Some(pieces), Some(reader));
        Self { streams, draining, pieces, taken, is_cancelled, stop, request, reader }
    }

    fn send(&self, text: &str) {
        self.pieces.as_ref().unwrap().send(Ok(Bytes::copy_from_slice(text.as_bytes()))).unwrap();
    }

    /// Ends the answer properly.
    fn finish(&mut self) {
        self.pieces = None;
    }

    /// Breaks the answer off.
    fn break_off(&mut self) {
        self.pieces.take().unwrap().send(Err("broken".into())).unwrap();
    }

    /// Comes back after the event with this number.
    fn resume(&mut self, after: u64) -> Result<(), StreamError> {
        let stream = self.streams.find(self.request, Some(&Caller::configured(1, None)))?;
        let number = stream.attach(after)?;
        self.reader = Some(StreamReader::new(stream, number, Version::HTTP_11));
        Ok(())
    }

    /// Reads the next bytes; `None` at the proper end.
    async fn read(&mut self) -> Option<Result<String, ()>> {
        let reader = self.reader.as_mut().unwrap();
        let frame = timeout(Duration::from_secs(1), poll_fn(|cx| reader.poll_frame(cx))).await;
        let frame = frame.expect("nothing comes")?;
        Some(frame.map(|frame| String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()).map_err(drop))
    }

    /// Reads to the end; returns the data of the events with the last id, and whether the end was a proper one.
    async fn rest(&mut self) -> (String, bool) {
        let mut text = String::new();
        loop {
            match self.read().await {
                Some(Ok(bytes)) => text.push_str(&bytes),
                Some(Err(())) => return (text, false),
                None => return (text, true),
            }
        }
    }

    async fn is_gone(&self) -> bool {
        // The task of the stream runs first.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        let is_gone = self.streams.find(self.request, Some(&Caller::configured(1, None))).is_err();
        assert_eq!(is_gone, self.streams.held().0 == 0);
        is_gone
    }

    fn is_answer_dropped(&self) -> bool {
        self.pieces.as_ref().is_some_and(mpsc::UnboundedSender::is_closed)
    }
}

fn event(number: u64, text: &str) -> String {
    format!("data: {text}\nid: {}-{number}\n\n", Uuid::from_u128(7))
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_comes_back_gets_the_rest() {
    let mut scene = Scene::new();
    scene.send("data: a\n\nda");
    scene.send("ta: b\n\n");
    assert_eq!(scene.read().await, Some(Ok(event(1, "a"))));
    assert_eq!(scene.read().await, Some(Ok(event(2, "b"))));
    scene.reader = None;
    scene.send("data: c\n\n");
    sleep(TIMEOUT - Duration::from_secs(1)).await;
    scene.resume(1).unwrap();
    assert_eq!(scene.read().await, Some(Ok(event(2, "b"))), "what was lost on the way comes again");
    assert_eq!(scene.read().await, Some(Ok(event(3, "c"))));
    scene.reader = None;
    // The time begins anew.
    sleep(TIMEOUT - Duration::from_secs(1)).await;
    assert!(!scene.is_gone().await);
    scene.send("data: d\n\n");
    scene.finish();
    scene.resume(3).unwrap();
    assert_eq!(scene.rest().await, (event(4, "d"), true));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_is_cancelled() {
    let mut scene = Scene::new();
    scene.send("data: a\n\n");
    scene.read().await;
    sleep(TIMEOUT * 10).await;
    assert!(!scene.is_gone().await, "it has a reader");
    scene.reader = None;
    sleep(TIMEOUT - Duration::from_millis(1)).await;
    assert!(!scene.is_gone().await && !scene.is_answer_dropped());
    sleep(Duration::from_millis(2)).await;
    assert!(scene.is_gone().await && scene.is_answer_dropped());
    assert_eq!(scene.resume(0), Err(StreamError::Unknown(scene.request.to_string())));
    assert_eq!(scene.streams.held(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_finished_stream_is_read_again_until_its_time_is_over() {
    let mut scene = Scene::new();
    scene.send("data: a\n\ndata: b\n\n");
    scene.finish();
    let whole = (event(1, "a") + &event(2, "b"), true);
    for _ in 0..3 {
        assert_eq!(scene.rest().await, whole);
        scene.reader = None;
        sleep(TIMEOUT - Duration::from_secs(1)).await;
        scene.resume(0).unwrap();
    }
    scene.resume(2).unwrap();
    assert_eq!(scene.rest().await, (String::new(), true));
    assert_eq!(scene.resume(3), Err(StreamError::Ahead { after: 3, last: 2 }));
    scene.reader = None;
    sleep(TIMEOUT + Duration::from_millis(1)).await;
    assert!(scene.is_gone().await);
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_never_ends_properly() {
    let mut scene = Scene::new();
    scene.send("data: a\n\ndata: {\"half");
    scene.break_off();
    let broken = (event(1, "a") + "data: {\"half", false);
    assert_eq!(scene.rest().await, broken);
    scene.reader = None;
    scene.resume(1).unwrap();
    assert_eq!(scene.rest().await, (String::new(), false), "half an event is of no use");
}

#[tokio::test(start_paused = true)]
async fn the_newest_reader_takes_over() {
    let mut scene = Scene::new();
    scene.send("data: a\n\n");
    assert_eq!(scene.read().await, Some(Ok(event(1, "a"))));
    let mut first = scene.reader.take().unwrap();
    let waiting = tokio::spawn(async move { poll_fn(|cx| first.poll_frame(cx)).await.map(|frame| frame.is_ok()) });
    tokio::task::yield_now().await;
    assert!(matches!(scene.resume(2), Err(StreamError::Ahead { .. })));
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "a reader that cannot read takes nothing");
    scene.resume(0).unwrap();
    assert_eq!(waiting.await.unwrap(), Some(false), "the stream is not over for the first reader");
    scene.send("data: b\n\n");
    scene.finish();
    assert_eq!(scene.rest().await, (event(1, "a") + &event(2, "b"), true));
}

#[tokio::test(start_paused = true)]
async fn only_the_same_caller_finds_a_stream() {
    let scene = Scene::new();
    let unknown = Err(StreamError::Unknown(scene.request.to_string()));
    for other in [None, Some(Caller::configured(2, None))] {
        let found = scene.streams.find(scene.request, other.as_ref());
        assert_eq!(found.map(|stream| stream.request()), unknown);
    }
    let own = scene.streams.find(scene.request, Some(&Caller::configured(1, None))).unwrap();
    assert_eq!(own.check("/x", b"{}"), Ok(()));
    for (path, body) in [("/y", &b"{}"[..]), ("/x", b"{ }")] {
        assert_eq!(own.check(path, body), Err(StreamError::OtherRequest(scene.request)));
    }
}

#[tokio::test(start_paused = true)]
async fn comments_are_for_the_present_reader() {
    let mut scene = Scene::new();
    scene.send(": ping\n\n");
    assert_eq!(scene.read().await.as_ref(), Some(&Ok(": ping\n\n".to_owned())));
    scene.reader = None;
    for _ in 0..100 {
        scene.send(": ping\n\n");
    }
    scene.send("data: a\n\n");
    scene.finish();
    tokio::task::yield_now().await;
    scene.resume(0).unwrap();
    assert_eq!(scene.rest().await, (event(1, "a"), true));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_and_an_absent_one_make_the_answer_wait() {
    let mut scene = Scene::with(4_096, 1 << 20);
    let text = "x".repeat(100);
    for _ in 0..100 {
        scene.send(&format!("data: {text}\n\n"));
    }
    scene.finish();
    sleep(Duration::from_secs(1)).await;
    let taken = scene.taken.load(Ordering::Relaxed);
    assert!((5..20).contains(&taken), "{taken}");
    scene.read().await.unwrap().unwrap();
    scene.reader = None;
    sleep(Duration::from_secs(1)).await;
    assert!((taken..taken + 3).contains(&scene.taken.load(Ordering::Relaxed)));
    scene.resume(0).unwrap();
    let (rest, is_whole) = scene.rest().await;
    assert_eq!((rest.matches("data: ").count(), is_whole), (100, true), "nothing is lost");
    let Err(StreamError::PushedOut { after: 0, oldest, .. }) = scene.resume(0) else { panic!("it is too long") };
    scene.resume(oldest - 1).unwrap();
    assert_eq!(scene.rest().await.0.matches("data: ").count() as u64, 101 - oldest);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_answer_ends_although_nobody_makes_room() {
    let mut scene = Scene::with(4_096, 1 << 20);
    scene.reader = None;
    for _ in 0..100 {
        scene.send(&format!("data: {}\n\n", "x".repeat(100)));
    }
    sleep(Duration::from_secs(1)).await;
    scene.is_cancelled.store(true, Ordering::Relaxed);
    scene.stop.cancel();
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    assert!(scene.is_answer_dropped());
    scene.resume(0).unwrap();
    let (rest, is_whole) = scene.rest().await;
    assert!(!is_whole && rest.matches("data: ").count() < 100);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_drains_waits_for_readers_and_for_others_a_bounded_time() {
    let mut scene = Scene::new();
    scene.send("data: a\n\n");
    scene.draining.cancel();
    sleep(TIMEOUT).await;
    assert!(!scene.is_gone().await, "it is read");
    scene.reader = None;
    let began = Instant::now();
    scene.streams.finished().await;
    assert!(scene.is_answer_dropped() && began.elapsed() <= DRAIN_TIME);
    let mut scene = Scene::new();
    scene.send("data: a\n\n");
    scene.finish();
    scene.rest().await;
    scene.reader = None;
    scene.draining.cancel();
    let began = Instant::now();
    scene.streams.finished().await;
    assert!(began.elapsed() < DRAIN_TIME, "a finished stream is not waited for");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let config = |max: u64, total: u64, timeout: &str| StreamsConfig {
        max_bytes: Size::from_bytes(max),
        max_total_bytes: Size::from_bytes(total),
        reconnect_timeout: timeout.parse().unwrap(),
    };
    assert_eq!(config(4_096, 4_096, "1ms").check(), Ok(()));
    assert_eq!(config(4_096, 0, "60s").check(), Ok(()));
    for (wrong, key) in [
        (config(4_095, 1 << 20, "60s"), "streams.max_bytes takes a size of at least 4KiB"),
        (config(8_192, 8_191, "60s"), "streams.max_total_bytes takes a size of at least streams.max_bytes"),
        (config(8_192, 8_192, "0s"), "streams.reconnect_timeout takes a duration above 0s"),
    ] {
        let refused = wrong.check().unwrap_err();
        assert!(refused.code() == 78 && refused.to_string().starts_with(key), "{refused}");
    }
}

/// Returns the ids and the data of the events in `text`.
fn parsed(text: &str) -> Vec<(u64, String)> {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(Bytes::copy_from_slice(text.as_bytes()));
    let frames = std::iter::from_fn(|| splitter.next_frame().unwrap());
    let read = |frame: signalbox_core::sse::Frame| {
        let raw = String::from_utf8(frame.raw().to_vec()).unwrap();
        let id = raw.lines().rev().find_map(|line| line.strip_prefix("id: ")).unwrap().rsplit('-').next().unwrap();
        (id.parse().unwrap(), String::from_utf8(frame.data().unwrap().to_vec()).unwrap())
    };
    frames.map(read).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_readers_together_read_the_whole_or_are_told_what_is_gone(
        lens in proptest::collection::vec(0_usize..400, 0..60),
        cut in 1_usize..300,
        visits in proptest::collection::vec((0_usize..20, 0_usize..6), 0..6),
        max in 4_096_u64..20_000, total in 4_096_u64..20_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let sent: Vec<String> = lens.iter().enumerate().map(|(at, len)| format!("{at}{}", "x".repeat(*len))).collect();
        let read = runtime.block_on(async {
            let mut scene = Scene::with(max, total);
            let whole: String = sent.iter().map(|text| format!("data: {text}\n\n")).collect();
            for piece in whole.as_bytes().chunks(cut) {
                scene.send(std::str::from_utf8(piece).unwrap());
            }
            scene.finish();
            let mut read: Vec<(u64, String)> = Vec::new();
            for (events, lost) in visits {
                for _ in 0..events {
                    match scene.read().await {
                        Some(Ok(bytes)) => read.extend(parsed(&bytes)),
                        _ => break,
                    }
                }
                // The connection breaks with some events on their way.
                read.truncate(read.len().saturating_sub(lost));
                scene.reader = None;
                sleep(Duration::from_secs(1)).await;
                match scene.resume(read.last().map_or(0, |(id, _)| *id)) {
                    Ok(()) => {}
                    Err(StreamError::PushedOut { .. }) => return None,
                    Err(error) => panic!("{error}"),
                }
            }
            let (rest, is_whole) = scene.rest().await;
            assert!(is_whole);
            read.extend(parsed(&rest));
            Some(read)
        });
        if let Some(read) = read {
            let expected: Vec<(u64, String)> = (1..).zip(sent).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
