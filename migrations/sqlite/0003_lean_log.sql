-- The request log with fewer index entries per request: they were most of what writing it costs. Its twin is
-- ../postgres/0003_lean_log.sql.

-- How conversations of the router began, so that later requests find their session. It is only appended to, and read from
-- its end into memory: an index on hashes would change another page with every row. The oldest rows go (see the store's
-- `exchanges/openings`).
CREATE TABLE openings (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    hash TEXT NOT NULL,
    session_id TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
INSERT INTO openings (hash, session_id, created_at)
    SELECT conversation_hash, id, created_at FROM sessions
    WHERE source = 'router' AND conversation_hash IS NOT NULL ORDER BY created_at, id;
UPDATE sessions SET conversation_hash = NULL WHERE source = 'router' AND conversation_hash IS NOT NULL;

-- A request has one answer, so the answer takes the request's number, and its session and UUID are the request's.
CREATE TABLE lean_responses (
    id INTEGER NOT NULL PRIMARY KEY REFERENCES requests (id) ON DELETE CASCADE,
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
    created_at INTEGER NOT NULL,
    in_bodies BOOLEAN NOT NULL DEFAULT FALSE
);
INSERT INTO lean_responses (id, timestamp, qwen_response, openai_response, parent_id, completion_tokens, prompt_tokens,
        total_tokens, finish_reason, error, duration_ms, first_byte_ms, status_code, provider_id, attempts, truncated,
        created_at, in_bodies)
    SELECT request_id, timestamp, qwen_response, openai_response, parent_id, completion_tokens, prompt_tokens,
        total_tokens, finish_reason, error, duration_ms, first_byte_ms, status_code, provider_id, attempts, truncated,
        created_at, in_bodies
    FROM responses ORDER BY request_id;
DROP TABLE responses;
ALTER TABLE lean_responses RENAME TO responses;
CREATE INDEX idx_responses_timestamp ON responses (timestamp);
