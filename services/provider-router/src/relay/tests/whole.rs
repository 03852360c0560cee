//! Tests of whole answers that are taken piece by piece.

use signalbox_management::live::Cancellation;

use super::*;
use crate::relay::whole::{PIECE, WholeAnswer};

/// A client of a whole answer.
struct Reader {
    answer: Option<WholeAnswer>,
    client: Client,
}

impl Reader {
    fn new(body: &Bytes) -> Self {
        let Client { relay, journal, abort, live } = Client::new([]);
        let mut exchange = relay.into_exchange();
        exchange.head(200, false);
        exchange.answer(body);
        let other = Client::new([]);
        let client = Client { relay: other.relay, journal, abort, live };
        Self { answer: Some(WholeAnswer::new(exchange, body.clone())), client }
    }

    fn piece(&mut self) -> Option<Result<Bytes, BoxError>> {
        let answer = self.answer.as_mut().unwrap();
        match answer.poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(next) => next.map(|next| next.map(|frame| frame.into_data().unwrap())),
            Poll::Pending => panic!("nothing has to be synced"),
        }
    }
}

fn body() -> Bytes {
    let text = "x".repeat(3 * PIECE);
    format!(r#"{{"choices":[{{"index":0,"message":{{"content":"{text}"}},"finish_reason":"stop"}}]}}"#).into()
}

#[tokio::test]
async fn the_request_is_in_flight_until_the_last_piece_is_taken() {
    let body = body();
    let mut reader = Reader::new(&body);
    let mut taken = Vec::new();
    for n in 1..=3 {
        let piece = reader.piece().unwrap().unwrap();
        assert_eq!((piece.len(), reader.client.live.count()), (PIECE, 1), "{n}");
        assert_eq!(reader.client.statuses(), Vec::<String>::new(), "{n}");
        taken.extend_from_slice(&piece);
    }
    assert_eq!(reader.answer.as_ref().unwrap().remaining(), body.len() - 3 * PIECE);
    taken.extend_from_slice(&reader.piece().unwrap().unwrap());
    assert_eq!((reader.client.statuses(), reader.client.live.count()), (vec!["completed".to_owned()], 0));
    assert!(reader.piece().is_none());
    assert!(taken == body);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_last_piece_has_disconnected() {
    for taken in 0..=3 {
        let mut reader = Reader::new(&body());
        for _ in 0..taken {
            reader.piece().unwrap().unwrap();
        }
        drop(reader.answer.take());
        assert_eq!(reader.client.statuses(), ["client_disconnected"], "{taken}");
        assert_eq!(reader.client.live.count(), 0);
    }
}

#[tokio::test]
async fn a_cancelled_answer_breaks_off() {
    let mut reader = Reader::new(&body());
    reader.piece().unwrap().unwrap();
    let id = reader.client.live.list()[0].request_id.parse().unwrap();
    assert_eq!(reader.client.live.cancel(id), Cancellation::Cancelled);
    assert!(reader.piece().unwrap().is_err());
    assert!(reader.piece().is_none());
    assert_eq!(reader.client.statuses(), ["cancelled"]);
}
