//! Clients that close their sending half and read on.

use super::*;

/// Sends a request and closes the sending half.
async fn half_closed(state: &ServerState, path: &str) -> DuplexStream {
    let (mut client, _) = connect(state).await;
    client.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    client
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_client_gets_its_answer() {
    let state = state(|_| {});
    for path in ["/hello", "/soon"] {
        let mut client = half_closed(&state, path).await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(&path[1..]), "{answer}");
    }
    assert_eq!(state.open.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_it_counts_as_gone() {
    let state = state(|_| {});
    let mut client = half_closed(&state, "/slow").await;
    let began = tokio::time::Instant::now();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!((answer.len(), began.elapsed().as_secs()), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_client_reads_a_stream_for_as_long_as_it_lasts() {
    let state = state(|_| {});
    let mut client = half_closed(&state, "/endless").await;
    let mut bytes = vec![0; 64 << 10];
    for second in 0..20 {
        client.read_exact(&mut bytes).await.unwrap_or_else(|error| panic!("after {second} s: {error}"));
        sleep(secs(1)).await;
    }
    drop(client);
    state.open.close();
    timeout(secs(10), state.open.wait()).await.expect("the end of the connection");
}
