-- Adds client key and status to the sums by minute and by hour. Its twin is ../postgres/0016_usage_keys.sql.
--
-- From this version on, whoever deletes requests or answers through the store subtracts them, histograms included, in
-- the same transaction: so the sums are those of the rows that are there, as in `usage_hours`. Sums of earlier versions
-- have an empty key and an empty status, because they do not tell either.

-- SQLite cannot change a primary key.
CREATE TABLE usage_sums (
    -- Minutes that a row covers: 1 or 60.
    span INTEGER NOT NULL,
    -- Minutes since 1970 at which the span begins in which the requests arrived.
    minute INTEGER NOT NULL,
    -- The provider that answered, or was the last to try; '' where none was.
    provider_id TEXT NOT NULL,
    model TEXT NOT NULL,
    -- The client key; '' for requests without one. There are no more values than keys.
    key_id TEXT NOT NULL,
    -- How the requests ended.
    status TEXT NOT NULL,
    requests INTEGER NOT NULL,
    -- Requests with an error.
    errors INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    -- The sum of the known costs, in nano-dollars.
    cost_nanos INTEGER NOT NULL,
    -- Histograms of the durations and of the times to the first byte: `bucket:count`, separated by commas.
    durations TEXT NOT NULL,
    first_bytes TEXT NOT NULL,
    PRIMARY KEY (span, minute, provider_id, model, key_id, status)
) WITHOUT ROWID;
INSERT INTO usage_sums (span, minute, provider_id, model, key_id, status, requests, errors, prompt_tokens,
        completion_tokens, cost_nanos, durations, first_bytes)
    SELECT span, minute, provider_id, model, '', '', requests, errors, prompt_tokens, completion_tokens, cost_nanos,
        durations, first_bytes
    FROM usage_minutes;
DROP TABLE usage_minutes;
ALTER TABLE usage_sums RENAME TO usage_minutes;
