//! Tests many concurrent exchanges.

use std::sync::Arc;

use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;

use crate::server::Server;
use crate::{NEVER, client, post};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_concurrent_requests_get_their_own_answers() {
    const AT_ONCE: usize = 200;
    const ROUNDS: usize = 5;
    let server = Arc::new(Server::bind().await);
    let target = server.target();
    let client = client();
    let echo = tokio::spawn(async move {
        loop {
            let mut peer = server.accept().await;
            tokio::spawn(async move {
                // Ends when the client closes the connection at the end of the test.
                loop {
                    let body = peer.request().await.body;
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                    peer.0.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
                }
            });
        }
    });
    let callers: Vec<_> = (0..AT_ONCE)
        .map(|caller| {
            let (client, target) = (client.clone(), target.clone());
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    let question = format!("caller {caller} round {round}");
                    let answer = client.send(&target, post(&target, "/", question.clone()), &NEVER).await.unwrap();
                    let answer = answer.into_body().collect().await.unwrap().to_bytes();
                    assert_eq!(answer, question);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let open = client.open_connections();
    assert!(open <= AT_ONCE, "{open}");
    assert_eq!(client.idle_connections(), open);
    echo.abort();
}
