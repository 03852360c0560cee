//! Tests that frequent statements, and statements on large tables, find their rows through an index.

use signalbox_harness::postgres::Postgres;

use crate::row::{Columns, FromRow};
use crate::statement::{Statement, Value};
use crate::tables::{usage_hours, usage_minutes};
use crate::transaction::Transaction;
use crate::{
    Error, Page, RowPosition, Store, activity, audit, bodies, catalog, erasure, exchanges, metrics, qwen_turns,
    requests, responses, retention, sessions, turns, uncount,
};

struct Step(String);

fn statements() -> Vec<Statement<'static>> {
    let of_rows = |(head, width, tail): (_, usize, _)| {
        let row = [Value::from("x"), Value::from("y"), Value::from("z"), Value::from("u"), Value::from("v")];
        Statement::of_rows(head, width, tail, [&row[..width], &row[..width]].concat())
    };
    let of_numbers =
        |(head, width, tail): (_, usize, _)| Statement::of_rows(head, width, tail, vec![Value::from(1); 2 * width]);
    let end = [Value::from(1), "x".into(), "y".into(), "z".into(), "u".into()];
    let (head, width, tail) = exchanges::batch::END;
    let (sums, width_of_sums, tail_of_sums) = usage_minutes::FIND;
    let (uncount, _, tail_of_uncount) = uncount::DELETE;
    let sum = [Value::from(1), Value::from(1), "x".into(), "y".into(), "z".into(), "u".into()];
    let (fetch, key, rest) = bodies::FETCH;
    let by_model = metrics::Selection { by: metrics::By::Model, ..metrics::Selection::default() };
    let mut statements = vec![
        Statement::new(catalog::VERSION),
        Statement::new(audit::DELETE).bind(1).bind(1),
        Statement::new(erasure::OF_SESSION).bind("x"),
        Statement::new(erasure::OF_EXPIRED).bind(1).bind(1),
        Statement::new(erasure::EXPIRED).bind(1).bind(1),
        Statement::new(erasure::EXPIRED_REPORTS).bind(1).bind(1),
        Statement::new(erasure::CLEAR_PREVIEW).bind("x").bind(1),
        Statement::new(erasure::OF_DAYS).bind(1).bind(1).bind(1).bind(1),
        Statement::new(erasure::NEWER).bind(1).bind(1),
        of_numbers(erasure::EXISTING),
        of_numbers(erasure::ANSWERS),
        of_numbers(erasure::REPORTS),
        of_numbers(erasure::REPORTS_OF_TIME),
        of_numbers(erasure::DELETE),
        of_numbers(bodies::removal::SIZES),
        of_numbers(bodies::removal::DELETE),
        Statement::new(qwen_turns::FIND).bind("x").bind(1).bind(1),
        Statement::new(retention::OLDEST).bind(1).bind(1),
        Statement::new(retention::DELETE_BODIES).bind(1).bind(1).bind(1),
        Statement::new(retention::OLD_REQUESTS).bind(1).bind(1),
        Statement::new(retention::DELETE_SESSIONS).bind(1).bind(1),
        Statement::new(retention::DELETE_SUMS).bind(1).bind(1).bind(1),
        metrics::sums_statement(&metrics::Selection::default(), 1, 2).owned(),
        Statement::of_rows(sums, width_of_sums, tail_of_sums, [sum.clone(), sum.clone()].concat()),
        Statement::of_rows(uncount, width_of_sums, tail_of_uncount, [sum.clone(), sum].concat()),
        of_numbers(uncount::COUNTED),
        metrics::keys_statement(1, 2),
        Statement::of_rows(head, width, tail, [end.clone(), end].concat()),
        Statement::of_rows(fetch, key, rest, vec![Value::from(1); 2 * key]),
        of_rows(exchanges::logged_requests::FIND),
        of_rows(exchanges::sessions::FIND_SESSIONS),
        Statement::new(exchanges::openings::READ).bind(1).bind(1),
        Statement::new(exchanges::owners::OF_TIME).bind("x").bind(1),
        Statement::new(exchanges::owners::OF_ID).bind("x"),
        Statement::new(exchanges::openings::FORGET).bind(1).bind(1),
        Statement::new(turns::BEFORE).bind("x").bind("y").bind(1).bind(1).bind(1),
        Statement::new(turns::NEWEST).bind("x").bind(1),
    ];
    statements.extend(metrics::largest_statement(&by_model, 1, 2).map(Statement::owned));
    statements
}

/// Returns the statements of lists and statistics, which must read in the order of an index and no more than they show.
fn lists() -> Vec<Statement<'static>> {
    let page = Page { limit: 50, offset: 500_000 };
    let after = Some(RowPosition { at: 7, id: 7 });
    let behind = RowPosition { at: 7, id: "x".to_owned() };
    let ours = requests::Filter { session_id: Some("x".to_owned()), after: after.clone(), ..Default::default() };
    let slow = requests::Filter {
        models: vec!["x".to_owned(), "y".to_owned()],
        min_ms: Some(7),
        max_ms: Some(9),
        has_error: Some(true),
        error: Some("x".to_owned()),
        after: after.clone(),
        ..Default::default()
    };
    let oldest = requests::Filter { order: requests::Order::Oldest, after: after.clone(), ..Default::default() };
    let theirs = responses::Filter { end: Some(7), after: after.clone(), ..Default::default() };
    let mut lists = vec![
        activity::stats_statement(7_200_000),
        Statement::new(usage_hours::REQUESTS),
        Statement::new(sessions::TOTAL),
        Statement::new(usage_hours::ANSWERS),
        activity::recent_statement(None, page),
        activity::recent_statement(after.as_ref(), page),
        requests::page_statement(&requests::Filter::default(), page).owned(),
        requests::page_statement(&requests::Filter { after, ..Default::default() }, page).owned(),
        requests::page_statement(&ours, page).owned(),
        requests::page_statement(&slow, page).owned(),
        requests::summary_statement(&requests::Filter::default(), page).owned(),
        requests::summary_statement(&slow, page).owned(),
        requests::summary_statement(&oldest, page).owned(),
        responses::page_statement(&responses::Filter::default(), page).owned(),
        responses::page_statement(&theirs, page).owned(),
    ];
    for sort in [sessions::Sort::CreatedAt, sessions::Sort::LastAccessed] {
        lists.push(sessions::page_statement(sort, None, page).owned());
        lists.push(sessions::page_statement(sort, Some(&behind), page).owned());
    }
    lists
}

/// Returns the query plan of a statement, one step per line.
async fn plan(store: &Store, statement: Statement<'_>) -> String {
    let mut tx = store.write().await.unwrap();
    let explain = match &tx {
        Transaction::Sqlite(_) => "EXPLAIN QUERY PLAN",
        Transaction::Postgres(_) => "EXPLAIN",
    };
    if matches!(tx, Transaction::Postgres(_)) {
        // A sequential scan is right for an empty table; the test checks that there is an alternative.
        tx.execute(Statement::new("SET LOCAL enable_seqscan = off")).await.unwrap();
    }
    let plan: Vec<Step> = tx.all(statement.explained(explain)).await.unwrap();
    plan.into_iter().map(|step| step.0).collect::<Vec<_>>().join("\n")
}

async fn check(store: &Store) {
    for statement in statements() {
        let plan = plan(store, statement).await;
        // Scans of rows that are part of the statement do not count.
        let scans = |step: &&str| step.contains("SCAN") || step.contains("Seq Scan");
        let brought = ["SCAN ended", "SCAN wanted", "CONSTANT ROW", "VALUES CLAUSE"];
        let table = plan.lines().filter(scans).find(|step| !brought.iter().any(|rows| step.contains(rows)));
        assert_eq!(table, None, "{plan}");
        assert!(plan.to_uppercase().contains("INDEX") || plan.contains("PRIMARY KEY"), "{plan}");
    }
    for statement in lists() {
        let plan = plan(store, statement).await;
        // Lists read in the order of an index. The hourly sums and the tables that users fill by hand are small.
        let small = ["usage_hours", "session_hours", "all_hours", "edge", "providers", "models"];
        let read_whole = |step: &&str| {
            let scan = step.contains("SCAN") && !step.contains("INDEX");
            (scan || step.contains("Seq Scan")) && !small.iter().any(|table| step.contains(table))
        };
        assert_eq!(plan.lines().find(read_whole), None, "{plan}");
        // Only the shown rows may be sorted, not the rows they are selected from.
        let sorts = plan.matches("TEMP B-TREE FOR ORDER BY").count();
        assert!(sorts <= 1, "{plan}");
    }
}

#[tokio::test]
async fn sqlite() {
    check(&Store::open("sqlite::memory:").await.unwrap()).await;
}

#[tokio::test]
async fn postgres() {
    let Some(postgres) = Postgres::launch().await else { return };
    let store = Store::open(&postgres.create_database().await).await.unwrap();
    check(&store).await;
    store.close().await;
}

// === impl FromRow ===

impl FromRow for Step {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.text("detail").or_else(|_| row.text("QUERY PLAN")).map(Self)
    }
}
