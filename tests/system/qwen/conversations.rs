//! A conversation stays in one chat: across modes, restarts, lost chats and other conversations with the same
//! beginning.

use std::collections::HashSet;

use serde_json::json;
use signalbox_fakes::qwen::Endpoint;
use signalbox_harness::{Client, postgres::Postgres};
use sqlx::Executor as _;
use tokio::task::JoinSet;

use super::{LoneQwen, Talk};

const CONCURRENCY: usize = 50;

async fn five_turns(mut lone: LoneQwen) {
    let mut talk = Talk::default();
    assert_eq!(talk.say(lone.client(), true, "remember one=1").await, "noted one");
    assert_eq!(talk.say(lone.client(), false, "remember two=2").await, "noted two");
    lone.restart().await;
    assert_eq!(talk.say(lone.client(), false, "recall one").await, "1");
    assert_eq!(talk.say(lone.client(), true, "recall two").await, "2");
    lone.restart().await;
    assert_eq!(talk.say(lone.client(), true, "recall one\nrecall two").await, "1\n2");
    assert_eq!(lone.asked(Endpoint::NewChat), 1, "a conversation is one chat");
    // The site does not receive again what it already has.
    assert_eq!(lone.last_prompt(), "recall one\nrecall two");
    lone.is_content();
}

#[tokio::test]
async fn five_turns_are_remembered_across_modes_and_a_restart() {
    five_turns(LoneQwen::start().await).await;
}

#[tokio::test]
async fn five_turns_are_remembered_on_postgres() {
    let Some(postgres) = Postgres::launch().await else { return };
    let launch = LoneQwen::logged_in().database(postgres.create_database().await);
    five_turns(LoneQwen::launch(launch).await).await;
}

#[tokio::test]
async fn a_locked_database_does_not_break_conversations() {
    let lone = LoneQwen::start().await;
    let mut talk = Talk::default();
    talk.say(lone.client(), true, "remember one=1").await;
    let mut locker = lone.database().await;
    locker.execute("BEGIN EXCLUSIVE").await.unwrap();
    talk.say(lone.client(), true, "remember two=2").await;
    assert_eq!(Talk::default().say(lone.client(), false, "say something else").await, "something else");
    locker.execute("ROLLBACK").await.unwrap();
    assert_eq!(talk.say(lone.client(), false, "recall one\nrecall two").await, "1\n2");
    lone.is_content();
}

/// Runs a conversation that begins with `first`, remembers `secret`, and recalls it at the end.
async fn keeps(client: Client, first: &str, secret: usize) {
    let mut talk = Talk::default();
    let stream = secret.is_multiple_of(2);
    talk.say(client, stream, first).await;
    talk.say(client, !stream, &format!("remember secret={secret}")).await;
    talk.say(client, stream, "what a day").await;
    assert_eq!(talk.say(client, !stream, "recall secret").await, secret.to_string());
}

#[tokio::test]
async fn conversations_with_equal_beginnings_are_never_mixed() {
    let lone = LoneQwen::start().await;
    let mut talks = JoinSet::new();
    for secret in 0..CONCURRENCY {
        // The answers differ, as those of a model do.
        talks.spawn(keeps(lone.client(), "draw", secret));
    }
    talks.join_all().await;
    // More chats are correct, too: if a busy database has not recorded a turn in time, its history is sent to a new
    // chat.
    assert!(lone.asked(Endpoint::NewChat) >= CONCURRENCY);
    lone.is_content();
}

#[tokio::test]
async fn conversations_with_equal_first_answers_are_never_mixed() {
    let lone = LoneQwen::start().await;
    let mut talks = JoinSet::new();
    for secret in 0..CONCURRENCY {
        talks.spawn(keeps(lone.client(), "say hello", secret));
    }
    talks.join_all().await;
    lone.is_content();
}

#[tokio::test]
async fn instructions_of_another_application_are_never_used() {
    let lone = LoneQwen::start().await;
    let [mut alpha, mut beta] = ["Use <alpha>.", "Use <beta>."].map(Talk::instructed);
    alpha.say(lone.client(), true, "say hello").await;
    sqlx::query("UPDATE sessions SET expires_at = 1").execute(&mut lone.database().await).await.unwrap();
    beta.say(lone.client(), true, "say hello").await;
    // The only chat with this beginning that can be continued belongs to the other application.
    assert_eq!(alpha.say(lone.client(), true, "call alpha").await, "<alpha>\n</alpha>");
    assert_eq!(beta.say(lone.client(), true, "call beta").await, "<beta>\n</beta>");
    lone.is_content();
}

#[tokio::test]
async fn a_foreign_history_does_not_continue_an_existing_chat() {
    let lone = LoneQwen::start().await;
    let mut ours = Talk::instructed("Use <look>.");
    ours.tools = Some(json!([{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]));
    ours.messages.push(json!({"role": "user", "content": "call look {\"at\":\"a\"}"}));
    let mut theirs = ours.clone();
    ours.go_on(lone.client(), false).await;
    // The same question, answered by another provider with a different call.
    let call = json!({"id": "call_elsewhere", "type": "function", "function": {"name": "look", "arguments": "{}"}});
    theirs.messages.extend([
        json!({"role": "assistant", "content": null, "tool_calls": [call]}),
        json!({"role": "tool", "tool_call_id": "call_elsewhere", "content": "a tree"}),
    ]);
    theirs.go_on(lone.client(), false).await;
    assert_eq!(lone.asked(Endpoint::NewChat), 2);
    lone.is_content();
}

#[tokio::test]
async fn a_repeated_first_turn_is_a_new_chat() {
    let lone = LoneQwen::start().await;
    let mut chats = HashSet::new();
    for _ in 0..3 {
        let mut talk = Talk::default();
        talk.say(lone.client(), false, "remember n=1").await;
        chats.insert(lone.site.calls_of(Endpoint::Completion).pop().unwrap().path);
    }
    assert_eq!(chats.len(), 3);
}

#[tokio::test]
async fn a_lost_chat_is_replayed() {
    let mut lone = LoneQwen::start().await;
    for stream in [true, false] {
        let mut talk = Talk::default();
        talk.say(lone.client(), stream, "remember one=1").await;
        talk.say(lone.client(), stream, "remember two=2").await;
        lone.site.forget_chats();
        assert_eq!(talk.say(lone.client(), stream, "recall one\nrecall two").await, "1\n2");
        // The conversation continues in the new chat.
        assert_eq!(talk.say(lone.client(), !stream, "recall two").await, "2");
        assert_eq!(lone.last_prompt(), "recall two");
    }
    assert_eq!(lone.asked(Endpoint::NewChat), 4);
    // A history that is new to this proxy.
    let mut talk = Talk::default();
    talk.say(lone.client(), true, "remember one=1").await;
    lone.stop().await;
    std::fs::remove_dir_all(lone.launch.home_dir().data()).unwrap();
    std::fs::create_dir(lone.launch.home_dir().data()).unwrap();
    lone.restart().await;
    assert_eq!(talk.say(lone.client(), true, "recall one").await, "1");
    lone.is_content();
}

#[tokio::test]
async fn an_expired_session_is_replayed() {
    let lone = LoneQwen::start().await;
    let mut talk = Talk::default();
    talk.say(lone.client(), true, "remember one=1").await;
    let aged = sqlx::query("UPDATE sessions SET expires_at = 1").execute(&mut lone.database().await).await.unwrap();
    assert_eq!(aged.rows_affected(), 1);
    assert_eq!(talk.say(lone.client(), true, "recall one").await, "1");
    assert_eq!(lone.asked(Endpoint::NewChat), 2);
    lone.is_content();
}

#[tokio::test]
async fn a_truncated_answer_in_the_history_is_recognised() {
    let lone = LoneQwen::start().await;
    let mut talk = Talk::default();
    let long = "all the king's horses and all the king's men ".repeat(20);
    talk.say(lone.client(), false, &format!("remember one=1\nsay {long}")).await;
    let answer = talk.messages[1]["content"].as_str().unwrap();
    talk.messages[1]["content"] = format!("{}…", &answer[..200]).into();
    assert_eq!(talk.say(lone.client(), false, "recall one").await, "1");
    assert_eq!(lone.asked(Endpoint::NewChat), 1);
    lone.is_content();
}

#[tokio::test]
async fn a_rewound_turn_is_forgotten() {
    let lone = LoneQwen::start().await;
    let mut talk = Talk::default();
    talk.say(lone.client(), false, "remember one=1").await;
    let before = talk.clone();
    talk.say(lone.client(), false, "remember two=2").await;
    // The client edits its second message.
    let mut edited = before;
    edited.say(lone.client(), false, "remember three=3").await;
    let known = edited.say(lone.client(), false, "recall one\nrecall two\nrecall three").await;
    assert_eq!(known, "1\ntwo is unknown\n3");
    lone.is_content();
}
