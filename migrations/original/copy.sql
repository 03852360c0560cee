-- Copies all rows from the tables of the Node.js version, which have been renamed to original_*, to the current tables.
-- SQLite only, because the Node.js version supported no other database.
--
-- At this point, every table has all columns of the last schema of the Node.js version; columns missing in older states
-- are NULL. Times in the current tables are Unix milliseconds, except for logins at chat.qwen.ai; the Node.js version
-- mixed seconds and milliseconds, which are distinguished by the threshold 10^11.

CREATE INDEX original_responses_request_id ON original_responses (request_id);

INSERT INTO metadata (key, value, updated_at)
    SELECT 'original.' || key, value, CASE WHEN updated_at < 100000000000 THEN updated_at * 1000 ELSE updated_at END
    FROM original_metadata;
INSERT INTO metadata (key, value, updated_at)
    SELECT 'original.router.' || version, COALESCE(applied_at, ''), COALESCE(applied_at, 0) * 1000 FROM original_schema_version;

-- Providers and models -------------------------------------------------------------------------------------------------

INSERT INTO providers (id, name, type, enabled, priority, description, created_at, updated_at)
    SELECT id, name, type, COALESCE(enabled, 1) IN (1, 'true'), COALESCE(priority, 0), description, created_at, updated_at
    FROM original_providers;

-- The Node.js version did not mark cookies as sensitive.
INSERT INTO provider_configs (id, provider_id, key, value, is_sensitive, created_at, updated_at)
    SELECT id, provider_id, key, value,
        COALESCE(is_sensitive, 0) IN (1, 'true') OR lower(key) LIKE '%key%' OR lower(key) LIKE '%secret%'
            OR lower(key) LIKE '%password%' OR lower(key) LIKE '%token%' OR lower(key) LIKE '%cookie%'
            OR lower(key) LIKE '%authorization%' OR lower(key) LIKE '%headers%' OR lower(key) LIKE '%webhook%',
        created_at, updated_at
    FROM original_provider_configs
    -- The Node.js version stored the mask of a secret in place of the secret when a form was saved unchanged.
    WHERE provider_id IN (SELECT id FROM providers) AND value NOT IN ('***MASKED***', '"***MASKED***"');

INSERT INTO models (id, name, description, capabilities, created_at, updated_at)
    SELECT id, name, description, capabilities, created_at, updated_at FROM original_models;

-- In the current schema, a provider has at most one default.
INSERT INTO provider_models (id, provider_id, model_id, is_default, config, created_at, updated_at)
    SELECT id, provider_id, model_id,
        id = (SELECT MIN(other.id) FROM original_provider_models AS other
              WHERE other.provider_id = link.provider_id AND COALESCE(other.is_default, 0) IN (1, 'true')) IS TRUE,
        config, created_at, updated_at
    FROM original_provider_models AS link
    WHERE provider_id IN (SELECT id FROM providers) AND model_id IN (SELECT id FROM models);

-- Settings -------------------------------------------------------------------------------------------------------------

-- The Node.js version stored integers as 3001.0. It stored its default host for every installation, which would open
-- the router to the network, so that value is kept under another key, like names and texts that are no address.
INSERT INTO settings (key, value, updated_at)
    SELECT CASE WHEN key = 'server.host' AND value <> 'localhost' AND (value IN ('0.0.0.0', '::') OR value GLOB '*[^0-9a-fA-F.:]*')
             THEN 'original.server.host' ELSE key END,
        CASE WHEN value GLOB '[0-9]*.0' AND substr(value, 1, length(value) - 2) NOT GLOB '*[^0-9]*'
             THEN substr(value, 1, length(value) - 2) ELSE value END,
        CASE WHEN updated_at < 100000000000 THEN updated_at * 1000 ELSE updated_at END
    FROM original_settings WHERE key IS NOT NULL;

-- The first schema stored a provider type in place of the provider id.
UPDATE settings SET value = value || '-default'
    WHERE key = 'active_provider' AND value NOT IN (SELECT id FROM providers)
        AND value || '-default' IN (SELECT id FROM providers);

-- Logins ---------------------------------------------------------------------------------------------------------------

INSERT INTO qwen_credentials (id, token, cookies, expires_at, created_at, updated_at, label, active)
    SELECT id, token, cookies,
        CASE WHEN expires_at >= 100000000000 THEN expires_at / 1000 ELSE expires_at END,
        CASE WHEN created_at >= 100000000000 THEN created_at / 1000 ELSE created_at END,
        CASE WHEN updated_at >= 100000000000 THEN updated_at / 1000 ELSE updated_at END,
        CASE WHEN id = (SELECT MAX(id) FROM original_qwen_credentials) THEN 'default' ELSE 'login ' || id END,
        id = (SELECT MAX(id) FROM original_qwen_credentials)
    FROM original_qwen_credentials;

-- The request log ------------------------------------------------------------------------------------------------------

INSERT INTO sessions (id, chat_id, parent_id, first_user_message, message_count, created_at, last_accessed, expires_at,
        conversation_hash, user_id, source)
    SELECT id, chat_id, parent_id, first_user_message, COALESCE(message_count, 0), created_at, last_accessed, expires_at,
        conversation_hash, user_id, CASE WHEN id LIKE 'simple-session-%' THEN 'router' ELSE 'qwen-proxy' END
    FROM original_sessions;

-- Requests and responses whose session is missing get a new session.
INSERT INTO sessions (id, chat_id, first_user_message, message_count, created_at, last_accessed, expires_at, source)
    SELECT session_id, session_id, '', COUNT(*), MIN(timestamp), MAX(timestamp), MAX(timestamp), 'qwen-proxy'
    FROM (SELECT session_id, timestamp FROM original_requests UNION ALL SELECT session_id, timestamp FROM original_responses)
    WHERE session_id NOT IN (SELECT id FROM sessions) GROUP BY session_id;

INSERT INTO requests (id, session_id, request_id, timestamp, method, path, request_body, upstream_request, model, stream,
        status, source, created_at)
    SELECT asked.id, asked.session_id, asked.request_id, asked.timestamp, asked.method, asked.path, asked.openai_request,
        asked.qwen_request, asked.model, COALESCE(asked.stream, 0) IN (1, 'true'),
        CASE WHEN answered.id IS NULL THEN 'interrupted' WHEN answered.error IS NOT NULL THEN 'failed' ELSE 'completed' END,
        CASE WHEN asked.session_id LIKE 'simple-session-%' THEN 'router' ELSE 'qwen-proxy' END, asked.created_at
    FROM original_requests AS asked LEFT JOIN original_responses AS answered
        ON answered.id = (SELECT MAX(id) FROM original_responses WHERE request_id = asked.id);

INSERT INTO responses (id, timestamp, upstream_response, response_body, parent_id, completion_tokens, prompt_tokens,
        total_tokens, finish_reason, error, duration_ms, created_at)
    SELECT request_id, timestamp, qwen_response, openai_response, parent_id, completion_tokens, prompt_tokens, total_tokens,
        finish_reason, error, duration_ms, created_at
    FROM original_responses AS answered
    WHERE request_id IN (SELECT id FROM original_requests)
        AND id = (SELECT MAX(id) FROM original_responses WHERE request_id = answered.request_id);

-- In the current schema, a request has one answer: each further answer, and each answer without a request, gets its own
-- request.
INSERT INTO requests (session_id, request_id, timestamp, method, path, request_body, upstream_request, model, stream, status,
        source, created_at)
    SELECT answered.session_id, 'response-' || answered.response_id, answered.timestamp, COALESCE(asked.method, 'POST'),
        COALESCE(asked.path, '/v1/chat/completions'), COALESCE(asked.openai_request, 'null'),
        COALESCE(asked.qwen_request, 'null'), COALESCE(asked.model, 'unknown'), COALESCE(asked.stream, 0) IN (1, 'true'),
        CASE WHEN answered.error IS NULL THEN 'completed' ELSE 'failed' END,
        CASE WHEN answered.session_id LIKE 'simple-session-%' THEN 'router' ELSE 'qwen-proxy' END, answered.created_at
    FROM original_responses AS answered LEFT JOIN original_requests AS asked ON asked.id = answered.request_id
    WHERE asked.id IS NULL
        OR answered.id <> (SELECT MAX(id) FROM original_responses WHERE request_id = answered.request_id)
    ORDER BY answered.id;

INSERT INTO responses (id, timestamp, upstream_response, response_body, parent_id, completion_tokens, prompt_tokens,
        total_tokens, finish_reason, error, duration_ms, created_at)
    SELECT made.id, answered.timestamp, answered.qwen_response, answered.openai_response, answered.parent_id,
        answered.completion_tokens, answered.prompt_tokens, answered.total_tokens, answered.finish_reason, answered.error,
        answered.duration_ms, answered.created_at
    FROM original_responses AS answered JOIN requests AS made ON made.request_id = 'response-' || answered.response_id;

-- The oldest state has a single table for the whole log. Rows that a later state has already imported are skipped.
INSERT INTO sessions (id, chat_id, first_user_message, message_count, created_at, last_accessed, expires_at, source)
    SELECT 'request-log-' || request_id, 'request-log-' || request_id, 'Request to ' || endpoint, 1, created_at * 1000,
        created_at * 1000, created_at * 1000, 'router'
    FROM original_request_logs WHERE request_id NOT IN (SELECT request_id FROM requests);

INSERT INTO requests (session_id, request_id, timestamp, method, path, request_body, upstream_request, model, stream, status,
        provider_id, source, created_at)
    SELECT 'request-log-' || request_id, request_id, created_at * 1000, method, endpoint, COALESCE(request_body, 'null'),
        'null', COALESCE(CASE WHEN json_valid(request_body) THEN json_extract(request_body, '$.model') END, 'unknown'),
        COALESCE(CASE WHEN json_valid(request_body) THEN json_extract(request_body, '$.stream') END, 0) = 1,
        CASE WHEN error IS NOT NULL OR status_code >= 400 THEN 'failed'
             WHEN status_code IS NULL AND response_body IS NULL THEN 'interrupted' ELSE 'completed' END,
        provider, 'router', created_at * 1000
    FROM original_request_logs WHERE request_id NOT IN (SELECT request_id FROM requests) ORDER BY id;

INSERT INTO responses (id, timestamp, response_body, error, duration_ms, status_code, provider_id, created_at)
    SELECT made.id, made.timestamp + COALESCE(logged.duration_ms, 0), logged.response_body, logged.error, logged.duration_ms,
        logged.status_code, logged.provider, made.timestamp
    FROM original_request_logs AS logged JOIN requests AS made ON made.request_id = logged.request_id
    WHERE made.session_id = 'request-log-' || logged.request_id AND made.status <> 'interrupted';

INSERT INTO errors (id, error_id, timestamp, error_type, error_code, error_message, stack_trace, session_id, request_id,
        endpoint, method, user_agent, request_payload, response_payload, severity, resolved, notes, created_at)
    SELECT id, error_id, timestamp, error_type, error_code, error_message, stack_trace,
        CASE WHEN session_id IN (SELECT id FROM sessions) THEN session_id END,
        CASE WHEN request_id IN (SELECT id FROM original_requests) THEN request_id END,
        endpoint, method, user_agent, request_payload, response_payload, severity, COALESCE(resolved, 0) IN (1, 'true'), notes,
        created_at
    FROM original_errors;

-- Computes the hourly sums of 0006_usage.sql: usually the loader adds the sums of the rows it writes, but these rows
-- were copied.
INSERT INTO usage_hours (hour, provider_id, model, status, requests, answers, errors, prompt_tokens, completion_tokens,
        total_tokens, timed, duration_ms)
    SELECT requests.timestamp / 3600000, COALESCE(requests.provider_id, ''), requests.model, requests.status,
        COUNT(*), COUNT(responses.id), COUNT(responses.error), COALESCE(SUM(responses.prompt_tokens), 0),
        COALESCE(SUM(responses.completion_tokens), 0), COALESCE(SUM(responses.total_tokens), 0),
        COUNT(responses.duration_ms), COALESCE(SUM(responses.duration_ms), 0)
    FROM requests LEFT JOIN responses ON responses.id = requests.id
    GROUP BY 1, 2, 3, 4;
-- Likewise those of 0016_usage_keys.sql, without histograms.
INSERT INTO usage_minutes (span, minute, provider_id, model, key_id, status, requests, errors, prompt_tokens,
        completion_tokens, cost_nanos, durations, first_bytes)
    SELECT 60, hour * 60, provider_id, model, '', status, requests, errors, prompt_tokens, completion_tokens, cost_nanos,
        '', ''
    FROM usage_hours WHERE status <> 'pending';

-- Referencing tables are dropped first.
DROP TABLE original_errors;
DROP TABLE original_responses;
DROP TABLE original_requests;
DROP TABLE original_sessions;
DROP TABLE original_request_logs;
DROP TABLE original_qwen_credentials;
DROP TABLE original_provider_models;
DROP TABLE original_provider_configs;
DROP TABLE original_models;
DROP TABLE original_providers;
DROP TABLE original_settings;
DROP TABLE original_metadata;
DROP TABLE original_schema_version;
