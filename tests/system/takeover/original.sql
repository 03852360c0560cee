-- A database file used by both programs of the Node.js version, in its last state; see `crates/store/tests/it/original`
-- for the others.
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL, updated_at INTEGER NOT NULL DEFAULT (strftime('%s', 'now')));
CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied_at INTEGER DEFAULT (strftime('%s', 'now')));
CREATE TABLE metadata (key TEXT PRIMARY KEY, value TEXT NOT NULL, updated_at INTEGER NOT NULL);
CREATE TABLE sessions (id TEXT PRIMARY KEY, chat_id TEXT NOT NULL, parent_id TEXT, first_user_message TEXT NOT NULL,
    message_count INTEGER DEFAULT 0, created_at INTEGER NOT NULL, last_accessed INTEGER NOT NULL, expires_at INTEGER NOT NULL,
    user_id TEXT, conversation_hash TEXT);
CREATE TABLE requests (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, request_id TEXT NOT NULL UNIQUE,
    timestamp INTEGER NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, openai_request TEXT NOT NULL,
    qwen_request TEXT NOT NULL, model TEXT NOT NULL, stream BOOLEAN NOT NULL, created_at INTEGER NOT NULL,
    FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE);
CREATE TABLE responses (id INTEGER PRIMARY KEY AUTOINCREMENT, request_id INTEGER NOT NULL, session_id TEXT NOT NULL,
    response_id TEXT NOT NULL UNIQUE, timestamp INTEGER NOT NULL, qwen_response TEXT, openai_response TEXT, parent_id TEXT,
    completion_tokens INTEGER, prompt_tokens INTEGER, total_tokens INTEGER, finish_reason TEXT, error TEXT,
    duration_ms INTEGER, created_at INTEGER NOT NULL,
    FOREIGN KEY (request_id) REFERENCES requests(id) ON DELETE CASCADE,
    FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE);
CREATE TABLE qwen_credentials (id INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT NOT NULL, cookies TEXT NOT NULL,
    expires_at INTEGER, created_at INTEGER NOT NULL DEFAULT (strftime('%s', 'now')),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s', 'now')));
CREATE TABLE providers (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, type TEXT NOT NULL, enabled BOOLEAN NOT NULL DEFAULT 1,
    priority INTEGER NOT NULL DEFAULT 0, description TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL);
CREATE TABLE provider_configs (id INTEGER PRIMARY KEY AUTOINCREMENT, provider_id TEXT NOT NULL, key TEXT NOT NULL,
    value TEXT NOT NULL, is_sensitive BOOLEAN DEFAULT 0, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    FOREIGN KEY (provider_id) REFERENCES providers(id) ON DELETE CASCADE, UNIQUE(provider_id, key));
CREATE TABLE models (id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, capabilities TEXT, created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL);
CREATE TABLE provider_models (id INTEGER PRIMARY KEY AUTOINCREMENT, provider_id TEXT NOT NULL, model_id TEXT NOT NULL,
    is_default BOOLEAN DEFAULT 0, config TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    FOREIGN KEY (provider_id) REFERENCES providers(id) ON DELETE CASCADE,
    FOREIGN KEY (model_id) REFERENCES models(id) ON DELETE CASCADE, UNIQUE(provider_id, model_id));
CREATE TABLE errors (id INTEGER PRIMARY KEY AUTOINCREMENT, error_id TEXT NOT NULL UNIQUE, timestamp INTEGER NOT NULL,
    error_type TEXT NOT NULL, error_code TEXT, error_message TEXT NOT NULL, stack_trace TEXT, session_id TEXT,
    request_id INTEGER, endpoint TEXT, method TEXT, user_agent TEXT, request_payload TEXT, response_payload TEXT,
    severity TEXT NOT NULL, resolved BOOLEAN DEFAULT 0, notes TEXT, created_at INTEGER NOT NULL,
    FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE SET NULL,
    FOREIGN KEY (request_id) REFERENCES requests(id) ON DELETE SET NULL);

INSERT INTO schema_version VALUES (1, 1), (2, 1), (3, 1), (4, 1), (5, 1);
INSERT INTO metadata VALUES ('schema_version', '5', 1700000000000);
INSERT INTO settings VALUES ('server.timeout', '120000.0', 1700000001), ('logging.level', 'debug', 1700000002);
-- The timestamps are current, because entries older than the retention would be deleted.
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO sessions SELECT 'session-' || i, 'chat-' || i, NULL, 'Hello ' || i, 1, strftime('%s', 'now') * 1000 + i,
    strftime('%s', 'now') * 1000 + i, strftime('%s', 'now') * 1000 + 86400000, NULL, 'hash-' || i FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
INSERT INTO requests (session_id, request_id, timestamp, method, path, openai_request, qwen_request, model, stream, created_at)
    SELECT 'session-' || (i % 300 + 1), 'uuid-' || i, strftime('%s', 'now') * 1000 + i, 'POST', '/v1/chat/completions',
    '{"messages":[{"role":"user","content":"' || hex(zeroblob(i % 100 * 60)) || '"}]}', '{"i":' || i || '}', 'qwen3-max', i % 2,
    strftime('%s', 'now') * 1000 + i FROM n;
INSERT INTO responses (request_id, session_id, response_id, timestamp, openai_response, finish_reason, duration_ms, created_at)
    SELECT id, session_id, 'answer-' || id, timestamp + 5, '{"n":' || id || '}', 'stop', 5, created_at FROM requests;
INSERT INTO qwen_credentials (token, cookies, expires_at) VALUES ('canary-token', 'a=canary-cookie', 4102444800);
INSERT INTO providers VALUES ('mine', 'Mine', 'openai', 1, 10, NULL, 1700000000000, 1700000000000);
INSERT INTO provider_configs (provider_id, key, value, is_sensitive, created_at, updated_at) VALUES
    ('mine', 'baseURL', 'http://127.0.0.1:1/v1', 0, 1700000000000, 1700000000000),
    ('mine', 'apiKey', 'canary-key', 1, 1700000000000, 1700000000000);
INSERT INTO models VALUES ('m', 'M', 'm - Discovered from mine', '"[\"chat\"]"', 1700000000000, 1700000000000);
INSERT INTO provider_models (provider_id, model_id, is_default, created_at, updated_at) VALUES
    ('mine', 'm', 1, 1700000000000, 1700000000000);
INSERT INTO errors (error_id, timestamp, error_type, error_message, severity, created_at) VALUES
    ('error-1', strftime('%s', 'now') * 1000, 'api_error', 'it was away', 'warning', strftime('%s', 'now') * 1000);
