-- Adds the costs of requests to the request log. Its twin is ../sqlite/0012_costs.sql.
--
-- Columns without a default, and those with a constant, change only the schema: this takes as long with millions of
-- rows as with none. Rows of earlier versions have no cost, and do not count as unpriced.

-- The cost in nano-dollars (10⁻⁹ dollars); NULL if it is unknown, which is not zero.
ALTER TABLE responses ADD COLUMN cost_nanos BIGINT;
-- 'reported' by the provider, 'computed' from the tokens and the price table, or 'unknown: ' and a word for the reason;
-- NULL if no provider answered.
ALTER TABLE responses ADD COLUMN cost_origin TEXT;
-- The version of the price table that was used.
ALTER TABLE responses ADD COLUMN price_version TEXT;

-- The sum of the known costs.
ALTER TABLE usage_hours ADD COLUMN cost_nanos BIGINT NOT NULL DEFAULT 0;
-- Answers whose cost is unknown.
ALTER TABLE usage_hours ADD COLUMN unpriced BIGINT NOT NULL DEFAULT 0;

-- Replaces the functions of 0006_usage.sql, which subtract deleted rows.
CREATE OR REPLACE FUNCTION uncount_request() RETURNS trigger LANGUAGE plpgsql AS $$
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
            - COALESCE((SELECT responses.duration_ms FROM responses WHERE id = OLD.id), 0),
        cost_nanos = usage_hours.cost_nanos
            - COALESCE((SELECT responses.cost_nanos FROM responses WHERE id = OLD.id), 0),
        unpriced = usage_hours.unpriced
            - (SELECT COUNT(cost_origin) FROM responses WHERE id = OLD.id AND responses.cost_nanos IS NULL)
    WHERE hour = OLD.timestamp / 3600000 AND provider_id = COALESCE(OLD.provider_id, '') AND model = OLD.model
        AND status = OLD.status;
    DELETE FROM usage_hours
    WHERE hour = OLD.timestamp / 3600000 AND provider_id = COALESCE(OLD.provider_id, '') AND model = OLD.model
        AND status = OLD.status AND requests <= 0;
    RETURN OLD;
END
$$;

CREATE OR REPLACE FUNCTION uncount_response() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE usage_hours SET answers = answers - 1,
        errors = errors - CASE WHEN OLD.error IS NULL THEN 0 ELSE 1 END,
        prompt_tokens = prompt_tokens - COALESCE(OLD.prompt_tokens, 0),
        completion_tokens = completion_tokens - COALESCE(OLD.completion_tokens, 0),
        total_tokens = total_tokens - COALESCE(OLD.total_tokens, 0),
        timed = timed - CASE WHEN OLD.duration_ms IS NULL THEN 0 ELSE 1 END,
        duration_ms = duration_ms - COALESCE(OLD.duration_ms, 0),
        cost_nanos = cost_nanos - COALESCE(OLD.cost_nanos, 0),
        unpriced = unpriced - CASE WHEN OLD.cost_origin IS NOT NULL AND OLD.cost_nanos IS NULL THEN 1 ELSE 0 END
    WHERE (hour, provider_id, model, status) = (
        SELECT timestamp / 3600000, COALESCE(requests.provider_id, ''), requests.model, requests.status
        FROM requests WHERE id = OLD.id);
    RETURN NULL;
END
$$;

-- The operator's overrides of the shipped prices: one row, whose id is 'api'. The router reads it with the catalogue.
CREATE TABLE price_layers (
    id TEXT COLLATE "C" NOT NULL CONSTRAINT "price_layers.id" PRIMARY KEY,
    -- A JSON document of prices without mistakes.
    document TEXT NOT NULL,
    -- When it was written, in Unix milliseconds.
    updated_at BIGINT NOT NULL
);
CREATE TRIGGER catalog_price_layers AFTER INSERT OR UPDATE OR DELETE ON price_layers
    FOR EACH ROW EXECUTE FUNCTION bump_catalog_version();
CREATE TRIGGER catalog_price_layers_truncate AFTER TRUNCATE ON price_layers
    FOR EACH STATEMENT EXECUTE FUNCTION bump_catalog_version();
CREATE TRIGGER audit_price_layers AFTER INSERT OR UPDATE OR DELETE ON price_layers
    FOR EACH ROW EXECUTE FUNCTION audit_change('prices');
