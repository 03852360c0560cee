-- The first schema. Its twin is ../postgres/0001_first_schema.sql: same tables, same columns.
--
-- Types are those both databases share: TEXT (also for JSON), INTEGER of 64 bits, BOOLEAN. Times are Unix milliseconds in
-- UTC unless a comment says otherwise. A unique constraint is an index already, so no second one repeats its columns.

-- What may change while everything runs.
CREATE TABLE settings (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at INTEGER NOT NULL
);

-- Facts about the database itself.
CREATE TABLE metadata (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at INTEGER NOT NULL
);

-- Conversations. `source` names the service that owns a row: 'router' or 'qwen-proxy'.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    chat_id TEXT NOT NULL,
    parent_id TEXT,
    first_user_message TEXT NOT NULL,
    message_count INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    last_accessed INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    conversation_hash TEXT,
    user_id TEXT,
    source TEXT NOT NULL DEFAULT 'router'
);
CREATE INDEX idx_sessions_created_at ON sessions (created_at);
CREATE INDEX idx_sessions_last_accessed ON sessions (last_accessed);
CREATE INDEX idx_sessions_expires_at ON sessions (expires_at);
CREATE INDEX idx_sessions_conversation_hash ON sessions (conversation_hash, created_at) WHERE conversation_hash IS NOT NULL;
CREATE INDEX idx_sessions_user_id ON sessions (user_id) WHERE user_id IS NOT NULL;

-- What was asked.
CREATE TABLE requests (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    request_id TEXT NOT NULL UNIQUE,
    timestamp INTEGER NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    openai_request TEXT NOT NULL,
    qwen_request TEXT NOT NULL,
    model TEXT NOT NULL,
    stream BOOLEAN NOT NULL,
    status TEXT NOT NULL,
    provider_id TEXT,
    source TEXT NOT NULL DEFAULT 'router',
    created_at INTEGER NOT NULL
);
CREATE INDEX idx_requests_session_id ON requests (session_id, timestamp);
CREATE INDEX idx_requests_timestamp ON requests (timestamp);

-- What was answered, once per request.
CREATE TABLE responses (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    request_id INTEGER NOT NULL UNIQUE REFERENCES requests (id) ON DELETE CASCADE,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    response_id TEXT NOT NULL UNIQUE,
    timestamp INTEGER NOT NULL,
    qwen_response TEXT,
    openai_response TEXT,
    parent_id TEXT,
    completion_tokens INTEGER,
    prompt_tokens INTEGER,
    total_tokens INTEGER,
    finish_reason TEXT,
    error TEXT,
    duration_ms INTEGER,
    first_byte_ms INTEGER,
    status_code INTEGER,
    provider_id TEXT,
    attempts INTEGER NOT NULL DEFAULT 1,
    truncated BOOLEAN NOT NULL DEFAULT FALSE,
    created_at INTEGER NOT NULL
);
CREATE INDEX idx_responses_session_id ON responses (session_id, timestamp);
CREATE INDEX idx_responses_timestamp ON responses (timestamp);

-- The login at chat.qwen.ai. Its three times are Unix seconds, as in the original.
CREATE TABLE qwen_credentials (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    token TEXT NOT NULL,
    cookies TEXT NOT NULL,
    expires_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

-- Who answers requests.
CREATE TABLE providers (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    enabled BOOLEAN NOT NULL DEFAULT TRUE,
    priority INTEGER NOT NULL DEFAULT 0,
    description TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

-- How to reach them. `value` is JSON text.
CREATE TABLE provider_configs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    provider_id TEXT NOT NULL REFERENCES providers (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    is_sensitive BOOLEAN NOT NULL DEFAULT FALSE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (provider_id, key)
);

-- The names that requests may ask for. `capabilities` is a JSON array.
CREATE TABLE models (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT,
    capabilities TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

-- Which provider serves which model. `config` is a JSON object.
CREATE TABLE provider_models (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    provider_id TEXT NOT NULL REFERENCES providers (id) ON DELETE CASCADE,
    model_id TEXT NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    is_default BOOLEAN NOT NULL DEFAULT FALSE,
    config TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (provider_id, model_id)
);
CREATE INDEX idx_provider_models_model_id ON provider_models (model_id);
CREATE UNIQUE INDEX idx_provider_models_default ON provider_models (provider_id) WHERE is_default;

-- What went wrong inside qwen-proxy.
CREATE TABLE errors (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    error_id TEXT NOT NULL UNIQUE,
    timestamp INTEGER NOT NULL,
    error_type TEXT NOT NULL,
    error_code TEXT,
    error_message TEXT NOT NULL,
    stack_trace TEXT,
    session_id TEXT REFERENCES sessions (id) ON DELETE SET NULL,
    request_id INTEGER REFERENCES requests (id) ON DELETE SET NULL,
    endpoint TEXT,
    method TEXT,
    user_agent TEXT,
    request_payload TEXT,
    response_payload TEXT,
    severity TEXT NOT NULL,
    resolved BOOLEAN NOT NULL DEFAULT FALSE,
    notes TEXT,
    created_at INTEGER NOT NULL
);
CREATE INDEX idx_errors_timestamp ON errors (timestamp);
-- Without these two, deleting a session or a request would read the whole table.
CREATE INDEX idx_errors_session_id ON errors (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX idx_errors_request_id ON errors (request_id) WHERE request_id IS NOT NULL;

-- One row, whose number changes with every committed change of the catalogue, whoever makes it. The router reads it
-- every second to learn whether its snapshot is stale; triggers keep it, so that no writer can forget.
CREATE TABLE catalog_version (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
);
INSERT INTO catalog_version (id, version) VALUES (1, 1);

CREATE TRIGGER catalog_providers_insert AFTER INSERT ON providers
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_providers_update AFTER UPDATE ON providers
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_providers_delete AFTER DELETE ON providers
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_provider_configs_insert AFTER INSERT ON provider_configs
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_provider_configs_update AFTER UPDATE ON provider_configs
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_provider_configs_delete AFTER DELETE ON provider_configs
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_models_insert AFTER INSERT ON models
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_models_update AFTER UPDATE ON models
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_models_delete AFTER DELETE ON models
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_provider_models_insert AFTER INSERT ON provider_models
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_provider_models_update AFTER UPDATE ON provider_models
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_provider_models_delete AFTER DELETE ON provider_models
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_settings_insert AFTER INSERT ON settings
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_settings_update AFTER UPDATE ON settings
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_settings_delete AFTER DELETE ON settings
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
