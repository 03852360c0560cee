-- Adds the costs of requests to the request log. Its twin is ../postgres/0012_costs.sql.
--
-- Columns without a default, and those with a constant, change only the schema: this takes as long with millions of
-- rows as with none. Rows of earlier versions have no cost, and do not count as unpriced.

-- The cost in nano-dollars (10⁻⁹ dollars); NULL if it is unknown, which is not zero.
ALTER TABLE responses ADD COLUMN cost_nanos INTEGER;
-- 'reported' by the provider, 'computed' from the tokens and the price table, or 'unknown: ' and a word for the reason;
-- NULL if no provider answered.
ALTER TABLE responses ADD COLUMN cost_origin TEXT;
-- The version of the price table that was used.
ALTER TABLE responses ADD COLUMN price_version TEXT;

-- The sum of the known costs.
ALTER TABLE usage_hours ADD COLUMN cost_nanos INTEGER NOT NULL DEFAULT 0;
-- Answers whose cost is unknown.
ALTER TABLE usage_hours ADD COLUMN unpriced INTEGER NOT NULL DEFAULT 0;

-- Replaces the triggers of 0006_usage.sql, which subtract deleted rows.
DROP TRIGGER usage_requests_delete;
DROP TRIGGER usage_responses_delete;
-- Runs before the deletion, while the answer, which is deleted with the request, still exists.
CREATE TRIGGER usage_requests_delete BEFORE DELETE ON requests
BEGIN
    UPDATE usage_hours SET requests = requests - 1,
        answers = answers - (SELECT COUNT(*) FROM responses WHERE id = OLD.id),
        errors = errors - (SELECT COUNT(error) FROM responses WHERE id = OLD.id),
        prompt_tokens = prompt_tokens - COALESCE((SELECT prompt_tokens FROM responses WHERE id = OLD.id), 0),
        completion_tokens = completion_tokens - COALESCE((SELECT completion_tokens FROM responses WHERE id = OLD.id), 0),
        total_tokens = total_tokens - COALESCE((SELECT total_tokens FROM responses WHERE id = OLD.id), 0),
        timed = timed - (SELECT COUNT(duration_ms) FROM responses WHERE id = OLD.id),
        duration_ms = duration_ms - COALESCE((SELECT duration_ms FROM responses WHERE id = OLD.id), 0),
        cost_nanos = cost_nanos - COALESCE((SELECT cost_nanos FROM responses WHERE id = OLD.id), 0),
        unpriced = unpriced
            - (SELECT COUNT(cost_origin) FROM responses WHERE id = OLD.id AND responses.cost_nanos IS NULL)
    WHERE hour = OLD.timestamp / 3600000 AND provider_id = COALESCE(OLD.provider_id, '') AND model = OLD.model
        AND status = OLD.status;
    DELETE FROM usage_hours
    WHERE hour = OLD.timestamp / 3600000 AND provider_id = COALESCE(OLD.provider_id, '') AND model = OLD.model
        AND status = OLD.status AND requests <= 0;
END;

-- For an answer that is deleted alone. One that is deleted with its request was subtracted above.
CREATE TRIGGER usage_responses_delete AFTER DELETE ON responses
WHEN EXISTS (SELECT 1 FROM requests WHERE id = OLD.id)
BEGIN
    UPDATE usage_hours SET answers = answers - 1, errors = errors - (OLD.error IS NOT NULL),
        prompt_tokens = prompt_tokens - COALESCE(OLD.prompt_tokens, 0),
        completion_tokens = completion_tokens - COALESCE(OLD.completion_tokens, 0),
        total_tokens = total_tokens - COALESCE(OLD.total_tokens, 0),
        timed = timed - (OLD.duration_ms IS NOT NULL), duration_ms = duration_ms - COALESCE(OLD.duration_ms, 0),
        cost_nanos = cost_nanos - COALESCE(OLD.cost_nanos, 0),
        unpriced = unpriced - (OLD.cost_origin IS NOT NULL AND OLD.cost_nanos IS NULL)
    WHERE (hour, provider_id, model, status) = (
        SELECT timestamp / 3600000, COALESCE(provider_id, ''), model, status FROM requests WHERE id = OLD.id);
END;

-- The operator's overrides of the shipped prices: one row, whose id is 'api'. The router reads it with the catalogue.
CREATE TABLE price_layers (
    id TEXT NOT NULL PRIMARY KEY,
    -- A JSON document of prices without mistakes.
    document TEXT NOT NULL,
    -- When it was written, in Unix milliseconds.
    updated_at INTEGER NOT NULL
);
CREATE TRIGGER catalog_price_layers_insert AFTER INSERT ON price_layers
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_price_layers_update AFTER UPDATE ON price_layers
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_price_layers_delete AFTER DELETE ON price_layers
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER audit_price_layers_insert AFTER INSERT ON price_layers
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'created', 'prices', NEW.id,
           NULL,
           json_object('document', NEW.document),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_price_layers_update AFTER UPDATE ON price_layers
WHEN OLD.document IS NOT NEW.document
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'updated', 'prices', NEW.id,
           json_object('document', OLD.document),
           json_object('document', NEW.document),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_price_layers_delete AFTER DELETE ON price_layers
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'deleted', 'prices', OLD.id,
           json_object('document', OLD.document),
           NULL,
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
