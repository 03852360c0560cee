-- What the request log adds up to, by hour. Its twin is ../postgres/0006_usage.sql.

-- Sums of `requests` and `responses`, so that totals and figures need not read millions of rows. The loader adds a batch's
-- sums in the batch's transaction (see the store's `exchanges/sums`); what is deleted, the triggers below subtract, whoever
-- deletes it. So the sums are at every moment those of the rows that are there.
CREATE TABLE usage_hours (
    -- Hours since 1970 in which the requests arrived.
    hour INTEGER NOT NULL,
    -- The provider that answered, or was the last to try; '' where none was.
    provider_id TEXT NOT NULL,
    model TEXT NOT NULL,
    status TEXT NOT NULL,
    requests INTEGER NOT NULL,
    answers INTEGER NOT NULL,
    -- Answers that are errors.
    errors INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    total_tokens INTEGER NOT NULL,
    -- Answers whose duration is known, and how long they took together, in milliseconds.
    timed INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    PRIMARY KEY (hour, provider_id, model, status)
);
INSERT INTO usage_hours (hour, provider_id, model, status, requests, answers, errors, prompt_tokens, completion_tokens,
        total_tokens, timed, duration_ms)
    SELECT requests.timestamp / 3600000, COALESCE(requests.provider_id, ''), requests.model, requests.status,
        COUNT(*), COUNT(responses.id), COUNT(responses.error), COALESCE(SUM(responses.prompt_tokens), 0),
        COALESCE(SUM(responses.completion_tokens), 0), COALESCE(SUM(responses.total_tokens), 0),
        COUNT(responses.duration_ms), COALESCE(SUM(responses.duration_ms), 0)
    FROM requests LEFT JOIN responses ON responses.id = requests.id
    GROUP BY 1, 2, 3, 4;

-- Before, because the answer goes with the request, and is still there now.
CREATE TRIGGER usage_requests_delete BEFORE DELETE ON requests
BEGIN
    UPDATE usage_hours SET requests = requests - 1,
        answers = answers - (SELECT COUNT(*) FROM responses WHERE id = OLD.id),
        errors = errors - (SELECT COUNT(error) FROM responses WHERE id = OLD.id),
        prompt_tokens = prompt_tokens - COALESCE((SELECT prompt_tokens FROM responses WHERE id = OLD.id), 0),
        completion_tokens = completion_tokens - COALESCE((SELECT completion_tokens FROM responses WHERE id = OLD.id), 0),
        total_tokens = total_tokens - COALESCE((SELECT total_tokens FROM responses WHERE id = OLD.id), 0),
        timed = timed - (SELECT COUNT(duration_ms) FROM responses WHERE id = OLD.id),
        duration_ms = duration_ms - COALESCE((SELECT duration_ms FROM responses WHERE id = OLD.id), 0)
    WHERE hour = OLD.timestamp / 3600000 AND provider_id = COALESCE(OLD.provider_id, '') AND model = OLD.model
        AND status = OLD.status;
    DELETE FROM usage_hours
    WHERE hour = OLD.timestamp / 3600000 AND provider_id = COALESCE(OLD.provider_id, '') AND model = OLD.model
        AND status = OLD.status AND requests <= 0;
END;

-- An answer that is deleted alone; with its request it was subtracted above, and the request is gone now.
CREATE TRIGGER usage_responses_delete AFTER DELETE ON responses
WHEN EXISTS (SELECT 1 FROM requests WHERE id = OLD.id)
BEGIN
    UPDATE usage_hours SET answers = answers - 1, errors = errors - (OLD.error IS NOT NULL),
        prompt_tokens = prompt_tokens - COALESCE(OLD.prompt_tokens, 0),
        completion_tokens = completion_tokens - COALESCE(OLD.completion_tokens, 0),
        total_tokens = total_tokens - COALESCE(OLD.total_tokens, 0),
        timed = timed - (OLD.duration_ms IS NOT NULL), duration_ms = duration_ms - COALESCE(OLD.duration_ms, 0)
    WHERE (hour, provider_id, model, status) = (
        SELECT timestamp / 3600000, COALESCE(provider_id, ''), model, status FROM requests WHERE id = OLD.id);
END;
