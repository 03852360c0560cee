use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use signalbox_core::openai::Usage;
use signalbox_core::schema::{Request, RequestStatus, Response, Session};
use signalbox_core::token_classes::TokenClasses;
use signalbox_store::exchanges::{
    Exchange, ExchangeEnd, ExchangeStart, SessionRef, Source, probe, record, request_of_id, requests_of_answer,
};
use signalbox_store::requests::{self, AnswerState, Filter, RequestKey};
use signalbox_store::{Class, Page, responses, sessions};

use crate::fixture::{Database, on_both};

on_both!(
    an_exchange_becomes_three_rows,
    every_order_and_repetition_leaves_the_same_rows,
    a_final_status_is_kept,
    a_conversation_is_continued,
    an_answer_is_continued,
    the_state_of_an_answer_is_known,
    an_opening_counts_only_where_one_is_opened,
    sessions_of_qwen_proxy_are_not_touched,
    nothing_a_client_sends_stops_the_log,
    a_batch_is_all_or_nothing,
    loaders_take_turns,
    unknown_columns_are_not_the_fault_of_a_row,
);

pub(crate) fn begun(id: &str, received_at: i64, session: SessionRef) -> ExchangeStart {
    ExchangeStart {
        request_id: id.to_owned(),
        received_at,
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        model: "m".to_owned(),
        stream: true,
        request_body: r#"{"model":"m"}"#.into(),
        first_user_message: format!("hello from {id}"),
        session,
        base: None,
        source: Source::Router,
        key_id: None,
    }
}

pub(crate) fn ended(ended_at: i64) -> ExchangeEnd {
    ExchangeEnd {
        status: RequestStatus::Completed,
        ended_at,
        provider_id: Some("p".to_owned()),
        upstream_request: None,
        response_body: Some("{}".to_owned()),
        usage: Some(Usage { classes: CLASSES, ..Usage::new(1, 2) }),
        cost: None,
        finish_reason: Some("stop".to_owned()),
        error: None,
        duration_ms: 40,
        first_byte_ms: Some(4),
        status_code: Some(200),
        attempts: 2,
        truncated: false,
        translation: Some("chat-messages; n=dropped".to_owned()),
        plan: Some("{\"attempts\":[]}".to_owned()),
        opening_hash: None,
        answer_hash: None,
    }
}

pub(crate) fn pending(begun: ExchangeStart) -> Exchange {
    Exchange { begun, ended: None }
}

pub(crate) fn whole(id: &str, received_at: i64, session: SessionRef) -> Exchange {
    Exchange { begun: begun(id, received_at, session), ended: Some(ended(received_at + 40)) }
}

async fn read(database: &Database, id: &str) -> (Request, Option<Response>) {
    requests::get(&database.store, &RequestKey::Uuid(id.to_owned())).await.unwrap()
}

const CLASSES: TokenClasses = TokenClasses {
    cache_read: 1,
    cache_write_short: 2,
    cache_write_long: 3,
    input_audio: 4,
    input_image: 5,
    reasoning: 6,
    output_audio: 7,
    output_image: 8,
    is_adjusted: true,
};

/// Returns all rows of the log, without the numbers assigned by the database.
async fn rows(database: &Database) -> (Vec<Session>, Vec<(Request, Option<Response>)>) {
    let store = &database.store;
    let sessions = sessions::list(store, sessions::Sort::CreatedAt, Page::ALL).await.unwrap().items;
    let mut exchanges = Vec::new();
    for (request, _) in requests::list(store, &Filter::default(), Page::ALL).await.unwrap().items {
        let (mut request, mut response) = read(database, &request.request_id).await;
        request.id = 0;
        if let Some(response) = &mut response {
            (response.id, response.request_id) = (0, 0);
        }
        exchanges.push((request, response));
    }
    exchanges.sort_by(|a, b| a.0.request_id.cmp(&b.0.request_id));
    (sessions, exchanges)
}

async fn an_exchange_becomes_three_rows(database: &Database) {
    let mut exchange = whole("r", 100, SessionRef::Opens);
    record(&database.store, std::slice::from_ref(&exchange)).await.unwrap();
    let (request, response) = read(database, "r").await;
    let response = response.unwrap();
    assert_eq!(
        request,
        Request {
            id: request.id,
            session_id: "r".to_owned(),
            request_id: "r".to_owned(),
            timestamp: 100,
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            request_body: r#"{"model":"m"}"#.into(),
            upstream_request: "null".to_owned(),
            model: "m".to_owned(),
            stream: true,
            status: RequestStatus::Completed,
            provider_id: Some("p".to_owned()),
            key_id: None,
            created_at: 100,
        }
    );
    assert_eq!(
        response,
        Response {
            id: response.id,
            request_id: request.id,
            session_id: "r".to_owned(),
            response_id: "r".to_owned(),
            timestamp: 140,
            upstream_response: None,
            response_body: Some("{}".to_owned()),
            parent_id: None,
            completion_tokens: Some(2),
            prompt_tokens: Some(1),
            total_tokens: Some(3),
            token_classes: Some(CLASSES),
            cost: None,
            finish_reason: Some("stop".to_owned()),
            error: None,
            duration_ms: Some(40),
            first_byte_ms: Some(4),
            status_code: Some(200),
            provider_id: Some("p".to_owned()),
            attempts: 2,
            truncated: false,
            translation: Some("chat-messages; n=dropped".to_owned()),
            created_at: 140,
        }
    );
    let plan = signalbox_store::responses::plan(&database.store, response.id).await.unwrap();
    assert_eq!(plan.as_deref(), Some("{\"attempts\":[]}"));
    assert_eq!(
        sessions::get(&database.store, "r").await.unwrap(),
        Session {
            id: "r".to_owned(),
            chat_id: "r".to_owned(),
            parent_id: None,
            first_user_message: "hello from r".to_owned(),
            message_count: 1,
            created_at: 100,
            last_accessed: 100,
            expires_at: 100 + 30 * 24 * 3_600_000,
        }
    );

    exchange.begun.request_id = "s".to_owned();
    exchange.ended = None;
    record(&database.store, std::slice::from_ref(&exchange)).await.unwrap();
    let (request, response) = read(database, "s").await;
    assert_eq!((request.status, request.provider_id, response), (RequestStatus::Pending, None, None));
    exchange.ended = Some(ExchangeEnd { upstream_request: Some("{\"up\":1}".to_owned()), ..ended(9) });
    record(&database.store, &[exchange]).await.unwrap();
    let (request, _) = read(database, "s").await;
    assert_eq!((&*request.upstream_request, request.provider_id.as_deref()), ("{\"up\":1}", Some("p")));
}

/// Returns two requests of a named session, recorded in reverse order; a new conversation; one that continues an
/// unknown conversation; one that never ends.
fn story() -> Vec<Exchange> {
    let mut opens = whole("c", 30, SessionRef::Opens);
    opens.ended.as_mut().unwrap().opening_hash = Some("hash-c".to_owned());
    let mut failed = whole("d", 40, SessionRef::Continues("hash-unknown".to_owned()));
    failed.ended = Some(ExchangeEnd {
        status: RequestStatus::Failed,
        usage: None,
        error: Some("no".to_owned()),
        response_body: None,
        finish_reason: Some("error".to_owned()),
        opening_hash: Some("hash-other".to_owned()),
        ..ended(50)
    });
    vec![
        whole("a", 20, SessionRef::Named("named".to_owned())),
        whole("b", 10, SessionRef::Named("named".to_owned())),
        opens,
        failed,
        pending(begun("e", 60, SessionRef::Opens)),
    ]
}

async fn every_order_and_repetition_leaves_the_same_rows(database: &Database) {
    let story = story();
    record(&database.store, &story).await.unwrap();
    let expected = rows(database).await;
    assert_eq!((expected.0.len(), expected.1.len()), (4, 5));
    let named = expected.0.iter().find(|session| session.id == "named").unwrap();
    assert_eq!((named.message_count, named.created_at, named.last_accessed), (2, 10, 20));
    assert_eq!(named.first_user_message, "hello from b");

    // Each exchange is recorded at least once completely, and any number of times in part, in batches of any size.
    let parts = proptest::collection::vec((0..story.len(), any::<bool>()), 0..15).prop_flat_map(|mut parts| {
        parts.extend((0..5).map(|whole| (whole, true)));
        (Just(parts).prop_shuffle(), 1..7_usize)
    });
    let mut runner = TestRunner::deterministic();
    for _ in 0..30 {
        let (parts, batch) = parts.new_tree(&mut runner).unwrap().current();
        for session in rows(database).await.0 {
            sessions::delete(&database.store, &session.id).await.unwrap();
        }
        assert_eq!(rows(database).await, (Vec::new(), Vec::new()));
        let part = |&(index, whole): &(usize, bool)| {
            let exchange: &Exchange = &story[index];
            if whole { exchange.clone() } else { pending(exchange.begun.clone()) }
        };
        let exchanges: Vec<Exchange> = parts.iter().map(part).collect();
        for batch in exchanges.chunks(batch) {
            record(&database.store, batch).await.unwrap();
        }
        assert_eq!(rows(database).await, expected, "{parts:?}");
    }
}

async fn a_final_status_is_kept(database: &Database) {
    record(&database.store, &[whole("r", 1, SessionRef::Opens)]).await.unwrap();
    let before = rows(database).await;
    let mut later = whole("r", 1, SessionRef::Opens);
    later.ended.as_mut().unwrap().status = RequestStatus::Interrupted;
    let mut open = whole("r", 1, SessionRef::Opens);
    open.ended.as_mut().unwrap().status = RequestStatus::Pending;
    record(&database.store, &[later, open, pending(begun("r", 1, SessionRef::Opens))]).await.unwrap();
    assert_eq!(rows(database).await, before);
}

async fn a_conversation_is_continued(database: &Database) {
    let opening = |id: &str, at| {
        let mut exchange = whole(id, at, SessionRef::Opens);
        exchange.ended.as_mut().unwrap().opening_hash = Some("h".to_owned());
        exchange
    };
    let continuing = |id: &str, at| whole(id, at, SessionRef::Continues("h".to_owned()));
    record(&database.store, &[opening("old", 1), opening("new", 2), continuing("x", 50)]).await.unwrap();
    // A delayed exchange does not move the times back.
    record(&database.store, &[continuing("y", 3)]).await.unwrap();
    let session = sessions::get(&database.store, "new").await.unwrap();
    assert_eq!((session.message_count, session.created_at, session.last_accessed), (3, 2, 50));
    assert_eq!(session.expires_at, 50 + 30 * 24 * 3_600_000);
    assert_eq!(sessions::get(&database.store, "old").await.unwrap().message_count, 1);

    // If there is no conversation to continue, the first request creates it and the second continues it.
    let unknown = |id: &str| whole(id, 70, SessionRef::Continues("unknown".to_owned()));
    record(&database.store, &[unknown("u"), unknown("v")]).await.unwrap();
    assert_eq!(read(database, "v").await.0.session_id, "u");
    assert_eq!(sessions::get(&database.store, "u").await.unwrap().message_count, 2);

    // A deleted conversation starts again.
    sessions::delete(&database.store, "u").await.unwrap();
    record(&database.store, &[unknown("w")]).await.unwrap();
    assert_eq!(read(database, "w").await.0.session_id, "w");
    record(&database.store, &[unknown("z")]).await.unwrap();
    assert_eq!(read(database, "z").await.0.session_id, "w");
}

async fn an_answer_is_continued(database: &Database) {
    let store = &database.store;
    let follows = |id: &str, at, other: &str| whole(id, at, SessionRef::Follows(other.to_owned()));
    let session = async |id: &str| read(database, id).await.0.session_id;
    // In the same batch, in a later one, and by the request that continued it.
    let first = whole("a", 10, SessionRef::Named("named".to_owned()));
    record(store, &[first, follows("b", 20, "a"), whole("o", 21, SessionRef::Opens)]).await.unwrap();
    record(store, &[follows("c", 30, "a"), follows("d", 40, "c"), pending(begun("e", 50, SessionRef::Opens))])
        .await
        .unwrap();
    for id in ["b", "c", "d"] {
        assert_eq!(session(id).await, "named", "{id}");
    }
    let named = sessions::get(store, "named").await.unwrap();
    assert_eq!((named.message_count, named.created_at, named.last_accessed), (4, 10, 40));
    assert_eq!(named.first_user_message, "hello from a");
    // A repetition changes nothing, and neither does the end of a pending request.
    record(store, &[follows("d", 40, "c"), whole("e", 50, SessionRef::Opens), follows("f", 60, "e")]).await.unwrap();
    assert_eq!(sessions::get(store, "named").await.unwrap().message_count, 4);
    assert_eq!(session("f").await, "e");

    // An unknown request: its own session, which others find.
    record(store, &[follows("g", 70, "nowhere"), follows("h", 80, "g")]).await.unwrap();
    assert_eq!((session("g").await, session("h").await), ("g".to_owned(), "g".to_owned()));

    // An answer that a provider keeps, in a session of any kind.
    let mut kept = follows("i", 90, "a");
    kept.begun.key_id = Some("k".to_owned());
    kept.ended.as_mut().unwrap().answer_hash = Some("kept".to_owned());
    let continues = |id: &str, at, hash: &str| whole(id, at, SessionRef::Continues(hash.to_owned()));
    record(store, &[kept]).await.unwrap();
    record(store, &[continues("j", 95, "kept"), continues("k", 96, "other")]).await.unwrap();
    assert_eq!((session("j").await, session("k").await), ("named".to_owned(), "k".to_owned()));
    let of = async |hash: &str| requests_of_answer(store, hash).await.unwrap();
    let kept = of("kept").await;
    assert_eq!(kept.len(), 1, "the request with the answer, and no other one of its session");
    assert_eq!((&*kept[0].request_id, kept[0].key_id.as_deref()), ("i", Some("k")));
    let by_id = request_of_id(store, "i").await.unwrap();
    assert_eq!(by_id.as_ref(), Some(&kept[0]));
    let provider = requests::get(store, &RequestKey::Uuid("i".to_owned())).await.unwrap().0.provider_id;
    assert_eq!(kept[0].provider_id, provider);
    assert_eq!(request_of_id(store, "nowhere").await.unwrap(), None);
    assert_eq!(of("other").await, [], "unknown");
    requests::delete(store, &RequestKey::Uuid("i".to_owned())).await.unwrap();
    assert_eq!(of("kept").await, [], "deleted");
}

async fn the_state_of_an_answer_is_known(database: &Database) {
    let store = &database.store;
    let state = async |id: &str| requests::answer_state(store, id).await.unwrap();
    record(store, &[whole("a", 1, SessionRef::Opens), pending(begun("b", 2, SessionRef::Opens))]).await.unwrap();
    assert_eq!((state("a").await, state("b").await), (Some(AnswerState::Present), Some(AnswerState::Pending)));
    responses::delete(store, &responses::ResponseKey::Uuid("a".to_owned())).await.unwrap();
    requests::delete(store, &RequestKey::Uuid("b".to_owned())).await.unwrap();
    assert_eq!((state("a").await, state("b").await), (Some(AnswerState::Deleted), None));
}

async fn an_opening_counts_only_where_one_is_opened(database: &Database) {
    let mut named = whole("a", 1, SessionRef::Named("n".to_owned()));
    named.ended.as_mut().unwrap().opening_hash = Some("h".to_owned());
    let mut direct = whole("q", 1, SessionRef::Opens);
    direct.begun.source = Source::QwenProxy;
    direct.ended.as_mut().unwrap().opening_hash = Some("h".to_owned());
    let continuing = whole("b", 2, SessionRef::Continues("h".to_owned()));
    record(&database.store, &[named, direct, continuing]).await.unwrap();
    assert_eq!(read(database, "b").await.0.session_id, "b");
}

async fn sessions_of_qwen_proxy_are_not_touched(database: &Database) {
    database
        .execute(
            "INSERT INTO sessions (id, chat_id, first_user_message, created_at, last_accessed, expires_at,
                 conversation_hash, source)
             VALUES ('q', 'chat', 'hi', 1, 1, 2, 'h', 'qwen-proxy')",
        )
        .await;
    let before = sessions::get(&database.store, "q").await.unwrap();
    let mut named = whole("a", 5, SessionRef::Named("q".to_owned()));
    named.ended.as_mut().unwrap().opening_hash = Some("other".to_owned());
    record(&database.store, &[named, whole("b", 6, SessionRef::Continues("h".to_owned()))]).await.unwrap();
    assert_eq!(sessions::get(&database.store, "q").await.unwrap(), before);
    assert_eq!(read(database, "a").await.0.session_id, "q");
    assert_eq!(read(database, "b").await.0.session_id, "b");
}

async fn nothing_a_client_sends_stops_the_log(database: &Database) {
    let mut odd = whole("odd", i64::MAX - 40, SessionRef::Named("na\0med".to_owned()));
    odd.begun.model = "m\0".to_owned();
    odd.begun.request_body = "\0\u{10ffff}'\"$1 ?".into();
    odd.ended.as_mut().unwrap().error = Some("\0".to_owned());
    let twin = whole("twin", 1, SessionRef::Continues("\0".to_owned()));
    let batch = [odd, twin];
    record(&database.store, &batch).await.unwrap();
    record(&database.store, &batch).await.unwrap();
    let (request, response) = read(database, "odd").await;
    assert_eq!((&*request.model, &*request.request_body), ("m\u{fffd}", "\u{fffd}\u{10ffff}'\"$1 ?"));
    assert_eq!((&*request.session_id, &*response.unwrap().response_id), ("na\u{fffd}med", "odd"));
    assert_eq!(read(database, "twin").await.1.unwrap().response_id, "twin");
}

async fn a_batch_is_all_or_nothing(database: &Database) {
    database.execute("ALTER TABLE responses RENAME TO away").await;
    let batch = [pending(begun("a", 1, SessionRef::Opens)), whole("b", 2, SessionRef::Opens)];
    assert!(record(&database.store, &batch).await.is_err());
    database.execute("ALTER TABLE away RENAME TO responses").await;
    assert_eq!(rows(database).await, (Vec::new(), Vec::new()));
    record(&database.store, &batch).await.unwrap();
    assert_eq!(rows(database).await.1.len(), 2);
}

async fn loaders_take_turns(database: &Database) {
    // The same conversations in opposite orders, which would deadlock without serialisation.
    let batch = |prefix: &str, sessions: [&str; 2]| {
        let exchange =
            |index: usize| whole(&format!("{prefix}{index}"), 1, SessionRef::Named(sessions[index % 2].to_owned()));
        (0..20).map(exchange).collect::<Vec<_>>()
    };
    let (one, two) = (batch("a", ["x", "y"]), batch("b", ["y", "x"]));
    let same = one.clone();
    let store = &database.store;
    let results = tokio::join!(record(store, &one), record(store, &two), record(store, &same));
    assert!(matches!(results, (Ok(()), Ok(()), Ok(()))), "{results:?}");
    for id in ["x", "y"] {
        assert_eq!(sessions::get(store, id).await.unwrap().message_count, 20);
    }
    let stats = responses::stats(store, None).await.unwrap();
    assert_eq!(stats.total_responses, 40);
}

#[tokio::test]
async fn a_request_deleted_concurrently_is_retried() {
    crate::fixture::on_sqlite(async |database: &Database| {
        let vanish = "CREATE TRIGGER vanish BEFORE INSERT ON responses
                      BEGIN DELETE FROM requests WHERE id = NEW.id; END";
        database.execute(vanish).await;
        let batch = [whole("a", 1, SessionRef::Opens)];
        let error = record(&database.store, &batch).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        database.execute("DROP TRIGGER vanish").await;
        record(&database.store, &batch).await.unwrap();
        assert!(read(database, "a").await.1.is_some());
    })
    .await;
}

/// A process of the previous version still runs after a migration has renamed columns. Its caller must not discard the
/// exchanges.
async fn unknown_columns_are_not_the_fault_of_a_row(database: &Database) {
    let exchange = |id: &str| Exchange { begun: begun(id, 100, SessionRef::Opens), ended: Some(ended(1)) };
    let pending = |id: &str| Exchange { ended: None, ..exchange(id) };
    // All statements have been prepared.
    record(&database.store, &[pending("open")]).await.unwrap();
    record(&database.store, &[exchange("first")]).await.unwrap();
    database
        .execute(
            "ALTER TABLE requests RENAME COLUMN request_body TO a; ALTER TABLE requests RENAME COLUMN upstream_request TO b;
             ALTER TABLE responses RENAME COLUMN response_body TO c",
        )
        .await;
    for exchange in [exchange("second"), pending("third"), exchange("open")] {
        for _ in 0..2 {
            let error = record(&database.store, std::slice::from_ref(&exchange)).await.unwrap_err();
            assert_ne!(error.class(), Class::Row, "{error}");
            // The loader sets an exchange aside if the database accepts another one.
            let error = probe(&database.store).await.unwrap_err();
            assert_ne!(error.class(), Class::Row, "{error}");
        }
    }
    database
        .execute(
            "ALTER TABLE requests RENAME COLUMN a TO request_body; ALTER TABLE requests RENAME COLUMN b TO upstream_request;
             ALTER TABLE responses RENAME COLUMN c TO response_body",
        )
        .await;
    record(&database.store, &[exchange("second"), exchange("open")]).await.unwrap();
    for id in ["open", "first", "second"] {
        let (request, response) = read(database, id).await;
        assert_eq!((&*request.request_body, request.status), (r#"{"model":"m"}"#, RequestStatus::Completed));
        assert_eq!(response.unwrap().response_body.as_deref(), Some("{}"));
    }
}
