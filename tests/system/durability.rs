//! What a client saw complete is in the log, whatever happens to the router.

use std::collections::HashMap;

use serde_json::{Value, json};
use signalbox_harness::{Client, Home, Launch, Router, eventually};
use sqlx::Row as _;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{catalog::database, gateway::CHAT};

const KILLS: usize = 50;
const CLIENTS: usize = 8;

/// Asks again and again, until the router is gone, and tells what it saw complete: the id of a request and its text.
async fn ask_until_it_is_gone(router: Client, name: String, complete: mpsc::Sender<(String, String)>) {
    for number in 0.. {
        let text = format!("{name}-{number}");
        let request = json!({"model": "echo", "stream": true, "messages": [{"role": "user", "content": text}]});
        let Ok(answer) = router.try_request("POST".parse().unwrap(), CHAT, request.to_string()).await else { return };
        if !answer.body.ends_with(b"data: [DONE]\n\n")
            || complete.send((answer.header("x-request-id").to_owned(), text)).await.is_err()
        {
            return;
        }
    }
}

#[tokio::test]
async fn i1_what_clients_saw_complete_is_in_the_log_after_many_kills() {
    let home = Home::new();
    let mut seen: HashMap<String, String> = HashMap::new();
    for kill in 0..KILLS {
        let mut router = Router::start(Launch::default().home(&home)).await;
        let (sender, mut complete) = mpsc::channel(CLIENTS);
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            clients.spawn(ask_until_it_is_gone(router.client, format!("{kill}-{client}"), sender.clone()));
        }
        drop(sender);
        // Killed in the middle of traffic, each time after another number of answers.
        for _ in 0..1 + kill * 7 % 50 {
            seen.extend(complete.recv().await);
        }
        router.process.kill9().await;
        while let Some(answer) = complete.recv().await {
            seen.extend([answer]);
        }
        clients.join_all().await;
    }

    let _router = Router::start(Launch::default().home(&home)).await;
    let mut database = database(&home).await;
    let query =
        "SELECT r.request_id, r.status, a.openai_response FROM requests r LEFT JOIN responses a ON a.request_id = r.id";
    let rows = eventually("a final status of every request", async || {
        let rows = sqlx::query(query).fetch_all(&mut database).await.unwrap();
        let rows: HashMap<String, (String, Option<String>)> =
            rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
        (rows.values().all(|(status, _)| status != "pending") && seen.keys().all(|id| rows.contains_key(id)))
            .then_some(rows)
    })
    .await;
    for (id, text) in &seen {
        let (status, answer) = &rows[id];
        assert_eq!(status, "completed", "{id}");
        let answer: Value = serde_json::from_str(answer.as_deref().unwrap()).unwrap();
        assert_eq!(answer["choices"][0]["message"]["content"], text.as_str());
    }
    assert!(rows.values().all(|(status, _)| matches!(
        status.as_str(),
        "completed" | "interrupted" | "client_disconnected" | "cancelled"
    )));
}
