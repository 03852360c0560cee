//! Tests of a relay between a scripted provider and a client that is polled by hand.

mod broken;
mod kept;
mod resumed;
mod translated;
mod typed;
mod whole;
mod withheld;

use std::{collections::VecDeque, sync::Arc, task::Waker};

use signalbox_daemon::{RequestContext, config::AccessLog};
use signalbox_upstream::Error;
use tempfile::TempDir;
use tokio::{
    sync::Semaphore,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;
use crate::journal::{Begin, Bodies, BodyPolicy, Durability, Journal, JournalConfig, OnFailure};
use crate::live::LiveRequests;

/// Steps of a scripted source: bytes, a pending poll, or an error. The stream ends after the last step.
#[derive(Clone, Debug)]
pub(crate) struct Script(VecDeque<Step>);

#[derive(Clone, Debug)]
enum Step {
    Bytes(&'static [u8]),
    Text(String),
    Wait,
    Fail,
    /// The time of the whole request is over.
    Expire,
}

use Step::{Bytes as B, Fail, Wait};

impl Script {
    /// Creates a script of these pieces.
    pub(crate) fn of(pieces: &[&'static str]) -> Self {
        Self(pieces.iter().map(|piece| B(piece.as_bytes())).collect())
    }

    /// Creates a script of these texts.
    pub(crate) fn texts(texts: impl IntoIterator<Item = String>) -> Self {
        Self(texts.into_iter().map(Step::Text).collect())
    }

    /// Creates a script of a text after which the connection breaks.
    pub(crate) fn breaking(text: &str) -> Self {
        Self([Step::Text(text.to_owned()), Fail].into())
    }

    /// Creates a script of a text after which the time of the request is over.
    pub(crate) fn late(text: &str) -> Self {
        Self([Step::Text(text.to_owned()), Step::Expire].into())
    }

    pub(super) fn poll(&mut self) -> Poll<Option<Result<Bytes, Error>>> {
        match self.0.pop_front() {
            None => Poll::Ready(None),
            Some(B(bytes)) => Poll::Ready(Some(Ok(Bytes::from_static(bytes)))),
            Some(Step::Text(text)) => Poll::Ready(Some(Ok(text.into()))),
            Some(Wait) => Poll::Pending,
            Some(Fail) => Poll::Ready(Some(Err(Error::IdleTimeout { after: Duration::from_secs(1) }))),
            Some(Step::Expire) => Poll::Ready(Some(Err(Error::TotalTimeout { after: Duration::from_secs(1) }))),
        }
    }
}

/// Result of a single poll by the client.
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
    /// Stops the stream, as a shutdown does.
    abort: CancellationToken,
    live: Arc<LiveRequests>,
}

impl Client {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self::logged(steps, "1MiB", Bodies::Full)
    }

    /// Creates a client whose response is logged up to `max_answer` bytes, in the detail of `bodies`.
    fn logged(steps: impl IntoIterator<Item = Step>, max_answer: &str, bodies: Bodies) -> Self {
        Self::with(steps, max_answer, bodies, 1)
    }

    fn with(steps: impl IntoIterator<Item = Step>, max_answer: &str, bodies: Bodies, choices: u32) -> Self {
        let script = Source::Scripted(Script(steps.into_iter().collect()));
        Self::of(script, Api::Chat, max_answer, bodies, choices)
    }

    /// Creates a client of `api` whose stream comes from `source`.
    fn of(source: Source, api: Api, max_answer: &str, bodies: Bodies, choices: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let size = signalbox_daemon::config::Size::from_mib;
        let config = JournalConfig {
            enabled: true,
            durability: Durability::Process,
            bodies: Bodies::Full,
            segment_bytes: size(1),
            max_bytes: size(8),
            max_answer_bytes: max_answer.parse().unwrap(),
            on_failure: OnFailure::Serve,
        };
        let (journal, _loader) = Journal::open(dir.path(), "test", 1, config).unwrap();
        let begin = Begin {
            received_at: 0,
            path: "/".into(),
            model: "m".into(),
            stream: true,
            session: None,
            previous: None,
            key: None,
        };
        let id = Uuid::now_v7();
        let entry = journal.begin(id, &begin, b"{}").unwrap();
        let live = Arc::new(LiveRequests::default());
        let context = RequestContext::new(AccessLog::Off);
        let entered = live.enter(id, begin, Instant::now());
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let kept = BodyPolicy { request: Bodies::Full, answer: bodies };
        let mut exchange =
            Exchange::new(entry, (context, entered), Api::Chat, journal.max_answer_bytes(), kept, permit);
        exchange.head(200, true);
        let abort = exchange.stop().clone();
        Self { relay: Relay::new((Vec::new(), source), exchange, api, choices), journal: dir, abort, live }
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

    /// Polls to the end; returns the concatenated bytes, and how the stream ended.
    fn text(&mut self) -> (String, Seen) {
        let (mut text, mut last) = (String::new(), Seen::Pending);
        for seen in self.all() {
            match seen {
                Seen::Bytes(bytes) => text.push_str(&bytes),
                seen => last = seen,
            }
        }
        (text, last)
    }

    /// Returns the current contents of the journal's files.
    fn written(&self) -> String {
        let files = std::fs::read_dir(self.journal.path().join("journal/test")).unwrap();
        let texts =
            files.map(|file| String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap()).into_owned());
        texts.collect()
    }

    /// Returns the statuses in the journal.
    fn statuses(&self) -> Vec<String> {
        let text = self.written();
        let heads = text.split(r#"{"status":""#).skip(1).filter_map(|rest| rest.split_once(r#"","ended_at":"#));
        heads.filter(|(status, _)| !status.contains('"')).map(|(status, _)| status.to_owned()).collect()
    }
}

fn bytes(text: &str) -> Seen {
    Seen::Bytes(text.to_owned())
}

const FINISH: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

#[tokio::test]
async fn bytes_pass_at_once_and_the_end_is_logged_before_it_is_sent() {
    let mut client = Client::new([B(b"data: {}\n\n"), Wait, B(b"data: [DO"), Wait, B(b"NE]\n\n"), B(b"\n")]);
    assert_eq!(client.poll(), bytes("data: {}\n\n"));
    assert_eq!(client.poll(), Seen::Pending);
    assert_eq!(client.poll(), Seen::Pending, "a possible end event is withheld");
    assert_eq!(client.statuses(), Vec::<String>::new());
    assert_eq!(client.poll(), bytes("data: [DONE]\n\n"));
    assert_eq!(client.statuses(), ["completed"]);
    assert_eq!(client.all(), [Seen::End]);
}

#[tokio::test]
async fn the_blank_line_after_the_end_event_passes_at_any_chunk_boundaries() {
    for cuts in [
        vec![B(b"data: [DONE]"), B(b"\r"), B(b"\n"), B(b"\r"), B(b"\n"), B(b"more")],
        vec![B(b"data: [DONE]\r"), Wait, B(b""), Wait, B(b"\n\r\nmore")],
        vec![B(b"data: [DONE]\r\n\r\n"), Fail],
        // Missing line ends are supplied.
        vec![B(b"data: [DONE]\r\n"), B(b"")],
        vec![B(b"data: [DONE]\r\n\r"), B(b"more")],
    ] {
        let shown = format!("{cuts:?}");
        let mut client = Client::new(cuts);
        assert_eq!(client.text(), ("data: [DONE]\r\n\r\n".to_owned(), Seen::End), "{shown}");
        assert_eq!(client.statuses(), ["completed"]);
    }
}

#[tokio::test]
async fn a_broken_stream_ends_with_an_error_event() {
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
async fn a_finish_reason_completes_a_stream_without_an_end_event() {
    let mut client = Client::new([B(FINISH.as_bytes())]);
    assert_eq!(client.all(), [bytes(FINISH), Seen::End]);
    assert_eq!(client.statuses(), ["completed"]);

    let mut client = Client::new([B(b"data: {\"choices\":[]}\n\n")]);
    assert_eq!(client.all().last(), Some(&Seen::Broken));
    assert_eq!(client.statuses(), ["truncated"]);
}

#[tokio::test]
async fn a_failure_after_the_end_event_is_ignored() {
    let mut client = Client::new([B(b"data: [DONE]\n\n"), Fail]);
    assert_eq!(client.all(), [bytes("data: [DONE]\n\n"), Seen::End]);
    assert_eq!(client.statuses(), ["completed"]);
}

#[tokio::test]
async fn a_disconnecting_client_cancels_the_request() {
    let mut client = Client::new([B(b"data: {}\n\n"), Wait]);
    assert_eq!((client.poll(), client.poll()), (bytes("data: {}\n\n"), Seen::Pending));
    client.relay = Client::new([]).relay;
    assert_eq!(client.statuses(), ["client_disconnected"]);
}

#[tokio::test]
async fn shutdown_ends_streams_with_an_error() {
    let mut client = Client::new([B(b"data: {}\n\n"), Wait]);
    client.abort.cancel();
    let seen = client.all();
    assert!(matches!(&seen[1], Seen::Bytes(event) if event.contains("router_shutdown")), "{seen:?}");
    assert_eq!(client.statuses(), ["truncated"]);
}

#[tokio::test]
async fn an_endless_event_is_an_error_and_a_long_one_passes() {
    static PIECE: [u8; 1 << 16] = [b'x'; 1 << 16];
    let pieces = MAX_EVENT / PIECE.len();
    let mut client = Client::new((0..pieces + 40).map(|_| B(&PIECE)));
    let seen = client.all();
    assert!(seen.len() < pieces + 25 && seen.last() == Some(&Seen::Broken));
    assert_eq!(client.statuses(), ["truncated"]);

    let event = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}},\"finish_reason\":\"stop\"}}]}}\n\n",
        "A".repeat(3 << 20)
    );
    let pieces: Vec<Step> =
        event.as_bytes().chunks(10_000).map(|piece| Step::Text(String::from_utf8(piece.to_vec()).unwrap())).collect();
    let mut client = Client::new(pieces);
    assert_eq!(client.text(), (event, Seen::End));
    assert_eq!(client.statuses(), ["completed"]);
}

#[tokio::test]
async fn logging_limits_do_not_change_the_stream() {
    let long =
        |len: usize| FINISH.replace("\"delta\":{}", &format!("\"delta\":{{\"content\":\"{}\"}}", "x".repeat(len)));
    let after = format!(
        "{FINISH}data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":1.5}},\"x\":\"{}\"}}\n\n",
        "x".repeat(20_000)
    );
    for stream in [FINISH.to_owned(), long(30_000), long(100_000), after] {
        for (max_answer, bodies) in
            [("1MiB", Bodies::Full), ("10B", Bodies::Full), ("1MiB", Bodies::Off), ("10B", Bodies::Redact)]
        {
            let mut client = Client::logged([Step::Text(stream.clone())], max_answer, bodies);
            assert_eq!(client.text(), (stream.clone(), Seen::End), "{max_answer} {bodies:?}");
            assert_eq!(client.statuses(), ["completed"], "{max_answer} {bodies:?}");
            if max_answer == "10B" {
                assert!(client.written().contains(r#""summary":{"#), "{}", client.written());
            }
        }
    }
}

#[tokio::test]
async fn unusual_fields_do_not_hide_the_end() {
    for odd in [
        r#"{"id":null,"choices":[{"index":0,"delta":null,"finish_reason":"stop"}]}"#,
        r#"{"created":1.5,"choices":[{"index":"0","delta":{},"finish_reason":"length"}],"usage":{"prompt_tokens":1.5}}"#,
        r#"{"choices":[{"delta":{"content":[{"type":"text","text":"\ud83d"}]},"finish_reason":"stop"}]}"#,
    ] {
        let stream = format!("data: {odd}\r\n\r\n");
        let mut client = Client::new([Step::Text(stream.clone())]);
        assert_eq!(client.text(), (stream, Seen::End));
        assert_eq!(client.statuses(), ["completed"]);
    }
    // A missing blank line, which clients need, is added.
    let mut client = Client::new([Step::Text(format!("data: {}", &FINISH[6..FINISH.len() - 2]))]);
    assert_eq!(client.text(), (FINISH.to_owned(), Seen::End));
}

#[tokio::test]
async fn the_providers_error_event_is_the_only_error_event() {
    let error = r#"{"error":{"message":"overloaded","code":503}}"#;
    let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
    for after in ["", "data: [DONE]\n\n", "data: {\"error\":\"again\"}\n\n", chunk] {
        let joined = [Step::Text(format!("{chunk}data: {error}\n\n{after}"))];
        let apart =
            [chunk, "data: {\"er", &format!("{}\n", &error[4..]), "\n", after].map(|text| Step::Text(text.to_owned()));
        for mut client in [Client::new(joined), Client::new(apart)] {
            assert_eq!(client.text(), (format!("{chunk}data: {error}\n\n"), Seen::End), "{after}");
            assert_eq!(client.statuses(), ["failed"], "{after}");
        }
    }
    let mut client = Client::new([Step::Text(format!("{chunk}data: {error}"))]);
    assert_eq!(client.text(), (format!("{chunk}data: {error}\n\n"), Seen::End));
}

#[tokio::test]
async fn an_unknown_error_shape_is_followed_by_an_openai_error() {
    for odd in
        [r#"{"object":"error","message":"no","code":503}"#, r#"{"detail":"no"}"#, r#"[{"error":{"message":"no"}}]"#]
    {
        let mut client = Client::new([Step::Text(format!("data: {odd}\n\ndata: [DONE]\n\n"))]);
        let (text, end) = client.text();
        let own = text.strip_prefix(&format!("data: {odd}\n\ndata: ")).unwrap();
        assert!(own.starts_with(r#"{"error":{"message":"no""#) && own.ends_with("}\n\n"), "{own}");
        assert_eq!((end, client.statuses()), (Seen::End, vec!["failed".to_owned()]));
    }
}

#[tokio::test]
async fn a_failed_or_empty_finish_is_not_a_success() {
    let finish = |reason: &str| FINISH.replace("stop", reason);
    for (stream, status, end) in [
        (finish("error"), "failed", Seen::End),
        (finish("error") + "data: [DONE]\n\n", "failed", Seen::End),
        (
            FINISH.replace("\"delta\"", "\"error\":{\"message\":\"no\"},\"delta\"") + "data: [DONE]\n\n",
            "failed",
            Seen::End,
        ),
        (finish(""), "truncated", Seen::Broken),
        (finish("") + "data: [DONE]\n\n", "completed", Seen::End),
    ] {
        let mut client = Client::new([Step::Text(stream.clone())]);
        let (text, seen) = client.text();
        assert!(text.starts_with(&stream), "{text}");
        assert_eq!((client.statuses(), seen), (vec![status.to_owned()], end), "{stream}");
    }
}

#[tokio::test]
async fn a_client_that_disconnects_after_the_finish_is_complete() {
    for (reason, status) in [("stop", "completed"), ("", "client_disconnected"), ("error", "failed")] {
        let mut client = Client::logged([Step::Text(FINISH.replace("stop", reason)), Wait], "10B", Bodies::Off);
        assert!(matches!((client.poll(), client.poll()), (Seen::Bytes(_), Seen::Pending)));
        client.relay = Client::new([]).relay;
        assert_eq!(client.statuses(), [status]);
    }
}

#[tokio::test]
async fn bytes_before_the_end_event_are_not_delayed() {
    let mut client = Client::new([B(b"data: {}\n\ndata: [DONE]\n\ndata: more\n\n")]);
    assert_eq!(client.all(), [bytes("data: {}\n\n"), bytes("data: [DONE]\n\n"), Seen::End]);
    assert_eq!(client.statuses(), ["completed"]);
    assert!(!client.written().contains("more"));
}

#[tokio::test]
async fn the_end_event_is_sent_in_one_piece() {
    for (pieces, expected) in [
        (["data: [DONE]", "\n\n"], "data: [DONE]\n\n"),
        (["data: [DONE]\n", "\n"], "data: [DONE]\n\n"),
        (["data:[DONE]\r\n\r\n", "x"], "data:[DONE]\r\n\r\n"),
        (["data: [DONE]\r\r", ""], "data: [DONE]\r\r"),
    ] {
        let mut client = Client::new(pieces.map(|piece| Step::Text(piece.to_owned())));
        assert_eq!(client.text(), (expected.to_owned(), Seen::End));
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_continues_after_the_end_is_disconnected() {
    static PIECE: [u8; 1 << 16] = [b'x'; 1 << 16];
    let mut client = Client::new([B(b"data: [DONE]\n\n"), B(&PIECE), B(b"x"), Fail]);
    assert_eq!(client.all(), [bytes("data: [DONE]\n\n"), Seen::End]);

    let mut client = Client::new([B(b"data: [DONE]\n\n"), Wait, Wait, Wait]);
    assert_eq!((client.poll(), client.poll()), (bytes("data: [DONE]\n\n"), Seen::Pending));
    tokio::time::advance(DRAIN_TIMEOUT).await;
    assert_eq!(client.poll(), Seen::End);
}

#[tokio::test(start_paused = true)]
async fn sent_bytes_are_soon_in_the_journal() {
    let mut client = Client::new([B(b"data: seen\n\n"), Wait, Wait, B(b"data: later\n\n"), Wait, Wait]);
    assert_eq!((client.poll(), client.poll()), (bytes("data: seen\n\n"), Seen::Pending));
    assert!(!client.written().contains("seen"));
    tokio::time::advance(Duration::from_millis(250)).await;
    assert_eq!(client.poll(), Seen::Pending);
    assert!(client.written().contains("seen"));
    assert_eq!((client.poll(), client.poll()), (bytes("data: later\n\n"), Seen::Pending));
    tokio::time::advance(Duration::from_millis(250)).await;
    assert_eq!(client.poll(), Seen::Pending);
    assert!(client.written().contains("later"));

    let mut client = Client::new([Step::Text(format!("data: {}\n\n", "y".repeat(4 << 10))), Wait]);
    client.poll();
    assert!(client.written().contains("yyy"), "large amounts of bytes are sent at once");
}
