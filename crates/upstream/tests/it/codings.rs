//! Tests bodies that are compressed although the request asked for none.

use async_compression::tokio::write::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use http_body_util::BodyExt;
use signalbox_upstream::{Client, Error};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::server::{Peer, Server};
use crate::{NEVER, client, get, read, read_all};

const CODINGS: [&str; 5] = ["gzip", "zstd", "br", "zlib", "raw"];

/// Encodes the pieces of a text, each flushed; the last one includes the end of the encoding.
async fn encode(coding: &str, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    async fn through<W: AsyncWrite + Unpin>(
        mut encoder: W,
        pieces: &[&[u8]],
        written: impl Fn(&W) -> usize,
        whole: impl Fn(W) -> Vec<u8>,
    ) -> Vec<Vec<u8>> {
        let mut cuts = Vec::new();
        for piece in pieces {
            encoder.write_all(piece).await.unwrap();
            encoder.flush().await.unwrap();
            cuts.push(written(&encoder));
        }
        encoder.shutdown().await.unwrap();
        let whole = whole(encoder);
        cuts.pop();
        cuts.push(whole.len());
        let mut start = 0;
        cuts.into_iter().map(|end| whole[std::mem::replace(&mut start, end)..end].to_vec()).collect()
    }
    let sink = Vec::new();
    match coding {
        "gzip" => through(GzipEncoder::new(sink), pieces, |e| e.get_ref().len(), GzipEncoder::into_inner).await,
        "zstd" => through(ZstdEncoder::new(sink), pieces, |e| e.get_ref().len(), ZstdEncoder::into_inner).await,
        "br" => through(BrotliEncoder::new(sink), pieces, |e| e.get_ref().len(), BrotliEncoder::into_inner).await,
        "zlib" => through(ZlibEncoder::new(sink), pieces, |e| e.get_ref().len(), ZlibEncoder::into_inner).await,
        _ => through(DeflateEncoder::new(sink), pieces, |e| e.get_ref().len(), DeflateEncoder::into_inner).await,
    }
}

/// Returns the name of a coding in the head.
fn name(coding: &str) -> &str {
    if matches!(coding, "zlib" | "raw") { "deflate" } else { coding }
}

fn head(status: u16, name: &str, rest: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-encoding: {name}\r\n{rest}\r\n\r\n")
}

fn chunk(data: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

/// Returns the decoded body of a response that is sent in these pieces, chunked or with its length declared.
async fn receive(client: &Client, name: &str, pieces: &[Vec<u8>], chunked: bool) -> (Vec<u8>, Result<(), Error>) {
    let server = Server::bind().await;
    let target = server.target();
    let serve = async {
        let mut peer = server.accept().await;
        peer.request().await;
        let length: usize = pieces.iter().map(Vec::len).sum();
        let framing = if chunked { "transfer-encoding: chunked".into() } else { format!("content-length: {length}") };
        peer.write(head(200, name, &framing).as_bytes()).await;
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            peer.write(&if chunked { chunk(piece) } else { piece.clone() }).await;
            tokio::task::yield_now().await;
        }
        if chunked {
            peer.write(b"0\r\n\r\n").await;
        }
        peer
    };
    let receive = async {
        let answer = client.send(&target, get(&target, "/"), &NEVER).await.unwrap();
        assert!(!answer.headers().contains_key("content-encoding"));
        assert!(!answer.headers().contains_key("content-length"));
        read(answer.into_body()).await
    };
    tokio::join!(receive, serve).0
}

#[tokio::test]
async fn every_coding_is_decoded_at_any_chunk_boundaries() {
    let client = client();
    let text = format!(r#"{{"choices":[{{"message":{{"content":"{}"}}}}]}}"#, "höher und ".repeat(9000));
    for coding in CODINGS {
        let whole = encode(coding, &[text.as_bytes()]).await.concat();
        for cut in [1, 7, whole.len()] {
            let pieces: Vec<Vec<u8>> = whole.chunks(cut).map(<[u8]>::to_vec).collect();
            for chunked in [false, true] {
                let (received, end) = receive(&client, name(coding), &pieces, chunked).await;
                end.unwrap();
                assert!(received == text.as_bytes(), "{coding} in pieces of {cut}");
            }
        }
    }
}

#[tokio::test]
async fn each_event_of_an_encoded_stream_arrives_before_the_next_is_sent() {
    let events: Vec<Vec<u8>> = (0..5).map(|n| format!("data: {{\"n\":{n}}}\n\n").into_bytes()).collect();
    let events: Vec<&[u8]> = events.iter().map(Vec::as_slice).collect();
    for coding in CODINGS {
        let (server, client) = (Server::bind().await, client());
        let target = server.target();
        let begin = async {
            let mut peer = server.accept().await;
            peer.request().await;
            peer.write(head(200, name(coding), "transfer-encoding: chunked").as_bytes()).await;
            peer
        };
        let request = get(&target, "/");
        let (answer, mut peer) = tokio::join!(client.send(&target, request, &NEVER), begin);
        let mut body = answer.unwrap().into_body();
        for (event, piece) in events.iter().zip(encode(coding, &events).await) {
            peer.write(&chunk(&piece)).await;
            let mut received = Vec::new();
            while received.len() < event.len() {
                received.extend_from_slice(&body.frame().await.unwrap().unwrap().into_data().unwrap());
            }
            assert_eq!(received, *event, "{coding}");
        }
        peer.write(b"0\r\n\r\n").await;
        assert_eq!(read_all(body).await, b"", "{coding}");
    }
}

#[tokio::test]
async fn unencoded_bodies_pass_despite_the_head() {
    let client = client();
    for text in [r#"{"error":{"message":"no"}}"#, "data: {\"choices\":[]}\n\n", "[]", "", "Ungültig"] {
        for name in ["gzip", "br", "deflate", "zstd", "\"gzip\"", "\"\"", "none", "utf-8", "identity, gzip", "8bit"] {
            for cut in [1, 100] {
                let pieces: Vec<Vec<u8>> = text.as_bytes().chunks(cut).map(<[u8]>::to_vec).collect();
                let (received, end) = receive(&client, name, &pieces, true).await;
                end.unwrap();
                assert_eq!(received, text.as_bytes(), "{name} {text}");
            }
        }
    }
}

#[tokio::test]
async fn a_coding_is_recognised_despite_a_wrong_head() {
    let client = client();
    for (coding, name) in
        [("gzip", "utf-8"), ("gzip", "\"gzip\""), ("gzip", "br"), ("zstd", "none"), ("zlib", "\"deflate\"")]
    {
        let pieces = encode(coding, &[b"{\"choices\":[]}"]).await;
        let (received, end) = receive(&client, name, &pieces, true).await;
        end.unwrap();
        assert_eq!(received, b"{\"choices\":[]}", "{coding} as {name}");
    }
}

#[tokio::test]
async fn concatenated_gzip_members_are_one_body() {
    for coding in ["gzip", "zstd"] {
        let pieces = [encode(coding, &[b"one, "]).await, encode(coding, &[b"two"]).await].concat();
        let (received, end) = receive(&client(), coding, &pieces, true).await;
        end.unwrap();
        assert_eq!(received, b"one, two");
    }
}

#[tokio::test]
async fn a_decompression_bomb_is_decoded_only_as_fast_as_it_is_read() {
    let zeros = vec![b' '; 1 << 20];
    for coding in CODINGS {
        let bomb = encode(coding, &[&zeros[..]; 2]).await.concat();
        assert!(bomb.len() < 20_000, "{coding}: {}", bomb.len());
        let (server, client) = (Server::bind().await, client());
        let target = server.target();
        let answer = [head(200, name(coding), &format!("content-length: {}", bomb.len())).into_bytes(), bomb].concat();
        let (answer, _peer) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), server.answer(&answer));
        let mut body = answer.unwrap().into_body();
        let mut decoded = 0;
        while let Some(frame) = body.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            assert!(piece.len() <= 16 << 10, "{coding}: {}", piece.len());
            decoded += piece.len();
        }
        assert_eq!(decoded, 2 << 20, "{coding}");
    }
}

#[tokio::test]
async fn a_truncated_or_damaged_body_is_an_error() {
    let text = "what is said ".repeat(300);
    for coding in CODINGS {
        let whole = encode(coding, &[text.as_bytes()]).await.concat();
        let mut damaged = whole.clone();
        if matches!(coding, "gzip" | "zlib") {
            // The other codings have no checksum.
            damaged[whole.len() - 3] ^= 0xff;
        } else {
            damaged.truncate(9);
        }
        for bytes in [whole[..whole.len() - 1].to_vec(), whole[..whole.len() / 2].to_vec(), damaged] {
            let (received, end) = receive(&client(), name(coding), &[bytes], true).await;
            let error = end.map(|()| String::from_utf8_lossy(&received).len()).unwrap_err();
            assert_eq!((error.code(), error.may_retry()), ("upstream_protocol", false), "{coding}");
        }
    }
}

#[tokio::test]
async fn a_reset_within_an_encoded_body_is_a_reset() {
    let (server, client) = (Server::bind().await, client());
    let target = server.target();
    let piece = encode("gzip", &[b"data: 1\n\n", b"data: 2\n\n"]).await.swap_remove(0);
    let beginning = [head(200, "gzip", "transfer-encoding: chunked").into_bytes(), chunk(&piece)].concat();
    let (answer, peer) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), server.answer(&beginning));
    drop::<Peer>(peer);
    let (received, end) = read(answer.unwrap().into_body()).await;
    assert_eq!(received, b"data: 1\n\n");
    assert_eq!(end.unwrap_err().code(), "upstream_reset");
}

#[tokio::test]
async fn a_connection_is_reused_after_an_encoded_body() {
    let client = client();
    for coding in ["gzip", "zstd"] {
        let pieces = encode(coding, &[b"ok"]).await;
        for chunked in [false, true] {
            receive(&client, coding, &pieces, chunked).await.1.unwrap();
        }
    }
    assert_eq!(client.idle_connections(), 4);
}
