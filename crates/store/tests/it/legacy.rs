//! Tests that a database of the Node.js version is imported completely.

mod fixture;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use signalbox_store::{Error, Page, Store, credentials, provider_configs, providers, requests, settings};

use self::fixture::{STATES, State, change, rows};
use crate::fixture::sealer;

const CHILD_URL: &str = "SIGNALBOX_ORIGINAL_TEST_URL";

fn url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

/// Returns the copies that were made of a file.
fn copies(path: &Path) -> Vec<PathBuf> {
    let name = format!("{}.before-signalbox-", path.file_name().unwrap().to_str().unwrap());
    let entries = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|entry| entry.file_name().unwrap().to_str().unwrap().starts_with(&name)).collect()
}

/// A table of the Node.js version, and the query for the same data in the current schema.
struct Pair {
    part: &'static str,
    columns: &'static str,
    theirs: &'static str,
    ours: &'static str,
}

/// Columns with another name in the current schema.
const RENAMED: [(&str, &str); 4] = [
    ("openai_request", "request_body"),
    ("qwen_request", "upstream_request"),
    ("openai_response", "response_body"),
    ("qwen_response", "upstream_response"),
];

/// The data that must be equal before and after the import, column by column.
const PAIRS: &[Pair] = &[
    Pair {
        part: "log",
        columns: "id, chat_id, parent_id, first_user_message, message_count, created_at, last_accessed, expires_at",
        theirs: "sessions ORDER BY id",
        ours: "sessions ORDER BY id",
    },
    Pair {
        part: "hash",
        columns: "id, conversation_hash",
        theirs: "sessions ORDER BY id",
        ours: "sessions ORDER BY id",
    },
    Pair {
        part: "log",
        columns: "id, session_id, request_id, timestamp, method, path, openai_request, qwen_request, model, stream, created_at",
        theirs: "requests ORDER BY id",
        ours: "requests WHERE request_id LIKE 'uuid-%' ORDER BY id",
    },
    Pair {
        part: "log",
        columns: "openai_response, qwen_response, completion_tokens, prompt_tokens, total_tokens, finish_reason, error, duration_ms, timestamp",
        theirs: "responses ORDER BY openai_response, timestamp",
        ours: "responses ORDER BY response_body, timestamp",
    },
    Pair {
        part: "errors",
        columns: "id, error_id, timestamp, error_type, error_message, session_id, request_id, severity, resolved, notes",
        theirs: "errors ORDER BY id",
        ours: "errors ORDER BY id",
    },
    Pair {
        part: "catalogue",
        columns: "id, name, type, enabled, priority, description, created_at, updated_at",
        theirs: "providers ORDER BY id",
        ours: "providers ORDER BY id",
    },
    Pair {
        part: "catalogue",
        columns: "id, provider_id, key, value",
        theirs: "provider_configs ORDER BY id",
        ours: "provider_configs ORDER BY id",
    },
    Pair {
        part: "catalogue",
        columns: "id, name, description",
        theirs: "models ORDER BY id",
        ours: "models ORDER BY id",
    },
    Pair {
        part: "catalogue",
        columns: "id, provider_id, model_id, config",
        theirs: "provider_models ORDER BY id",
        ours: "provider_models ORDER BY id",
    },
    Pair {
        part: "logins",
        columns: "id, token, cookies, created_at, updated_at",
        theirs: "qwen_credentials ORDER BY id",
        ours: "qwen_credentials ORDER BY id",
    },
];

// === impl Pair ===

impl Pair {
    /// Returns the columns and the table before the import.
    fn theirs(&self) -> (String, &'static str) {
        (self.columns.to_owned(), self.theirs)
    }

    /// Returns the same columns and the table after the import.
    fn ours(&self) -> (String, &'static str) {
        let renamed = |columns: String, (theirs, ours): &(&str, &str)| columns.replace(theirs, ours);
        (RENAMED.iter().fold(self.columns.to_owned(), renamed), self.ours)
    }
}

async fn seen(path: &Path, state: &State, pick: impl Fn(&Pair) -> (String, &'static str)) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for pair in PAIRS.iter().filter(|pair| state.has(pair.part)) {
        let (columns, table) = pick(pair);
        all.push(rows(path, &columns, table).await);
    }
    all
}

#[tokio::test]
async fn every_version_is_imported_without_losing_a_row() {
    for state in STATES {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("provider-router.db");
        state.make(&path).await;
        let before = seen(&path, state, Pair::theirs).await;
        assert!(before.iter().all(|rows| !rows.is_empty()), "{}", state.name);
        let store = Store::open(&url(&path)).await.unwrap_or_else(|error| panic!("{}: {error}", state.name));
        let after = seen(&path, state, Pair::ours).await;
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before, after, "{}", state.name);
        }
        assert!(rows(&path, "name", "sqlite_schema WHERE name LIKE 'original%'").await.is_empty());
        assert!(rows(&path, "\"table\"", "pragma_foreign_key_check").await.is_empty(), "{}", state.name);
        // The copy contains the old data, and the Node.js version can open it.
        let copy = copies(&path);
        assert_eq!(copy.len(), 1, "{}", state.name);
        assert_eq!(seen(&copy[0], state, Pair::theirs).await, before, "{}", state.name);

        // The sums must match the imported log.
        let counted = requests::list(&store, &requests::Filter::default(), Page::ALL).await.unwrap().total;
        let there = rows(&path, "COUNT(*)", "requests").await;
        assert_eq!(there, [counted.to_string()], "{}", state.name);

        // The providers of the Node.js version are kept, and at least one provider always exists.
        let total = providers::list(&store, &providers::Filter::default(), Page::ALL).await.unwrap().total;
        assert_eq!(total, if state.has("catalogue") { 2 } else { 3 }, "{}", state.name);
        store.close().await;
        Store::open(&url(&path)).await.unwrap().close().await;
        assert_eq!(copies(&path), copy, "{}: imported only once", state.name);
        assert_eq!(seen(&path, state, Pair::ours).await, after, "{}", state.name);
    }
}

#[tokio::test]
async fn values_of_the_nodejs_version_are_interpreted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("provider-router.db");
    STATES.last().unwrap().make(&path).await;
    let store = Store::open(&url(&path)).await.unwrap();

    let setting = async |key: &str| settings::get(&store, key).await.unwrap().map(|setting| setting.value);
    assert_eq!(setting("server.port").await.unwrap(), "3001");
    assert_eq!(setting("active_provider").await.unwrap(), "lm-studio-default", "a type is not an id");
    assert_eq!(setting("my 'own' key").await.unwrap(), "Größe 1.50");
    assert_eq!(setting("server.host").await, None, "it was the default, which listens on all addresses");
    assert_eq!(setting("original.server.host").await.unwrap(), "0.0.0.0");
    let at = settings::get(&store, "logging.level").await.unwrap().unwrap().updated_at;
    assert_eq!(at, 1_700_000_002_000);

    let models = signalbox_store::models::list(&store, &Default::default(), Page::ALL).await.unwrap().items;
    let capabilities: Vec<(&str, String)> =
        models.iter().map(|model| (model.id.as_str(), model.capabilities.join(" "))).collect();
    let expected = [("none", ""), ("odd", "chat"), ("once", "chat vision"), ("twice", "chat completion")];
    assert_eq!(capabilities, expected.map(|(id, words)| (id, words.to_owned())));
    let defaults = rows(&path, "model_id", "provider_models WHERE is_default").await;
    assert_eq!(defaults, ["'twice'"], "one of the two");

    let (answered, answer) = requests::get(&store, &requests::RequestKey::Uuid("uuid-3".to_owned())).await.unwrap();
    assert_eq!((answered.status.as_str(), answered.session_id.is_empty()), ("completed", false));
    assert_eq!(answer.unwrap().response_body.unwrap(), r#"{"again":true}"#, "the newest answer");
    let (kept, answer) =
        requests::get(&store, &requests::RequestKey::Uuid("response-answer-3".to_owned())).await.unwrap();
    assert_eq!(
        (kept.request_body, answer.unwrap().response_body.unwrap()),
        (answered.request_body, r#"{"n":3}"#.to_owned())
    );
    let status = async |uuid: &str| {
        requests::get(&store, &requests::RequestKey::Uuid(uuid.to_owned())).await.unwrap().0.status.as_str()
    };
    assert_eq!([status("uuid-9").await, status("uuid-110").await], ["failed", "interrupted"]);
    store.close().await;
}

#[tokio::test]
async fn values_of_other_types_than_their_columns_are_converted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("provider-router.db");
    STATES.last().unwrap().make(&path).await;
    change(
        &path,
        "UPDATE responses SET completion_tokens = 12.5, prompt_tokens = 'abc', total_tokens = x'ff', duration_ms = 1e300
             WHERE response_id = 'answer-1';
         UPDATE requests SET timestamp = 1700000000000.5, created_at = 'soon', model = x'6d31', path = CAST(x'2fff' AS TEXT)
             WHERE id = 1;
         UPDATE requests SET timestamp = '2023-11-14T22:13:20Z' WHERE id = 2;
         UPDATE sessions SET message_count = 1.5, last_accessed = 1.5, expires_at = '' WHERE id = 'md5-3';
         UPDATE qwen_credentials SET expires_at = 1900000000.5;
         UPDATE providers SET priority = 'high', updated_at = 1.5, created_at = 'x' WHERE id = 'lm-studio-default';
         UPDATE providers SET description = x'ff'; UPDATE models SET description = x'6f6b';
         UPDATE models SET created_at = 'x'; UPDATE settings SET updated_at = 'x'; UPDATE metadata SET updated_at = 0.5;
         UPDATE errors SET timestamp = 0.5; UPDATE schema_version SET applied_at = '2023-11-14 22:13:20';
         UPDATE provider_configs SET value = '***MASKED***' WHERE key = 'token';
         UPDATE settings SET value = 'not a host' WHERE key = 'server.host';",
    )
    .await;
    let store = Store::open(&url(&path)).await.unwrap();
    let listed = requests::list(&store, &requests::Filter::default(), Page::ALL).await.unwrap();
    let find = |uuid: &str| listed.items.iter().find(|(request, _)| request.request_id == uuid).unwrap();
    let (request, answer) = find("uuid-1");
    let answer = answer.as_ref().unwrap();
    assert_eq!((request.timestamp, request.created_at, &*request.model), (1_700_000_000_001, 0, "m1"));
    assert_eq!(request.path, "/\u{fffd}");
    assert_eq!((answer.duration_ms, answer.total_tokens), (None, None));
    let counts = rows(&path, "completion_tokens, prompt_tokens", "responses WHERE completion_tokens = 13").await;
    assert_eq!(counts[0], "13|NULL");
    assert_eq!(find("uuid-2").0.timestamp, 1_700_000_000_000);
    assert_eq!(rows(&path, "message_count, last_accessed, expires_at", "sessions WHERE id = 'md5-3'").await, ["2|2|0"]);
    assert_eq!(rows(&path, "MIN(expires_at), MAX(expires_at)", "qwen_credentials").await, ["1900000001|1900000001"]);
    assert_eq!(rows(&path, "priority, created_at", "providers WHERE id = 'lm-studio-default'").await, ["0|0"]);
    assert!(rows(&path, "key", "provider_configs WHERE key = 'token'").await.is_empty(), "a mask is no token");
    assert_eq!(rows(&path, "value", "settings WHERE key LIKE '%server.host'").await, ["'not a host'"]);
    assert!(settings::get(&store, "server.host").await.unwrap().is_none());
    store.close().await;
    Store::open(&url(&path)).await.unwrap().close().await;
}

#[tokio::test]
async fn a_file_whose_ids_are_used_up_is_refused_and_left_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("provider-router.db");
    STATES.last().unwrap().make(&path).await;
    change(&path, "UPDATE requests SET id = 9223372036854775807 WHERE id = 120;").await;
    let refused = Store::open(&url(&path)).await.unwrap_err().to_string();
    assert!(refused.contains("the ids of requests are used up"), "{refused}");
    assert_eq!(rows(&path, "COUNT(*)", "requests").await, ["119"]);
}

#[tokio::test]
async fn a_list_survives_values_that_another_program_wrote() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("provider-router.db");
    STATES.last().unwrap().make(&path).await;
    Store::open(&url(&path)).await.unwrap().close().await;
    change(
        &path,
        "UPDATE requests SET timestamp = 0.5, model = x'ff', stream = 1.0 WHERE id = 1;
         UPDATE responses SET duration_ms = 'abc', total_tokens = 2.5 WHERE id = 1;",
    )
    .await;
    let store = Store::open(&url(&path)).await.unwrap();
    let listed = requests::list(&store, &requests::Filter::default(), Page::ALL).await.unwrap();
    let (request, answer) = listed.items.iter().find(|(request, _)| request.request_id == "uuid-1").unwrap();
    assert_eq!((request.timestamp, &*request.model), (1, "\u{fffd}"));
    assert_eq!(answer.as_ref().unwrap().duration_ms, Some(0));
    store.close().await;
}

#[tokio::test]
async fn the_oldest_log_format_becomes_requests() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("provider-router.db");
    STATES[0].make(&path).await;
    let store = Store::open(&url(&path)).await.unwrap();
    let listed = requests::list(&store, &requests::Filter::default(), Page::ALL).await.unwrap();
    let short = listed.items.iter().rev().map(|(request, summary)| {
        let code = summary.as_ref().and_then(|summary| summary.status_code);
        (
            request.request_id.as_str(),
            request.model.as_str(),
            request.stream,
            request.status.as_str(),
            code,
            request.timestamp,
        )
    });
    assert_eq!(
        short.collect::<Vec<_>>(),
        [
            ("log-1", "m1", true, "completed", Some(200), 1_700_000_010_000),
            ("log-2", "unknown", false, "failed", Some(502), 1_700_000_011_000),
            ("log-3", "unknown", false, "interrupted", None, 1_700_000_012_000),
        ]
    );
    assert_eq!(listed.items[2].0.provider_id.as_deref(), Some("lm-studio"));
    store.close().await;
}

#[tokio::test]
async fn secrets_are_sealed_and_leave_no_plain_text() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("provider-router.db");
    STATES.last().unwrap().make(&path).await;
    let store = Store::open(&url(&path)).await.unwrap();
    assert_eq!(provider_configs::seal_all(&store, &sealer()).await.unwrap(), 2);
    assert_eq!(credentials::seal_all(&store, &sealer()).await.unwrap(), 2);
    assert_eq!(credentials::seal_all(&store, &sealer()).await.unwrap(), 0);
    let active = credentials::active(&store, &sealer()).await.unwrap().unwrap();
    assert_eq!((active.token.expose().as_str(), active.row.expires_at), ("canary-new", Some(1_900_000_000)));
    let labels: Vec<String> = credentials::list(&store).await.unwrap().into_iter().map(|row| row.label).collect();
    assert_eq!(labels, ["default", "login 1"]);
    let configs = provider_configs::list(&store, "qwen-direct-default").await.unwrap();
    let opened = configs.iter().map(|row| (row.key.as_str(), provider_configs::json(&sealer(), row).unwrap()));
    assert_eq!(opened.collect::<Vec<_>>(), [("cookies", json!("a=canary-cookie")), ("token", json!("canary-token"))]);
    store.close().await;
    let bytes = fs::read(&path).unwrap();
    let found = bytes.windows(7).any(|window| window == b"canary-");
    assert!(!found, "a secret is still in the file");
}

#[cfg(unix)]
#[tokio::test]
async fn the_copy_is_private() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("provider-router.db");
    STATES[0].make(&path).await;
    Store::open(&url(&path)).await.unwrap().close().await;
    assert_eq!(fs::metadata(&copies(&path)[0]).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn unknown_tables_and_columns_are_refused_and_the_file_left_unchanged() {
    for (text, told) in [
        ("CREATE TABLE cats (name TEXT)", "a table cats"),
        ("ALTER TABLE sessions ADD COLUMN mood TEXT", "a column sessions.mood"),
        ("CREATE VIEW mine AS SELECT 1", "a view or trigger mine"),
        ("ALTER TABLE requests DROP COLUMN model", "has no column requests.model"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("provider-router.db");
        STATES[1].make(&path).await;
        change(&path, text).await;
        let before = fs::read(&path).unwrap();
        let error = Store::open(&url(&path)).await.unwrap_err();
        assert!(matches!(&error, Error::Incompatible(why) if why.contains(told)), "{text}: {error}");
        assert_eq!(fs::read(&path).unwrap(), before, "{text}");
        assert!(copies(&path).is_empty());
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_instructions_and_left_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("provider-router.db");
    STATES.last().unwrap().make(&path).await;
    let whole = fs::read(&path).unwrap();
    for at in [3 * 4096, whole.len() / 2, whole.len() - 4096] {
        let mut broken = whole.clone();
        broken[at..at + 4096].fill(0xa5);
        fs::write(&path, &broken).unwrap();
        let error = Store::open(&url(&path)).await.unwrap_err();
        assert!(matches!(error, Error::Corrupt(_)) && error.to_string().contains(".recover"), "{at}: {error}");
        assert!(fs::read(&path).unwrap() == broken && copies(&path).is_empty(), "{at}");
    }
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(Store::open(&url(&path)).await, Err(Error::Corrupt(_))));
}

#[tokio::test]
async fn three_processes_may_import_it_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("provider-router.db");
    let state = STATES.last().unwrap();
    state.make(&path).await;
    let before = seen(&path, state, Pair::theirs).await;
    let spawn = |_| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "legacy::as_a_child", "--ignored"])
            .env(CHILD_URL, url(&path))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    for child in [0, 1, 2].map(spawn) {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(copies(&path).len(), 1);
    assert_eq!(seen(&path, state, Pair::ours).await, before);
    let kinds: BTreeSet<&str> = STATES.iter().map(|state| state.name).collect();
    assert_eq!(kinds.len(), STATES.len());
}

#[tokio::test]
#[ignore = "run by three_processes_may_import_it_at_once"]
async fn as_a_child() {
    Store::open(&std::env::var(CHILD_URL).unwrap()).await.unwrap().close().await;
}
