//! Creates databases as the programs of the Node.js version left them, in each of their possible states.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

/// A state of the file: the parts that exist in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) name: &'static str,
    /// Names of parts in [`PARTS`].
    parts: &'static [&'static str],
}

/// Every state: files used only by the router, only by qwen-proxy, and by both.
pub(super) const STATES: &[State] = &[
    State { name: "router 1", parts: &["settings", "versions", "request_logs"] },
    State { name: "router 2", parts: &["settings", "versions", "metadata", "log"] },
    State { name: "router 3", parts: &["settings", "versions", "metadata", "log", "catalogue"] },
    State { name: "router 5", parts: &["settings", "versions", "metadata", "log", "catalogue", "index", "logins"] },
    State { name: "qwen-proxy 1", parts: &["metadata", "log", "logins"] },
    State { name: "qwen-proxy 2", parts: &["metadata", "log", "logins", "user_id"] },
    State { name: "qwen-proxy 3", parts: &["metadata", "log", "logins", "user_id", "hash"] },
    State { name: "qwen-proxy 4", parts: &["metadata", "log", "logins", "user_id", "hash", "errors"] },
    State { name: "base, then qwen-proxy", parts: &["settings", "metadata", "log", "logins", "hash", "errors"] },
    State {
        name: "qwen-proxy, then router",
        parts: &[
            "settings",
            "versions",
            "metadata",
            "log",
            "catalogue",
            "index",
            "logins",
            "user_id",
            "hash",
            "errors",
        ],
    },
];

/// The schema and the rows of each part.
const PARTS: &[(&str, &str)] = &[
    (
        "settings",
        "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL,
             updated_at INTEGER NOT NULL DEFAULT (strftime('%s', 'now')));
         INSERT INTO settings VALUES ('server.port', '3001.0', 1700000001), ('server.host', '0.0.0.0', 1700000001),
             ('logging.level', 'debug', 1700000002), ('active_provider', 'lm-studio', 1700000003),
             ('my ''own'' key', 'Größe 1.50', 1700000004);",
    ),
    (
        "versions",
        "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied_at INTEGER DEFAULT (strftime('%s', 'now')));
         INSERT INTO schema_version VALUES (1, 1700000000), (2, 1700000001);",
    ),
    (
        "metadata",
        "CREATE TABLE metadata (key TEXT PRIMARY KEY, value TEXT NOT NULL, updated_at INTEGER NOT NULL);
         INSERT INTO metadata VALUES ('schema_version', '2', 1700000000000);",
    ),
    (
        "request_logs",
        "CREATE TABLE request_logs (id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL UNIQUE,
             provider TEXT NOT NULL, endpoint TEXT NOT NULL, method TEXT NOT NULL, request_body TEXT, response_body TEXT,
             status_code INTEGER, duration_ms INTEGER, error TEXT, created_at INTEGER NOT NULL);
         CREATE INDEX idx_request_logs_provider ON request_logs(provider);
         INSERT INTO request_logs (request_id, provider, endpoint, method, request_body, response_body, status_code,
                 duration_ms, error, created_at) VALUES
             ('log-1', 'lm-studio', '/v1/chat/completions', 'POST', '{\"model\":\"m1\",\"stream\":true}', '{\"a\":1}', 200, 12, NULL, 1700000010),
             ('log-2', 'lm-studio', '/v1/chat/completions', 'POST', 'no json', NULL, 502, 7, 'it was away', 1700000011),
             ('log-3', 'qwen-proxy', '/v1/models', 'GET', NULL, NULL, NULL, NULL, NULL, 1700000012);",
    ),
    (
        "log",
        "CREATE TABLE sessions (id TEXT PRIMARY KEY, chat_id TEXT NOT NULL, parent_id TEXT,
             first_user_message TEXT NOT NULL, message_count INTEGER DEFAULT 0, created_at INTEGER NOT NULL,
             last_accessed INTEGER NOT NULL, expires_at INTEGER NOT NULL);
         CREATE INDEX idx_sessions_expires_at ON sessions(expires_at);
         CREATE INDEX idx_sessions_created_at ON sessions(created_at);
         CREATE TABLE requests (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, request_id TEXT NOT NULL UNIQUE,
             timestamp INTEGER NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, openai_request TEXT NOT NULL,
             qwen_request TEXT NOT NULL, model TEXT NOT NULL, stream BOOLEAN NOT NULL, created_at INTEGER NOT NULL,
             FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE);
         CREATE INDEX idx_requests_session_id ON requests(session_id);
         CREATE TABLE responses (id INTEGER PRIMARY KEY AUTOINCREMENT, request_id INTEGER NOT NULL, session_id TEXT NOT NULL,
             response_id TEXT NOT NULL UNIQUE, timestamp INTEGER NOT NULL, qwen_response TEXT, openai_response TEXT,
             parent_id TEXT, completion_tokens INTEGER, prompt_tokens INTEGER, total_tokens INTEGER, finish_reason TEXT,
             error TEXT, duration_ms INTEGER, created_at INTEGER NOT NULL,
             FOREIGN KEY (request_id) REFERENCES requests(id) ON DELETE CASCADE,
             FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE);
         CREATE INDEX idx_responses_request_id ON responses(request_id);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
         INSERT INTO sessions SELECT CASE WHEN i % 3 THEN 'simple-session-' ELSE 'md5-' END || i, 'chat-' || i,
             CASE WHEN i % 2 THEN 'parent-' || i END, 'Hello ''world'' \u{1F600} ' || i, i, 1700000000000 + i,
             1700000000000 + i, 1700001800000 + i FROM n;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120)
         INSERT INTO requests (session_id, request_id, timestamp, method, path, openai_request, qwen_request, model, stream, created_at)
             SELECT CASE WHEN (i % 40 + 1) % 3 THEN 'simple-session-' ELSE 'md5-' END || (i % 40 + 1), 'uuid-' || i, 1700000000000 + i, 'POST',
             '/v1/chat/completions', '{\"messages\":[{\"role\":\"user\",\"content\":\"' || hex(zeroblob(i * 60)) || '\"}]}',
             '{\"i\":' || i || '}', 'qwen3-max', i % 2, 1700000000000 + i FROM n;
         DELETE FROM requests WHERE id = 7;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
         INSERT INTO responses (request_id, session_id, response_id, timestamp, qwen_response, openai_response, parent_id,
                 completion_tokens, prompt_tokens, total_tokens, finish_reason, error, duration_ms, created_at)
             SELECT requests.id, session_id, 'answer-' || i, timestamp + 5, NULL, '{\"n\":' || i || '}', NULL, i, 2 * i, 3 * i,
             CASE WHEN i % 9 THEN 'stop' ELSE 'error' END, CASE WHEN i % 9 THEN NULL ELSE 'HTTP 502' END, 5 * i, created_at
             FROM n JOIN requests ON requests.id = i;
         -- Nothing kept it from answering twice.
         INSERT INTO responses (request_id, session_id, response_id, timestamp, openai_response, created_at)
             SELECT id, session_id, 'again-' || id, timestamp + 9, '{\"again\":true}', created_at FROM requests WHERE id IN (3, 4);",
    ),
    ("user_id", "ALTER TABLE sessions ADD COLUMN user_id TEXT; CREATE INDEX idx_sessions_user_id ON sessions(user_id);"),
    (
        "hash",
        "ALTER TABLE sessions ADD COLUMN conversation_hash TEXT; UPDATE sessions SET conversation_hash = 'hash of ' || id;
         CREATE INDEX idx_sessions_conversation_hash ON sessions(conversation_hash);",
    ),
    (
        "logins",
        "CREATE TABLE qwen_credentials (id INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT NOT NULL, cookies TEXT NOT NULL,
             expires_at INTEGER, created_at INTEGER NOT NULL DEFAULT (strftime('%s', 'now')),
             updated_at INTEGER NOT NULL DEFAULT (strftime('%s', 'now')));
         CREATE INDEX idx_qwen_credentials_expires ON qwen_credentials(expires_at);
         INSERT INTO qwen_credentials (token, cookies, expires_at, created_at, updated_at) VALUES
             ('canary-old', 'a=canary-1', 1700000000, 1690000000, 1690000000),
             ('canary-new', 'a=canary-2; b=2', 1900000000000, 1700000000, 1700000005);",
    ),
    (
        "catalogue",
        "CREATE TABLE providers (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, type TEXT NOT NULL,
             enabled BOOLEAN NOT NULL DEFAULT 1, priority INTEGER NOT NULL DEFAULT 0, description TEXT,
             created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL);
         CREATE INDEX idx_providers_priority ON providers(priority DESC);
         CREATE TABLE provider_configs (id INTEGER PRIMARY KEY AUTOINCREMENT, provider_id TEXT NOT NULL, key TEXT NOT NULL,
             value TEXT NOT NULL, is_sensitive BOOLEAN DEFAULT 0, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
             FOREIGN KEY (provider_id) REFERENCES providers(id) ON DELETE CASCADE, UNIQUE(provider_id, key));
         CREATE TABLE models (id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, capabilities TEXT,
             created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL);
         CREATE TABLE provider_models (id INTEGER PRIMARY KEY AUTOINCREMENT, provider_id TEXT NOT NULL, model_id TEXT NOT NULL,
             is_default BOOLEAN DEFAULT 0, config TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
             FOREIGN KEY (provider_id) REFERENCES providers(id) ON DELETE CASCADE,
             FOREIGN KEY (model_id) REFERENCES models(id) ON DELETE CASCADE, UNIQUE(provider_id, model_id));
         CREATE INDEX idx_provider_models_is_default ON provider_models(is_default);
         INSERT INTO providers VALUES
             ('lm-studio-default', 'LM Studio Default', 'lm-studio', 1, 10, NULL, 1700000000000, 1700000000000),
             ('qwen-direct-default', 'Qwen Direct Default', 'qwen-direct', 0, 8, 'mine', 1700000000000, 1700000000001);
         INSERT INTO provider_configs (provider_id, key, value, is_sensitive, created_at, updated_at) VALUES
             ('lm-studio-default', 'baseURL', 'http://192.168.0.22:1234/v1', 0, 1700000000000, 1700000000000),
             ('lm-studio-default', 'timeout', '120000', 0, 1700000000000, 1700000000000),
             ('qwen-direct-default', 'token', 'canary-token', 1, 1700000000000, 1700000000000),
             ('qwen-direct-default', 'cookies', 'a=canary-cookie', 0, 1700000000000, 1700000000000);
         INSERT INTO models VALUES
             ('once', 'Once', NULL, '[\"chat\",\"vision\"]', 1700000000000, 1700000000000),
             ('twice', 'Twice', 'twice - Discovered from lm-studio-default', '\"[\\\"chat\\\",\\\"completion\\\"]\"', 1700000000000, 1700000000000),
             ('odd', 'Odd', NULL, 'chat', 1700000000000, 1700000000000),
             ('none', 'None', NULL, NULL, 1700000000000, 1700000000000);
         INSERT INTO provider_models (provider_id, model_id, is_default, config, created_at, updated_at) VALUES
             ('lm-studio-default', 'once', 0, NULL, 1700000000000, 1700000000000),
             ('lm-studio-default', 'twice', 1, '{\"upstream_model\":\"t\"}', 1700000000000, 1700000000000),
             ('lm-studio-default', 'odd', 1, NULL, 1700000000000, 1700000000000);",
    ),
    ("index", "CREATE INDEX idx_settings_key ON settings(key);"),
    (
        "errors",
        "CREATE TABLE errors (id INTEGER PRIMARY KEY AUTOINCREMENT, error_id TEXT NOT NULL UNIQUE, timestamp INTEGER NOT NULL,
             error_type TEXT NOT NULL, error_code TEXT, error_message TEXT NOT NULL, stack_trace TEXT, session_id TEXT,
             request_id INTEGER, endpoint TEXT, method TEXT, user_agent TEXT, request_payload TEXT, response_payload TEXT,
             severity TEXT NOT NULL, resolved BOOLEAN DEFAULT 0, notes TEXT, created_at INTEGER NOT NULL,
             FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE SET NULL,
             FOREIGN KEY (request_id) REFERENCES requests(id) ON DELETE SET NULL);
         CREATE INDEX idx_errors_timestamp ON errors(timestamp);
         INSERT INTO errors (error_id, timestamp, error_type, error_message, session_id, request_id, severity, resolved, notes, created_at)
             SELECT 'error-' || id, timestamp, 'api_error', 'message ' || id, session_id, id, 'warning', id % 2, 'note', created_at
             FROM requests WHERE id < 30;",
    ),
];

// === impl State ===

impl State {
    pub(super) fn has(&self, part: &str) -> bool {
        self.parts.contains(&part)
    }

    /// Creates a file in this state.
    pub(super) async fn make(&self, path: &Path) {
        // Columns are added after their tables were created, in the order of the parts.
        let text: Vec<&str> = PARTS.iter().filter(|(part, _)| self.has(part)).map(|(_, text)| *text).collect();
        change(path, &text.join("\n")).await;
    }
}

/// Runs statements on a separate connection, bypassing this crate.
pub(super) async fn change(path: &Path, text: &str) {
    let options =
        SqliteConnectOptions::new().filename(path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Returns the rows of a query, each as one text.
pub(super) async fn rows(path: &Path, columns: &str, rest: &str) -> Vec<String> {
    let mut connection = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap();
    let quoted: Vec<String> = columns.split(", ").map(|column| format!("quote({column})")).collect();
    let text = format!("SELECT {} AS row FROM {rest}", quoted.join(" || '|' || "));
    let rows = sqlx::query_scalar(AssertSqlSafe(text)).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows
}
