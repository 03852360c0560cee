//! Tests that the received bytes do not depend on how a response is cut in transit, and that a truncated response is
//! never taken for a complete one.

use std::ops::Range;

use proptest::prelude::*;
use signalbox_upstream::Client;

use crate::server::Server;
use crate::{NEVER, client, get, read};

#[derive(Clone, Copy, Debug)]
enum Framing {
    Length,
    Chunked,
    UntilClose,
}

/// A response: its body, its framing, and the pieces in which the server writes it.
#[derive(Clone, Debug)]
struct Script {
    body: Vec<u8>,
    framing: Framing,
    /// Sizes of chunks and of writes, used in rotation.
    sizes: Vec<usize>,
}

impl Script {
    fn any(framings: &'static [Framing]) -> impl Strategy<Value = Self> {
        let body = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            proptest::collection::vec(any::<u8>(), 8_000..9_000),
        ];
        let sizes =
            prop_oneof![proptest::collection::vec(1_usize..8, 1..6), proptest::collection::vec(1_usize..5_000, 1..6),];
        (body, proptest::sample::select(framings), sizes).prop_map(|(body, framing, sizes)| Self {
            body,
            framing,
            sizes,
        })
    }

    fn pieces<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = bytes;
        self.sizes.iter().cycle().map_while(move |&size| {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            (!piece.is_empty()).then_some(piece)
        })
    }

    fn wire(&self) -> Vec<u8> {
        match self.framing {
            Framing::Length => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", self.body.len());
                [head.as_bytes(), &self.body].concat()
            }
            Framing::UntilClose => [b"HTTP/1.1 200 OK\r\n\r\n", self.body.as_slice()].concat(),
            Framing::Chunked => {
                let mut wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
                for chunk in self.pieces(&self.body) {
                    wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    wire.extend_from_slice(chunk);
                    wire.extend_from_slice(b"\r\n");
                }
                wire.extend_from_slice(b"0\r\n\r\n");
                wire
            }
        }
    }

    /// Returns the result of the client if the server writes this part of the response and closes the connection.
    fn play(&self, client: &Client, part: Range<usize>) -> (Vec<u8>, Result<(), signalbox_upstream::Error>) {
        let wire = self.wire();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::bind().await;
            let target = server.target();
            let serve = async {
                let mut peer = server.answer(b"").await;
                peer.0.set_nodelay(true).unwrap();
                for piece in self.pieces(&wire[part]) {
                    peer.write(piece).await;
                    tokio::task::yield_now().await;
                }
            };
            let receive = async {
                match client.send(&target, get(&target, "/"), &NEVER).await {
                    Ok(response) => read(response.into_body()).await,
                    Err(error) => (Vec::new(), Err(error)),
                }
            };
            tokio::join!(receive, serve).0
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn chunk_boundaries_do_not_change_the_bytes(
        script in Script::any(&[Framing::Length, Framing::Chunked, Framing::UntilClose]),
    ) {
        let (bytes, end) = script.play(&client(), 0..script.wire().len());
        prop_assert!(end.is_ok(), "{end:?}");
        prop_assert_eq!(bytes, script.body);
    }

    #[test]
    fn a_partial_response_never_looks_complete(
        script in Script::any(&[Framing::Length, Framing::Chunked]),
        cut in any::<proptest::sample::Index>(),
    ) {
        let (bytes, end) = script.play(&client(), 0..cut.index(script.wire().len()));
        prop_assert!(end.is_err());
        prop_assert!(script.body.starts_with(&bytes));
    }
}
