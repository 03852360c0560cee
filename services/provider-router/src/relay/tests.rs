//! A relay between a scripted provider and a client that polls by hand.

use std::{collections::VecDeque, sync::Arc, task::Waker};

use signalbox_upstream::Error;
use tempfile::TempDir;
use tokio::{
    sync::Semaphore,
    time::{Duration, Instant},
};
use uuid::Uuid;

use super::*;
use crate::journal::{Begin, Bodies, Durability, Journal, JournalConfig, Kept, OnFailure};

/// What comes: bytes, or nothing yet, or a failure. After the last step the stream ends.
#[derive(Debug)]
pub(super) struct Script(VecDeque<Step>);

#[derive(Debug)]
enum Step {
    Bytes(&'static [u8]),
    Wait,
    Fail,
}

use Step::{Bytes as B, Fail, Wait};

impl Script {
    pub(super) fn poll(&mut self) -> Poll<Option<Result<Bytes, Error>>> {
        match self.0.pop_front() {
            None => Poll::Ready(None),
            Some(B(bytes)) => Poll::Ready(Some(Ok(Bytes::from_static(bytes)))),
            Some(Wait) => Poll::Pending,
            Some(Fail) => Poll::Ready(Some(Err(Error::IdleTimeout { after: Duration::from_secs(1) }))),
        }
    }
}

/// What the client sees when it polls once.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Bytes(String),
    Pending,
    Broken,
    End,
}

struct Client {
    relay: Relay,
    journal: TempDir,
    cut: CancellationToken,
}

impl Client {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let size = signalbox_daemon::config::Size::from_mib;
        let config = JournalConfig {
            enabled: true,
            durability: Durability::Process,
            bodies: Bodies::Full,
            segment_bytes: size(1),
            max_bytes: size(8),
            max_answer_bytes: size(1),
            on_failure: OnFailure::Serve,
        };
        let (journal, _loader) = Journal::open(dir.path(), "test", 1, config).unwrap();
        let begin = Begin { received_at: 0, path: "/".into(), model: "m".into(), stream: true, session: None };
        let entry = journal.begin(Uuid::now_v7(), &begin, b"{}").unwrap();
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let kept = Kept { request: Bodies::Full, answer: Bodies::Full };
        let mut exchange = Exchange::new(entry, Instant::now(), journal.max_answer_bytes(), kept, permit);
        exchange.head(200, true);
        let cut = CancellationToken::new();
        let script = Source::Scripted(Script(steps.into_iter().collect()));
        Self { relay: Relay::new(Vec::new(), script, exchange, cut.clone()), journal: dir, cut }
    }

    fn poll(&mut self) -> Seen {
        match self.relay.poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Seen::Pending,
            Poll::Ready(None) => Seen::End,
            Poll::Ready(Some(Err(_))) => Seen::Broken,
            Poll::Ready(Some(Ok(frame))) => {
                Seen::Bytes(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
            }
        }
    }

    fn all(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        while !matches!(seen.last(), Some(Seen::End | Seen::Broken)) {
            seen.push(self.poll());
        }
        seen
    }

    /// The status words in the journal's files, as they are on disk now.
    fn statuses(&self) -> Vec<String> {
        let dir = self.journal.path().join("journal/test");
        let mut statuses = Vec::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            statuses.extend(text.split(r#""status":""#).skip(1).map(|rest| rest[..rest.find('"').unwrap()].to_owned()));
        }
        statuses
    }
}

fn bytes(text: &str) -> Seen {
    Seen::Bytes(text.to_owned())
}

const FINISH: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

#[tokio::test]
async fn bytes_pass_at_once_and_the_end_is_written_before_it_is_released() {
    let mut client = Client::new([B(b"data: {}\n\n"), Wait, B(b"data: [DO"), Wait, B(b"NE]\n\n"), B(b"\n")]);
    assert_eq!(client.poll(), bytes("data: {}\n\n"));
    assert_eq!(client.poll(), Seen::Pending);
    assert_eq!(client.poll(), Seen::Pending, "what may be the end event is held");
    assert_eq!(client.statuses(), Vec::<String>::new());
    assert_eq!(client.poll(), bytes("data: [DONE]\n\n"));
    assert_eq!(client.statuses(), ["completed"]);
    assert_eq!(client.all(), [bytes("\n"), Seen::End]);
    drop(client.relay);
}

#[tokio::test]
async fn a_stream_that_breaks_says_so_and_never_ends_well() {
    let mut client = Client::new([B(b"data: {}\n\n"), Fail]);
    let seen = client.all();
    assert_eq!((&seen[0], &seen[2..]), (&bytes("data: {}\n\n"), [Seen::Pending, Seen::Broken].as_slice()));
    let Seen::Bytes(event) = &seen[1] else { panic!("{seen:?}") };
    assert!(
        event.contains(r#""code":"upstream_timeout""#) && event.ends_with("\n\n") && !event.contains("[DONE]"),
        "{event}"
    );
    assert_eq!(client.statuses(), ["truncated"]);
}

#[tokio::test]
async fn a_provider_that_forgets_the_end_event_is_believed_by_its_finish_reason() {
    let mut client = Client::new([B(FINISH.as_bytes())]);
    assert_eq!(client.all(), [bytes(FINISH), Seen::End]);
    assert_eq!(client.statuses(), ["completed"]);

    let mut client = Client::new([B(b"data: {\"choices\":[]}\n\n")]);
    assert_eq!(client.all().last(), Some(&Seen::Broken));
    assert_eq!(client.statuses(), ["truncated"]);
}

#[tokio::test]
async fn a_failure_after_the_end_event_is_nobodys_concern() {
    let mut client = Client::new([B(b"data: [DONE]\n\n"), Fail]);
    assert_eq!(client.all(), [bytes("data: [DONE]\n\n"), Seen::End]);
    assert_eq!(client.statuses(), ["completed"]);
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_request() {
    let mut client = Client::new([B(b"data: {}\n\n"), Wait]);
    assert_eq!((client.poll(), client.poll()), (bytes("data: {}\n\n"), Seen::Pending));
    client.relay = Client::new([]).relay;
    assert_eq!(client.statuses(), ["client_disconnected"]);
}

#[tokio::test]
async fn the_end_of_the_service_ends_streams_with_an_error() {
    let mut client = Client::new([B(b"data: {}\n\n"), Wait]);
    client.cut.cancel();
    let seen = client.all();
    assert!(matches!(&seen[1], Seen::Bytes(event) if event.contains("router_shutdown")), "{seen:?}");
    assert_eq!(client.statuses(), ["truncated"]);
}

#[tokio::test]
async fn an_endless_line_is_cut() {
    static PIECE: [u8; 1 << 16] = [b'x'; 1 << 16];
    let mut client = Client::new((0..40).map(|_| B(&PIECE)));
    let seen = client.all();
    assert!(seen.len() < 25 && seen.last() == Some(&Seen::Broken));
    assert_eq!(client.statuses(), ["truncated"]);
}
