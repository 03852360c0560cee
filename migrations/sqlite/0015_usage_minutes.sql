-- What the request log adds up to, by minute and by hour, with histograms; and which requests repeat others. Its twin is ../postgres/0015_usage_minutes.sql.

-- The loader adds a batch's requests that have ended in the batch's transaction. Deleting requests does not change the
-- sums. Retention deletes minutes after 31 days, and hours after 400.
CREATE TABLE usage_minutes (
    -- Minutes that a row covers: 1 or 60.
    span INTEGER NOT NULL,
    -- Minutes since 1970 at which the span begins in which the requests arrived.
    minute INTEGER NOT NULL,
    -- The provider that answered, or was the last to try; '' where none was.
    provider_id TEXT NOT NULL,
    model TEXT NOT NULL,
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
    PRIMARY KEY (span, minute, provider_id, model)
) WITHOUT ROWID;
-- Earlier hours have no histograms, and minutes begin now.
INSERT INTO usage_minutes (span, minute, provider_id, model, requests, errors, prompt_tokens, completion_tokens,
        cost_nanos, durations, first_bytes)
    SELECT 60, hour * 60, provider_id, model, SUM(answers), SUM(errors), SUM(prompt_tokens), SUM(completion_tokens),
        SUM(cost_nanos), '', ''
    FROM usage_hours GROUP BY hour, provider_id, model HAVING SUM(answers) > 0;

-- Requests that repeat a logged one, by their UUIDs. A row may be written before the request itself.
CREATE TABLE replays (
    request_id TEXT NOT NULL PRIMARY KEY,
    replay_of TEXT NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER replays_delete AFTER DELETE ON requests
BEGIN DELETE FROM replays WHERE request_id = OLD.request_id; END;
