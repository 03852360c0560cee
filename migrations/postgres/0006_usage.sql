-- What the request log adds up to, by hour. Its twin is ../sqlite/0006_usage.sql.

-- Sums of `requests` and `responses`, so that totals and figures need not read millions of rows. The loader adds a batch's
-- sums in the batch's transaction (see the store's `exchanges/sums`); what is deleted, the triggers below subtract, whoever
-- deletes it. So the sums are at every moment those of the rows that are there.
CREATE TABLE usage_hours (
    -- Hours since 1970 in which the requests arrived.
    hour BIGINT NOT NULL,
    -- The provider that answered, or was the last to try; '' where none was.
    provider_id TEXT COLLATE "C" NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    requests BIGINT NOT NULL,
    answers BIGINT NOT NULL,
    -- Answers that are errors.
    errors BIGINT NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    total_tokens BIGINT NOT NULL,
    -- Answers whose duration is known, and how long they took together, in milliseconds.
    timed BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    CONSTRAINT "usage_hours.hour, usage_hours.provider_id, usage_hours.model, usage_hours.status"
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

CREATE FUNCTION uncount_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE usage_hours SET requests = requests - 1,
        answers = answers - (SELECT COUNT(*) FROM responses WHERE id = OLD.id),
        errors = errors - (SELECT COUNT(error) FROM responses WHERE id = OLD.id),
        prompt_tokens = usage_hours.prompt_tokens
            - COALESCE((SELECT responses.prompt_tokens FROM responses WHERE id = OLD.id), 0),
        completion_tokens = usage_hours.completion_tokens
            - COALESCE((SELECT responses.completion_tokens FROM responses WHERE id = OLD.id), 0),
        total_tokens = usage_hours.total_tokens
            - COALESCE((SELECT responses.total_tokens FROM responses WHERE id = OLD.id), 0),
        timed = timed - (SELECT COUNT(responses.duration_ms) FROM responses WHERE id = OLD.id),
        duration_ms = usage_hours.duration_ms
            - COALESCE((SELECT responses.duration_ms FROM responses WHERE id = OLD.id), 0)
    WHERE hour = OLD.timestamp / 3600000 AND provider_id = COALESCE(OLD.provider_id, '') AND model = OLD.model
        AND status = OLD.status;
    DELETE FROM usage_hours
    WHERE hour = OLD.timestamp / 3600000 AND provider_id = COALESCE(OLD.provider_id, '') AND model = OLD.model
        AND status = OLD.status AND requests <= 0;
    RETURN OLD;
END
$$;

CREATE FUNCTION uncount_response() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE usage_hours SET answers = answers - 1,
        errors = errors - CASE WHEN OLD.error IS NULL THEN 0 ELSE 1 END,
        prompt_tokens = prompt_tokens - COALESCE(OLD.prompt_tokens, 0),
        completion_tokens = completion_tokens - COALESCE(OLD.completion_tokens, 0),
        total_tokens = total_tokens - COALESCE(OLD.total_tokens, 0),
        timed = timed - CASE WHEN OLD.duration_ms IS NULL THEN 0 ELSE 1 END,
        duration_ms = duration_ms - COALESCE(OLD.duration_ms, 0)
    WHERE (hour, provider_id, model, status) = (
        SELECT timestamp / 3600000, COALESCE(requests.provider_id, ''), requests.model, requests.status
        FROM requests WHERE id = OLD.id);
    RETURN NULL;
END
$$;

-- Before, because the answer goes with the request, and is still there now.
CREATE TRIGGER usage_requests_delete BEFORE DELETE ON requests
    FOR EACH ROW EXECUTE FUNCTION uncount_request();
-- An answer that is deleted alone; with its request it was subtracted above, and the request is gone now.
CREATE TRIGGER usage_responses_delete AFTER DELETE ON responses
    FOR EACH ROW EXECUTE FUNCTION uncount_response();

-- With the number, pages are found in the index alone; SQLite's indexes hold it anyway.
DROP INDEX idx_requests_timestamp;
CREATE INDEX idx_requests_timestamp ON requests (timestamp, id);
DROP INDEX idx_responses_timestamp;
CREATE INDEX idx_responses_timestamp ON responses (timestamp, id);
