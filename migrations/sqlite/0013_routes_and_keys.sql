-- Adds routes, keys of clients, and what the request log says of both. Its twin is ../postgres/0013_routes_and_keys.sql.
--
-- New columns have no default, so that this takes as long with millions of rows as with none.

-- Routes: the targets that serve a public model name.
CREATE TABLE routes (
    id TEXT NOT NULL PRIMARY KEY,
    -- The public name of the model; a `*` matches any characters.
    model TEXT NOT NULL UNIQUE,
    enabled BOOLEAN NOT NULL DEFAULT TRUE,
    -- The targets and the policy, a JSON object.
    document TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE TRIGGER catalog_routes_insert AFTER INSERT ON routes
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_routes_update AFTER UPDATE ON routes
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_routes_delete AFTER DELETE ON routes
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER audit_routes_insert AFTER INSERT ON routes
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'created', 'route', NEW.id,
           NULL,
           json_object('model', NEW.model, 'enabled', json(CASE NEW.enabled WHEN 0 THEN 'false' ELSE 'true' END), 'document', NEW.document),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_routes_update AFTER UPDATE ON routes
WHEN OLD.model IS NOT NEW.model OR OLD.enabled IS NOT NEW.enabled OR OLD.document IS NOT NEW.document
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'updated', 'route', NEW.id,
           json_object('model', OLD.model, 'enabled', json(CASE OLD.enabled WHEN 0 THEN 'false' ELSE 'true' END), 'document', OLD.document),
           json_object('model', NEW.model, 'enabled', json(CASE NEW.enabled WHEN 0 THEN 'false' ELSE 'true' END), 'document', NEW.document),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_routes_delete AFTER DELETE ON routes
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'deleted', 'route', OLD.id,
           json_object('model', OLD.model, 'enabled', json(CASE OLD.enabled WHEN 0 THEN 'false' ELSE 'true' END), 'document', OLD.document),
           NULL,
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;

-- Keys of clients. A key itself is not stored, only its SHA-256, which never appears in the audit log.
CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- The first characters of the key.
    hint TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    -- The digest before the last rotation, which is valid until `previous_expires_at`.
    previous_digest TEXT,
    previous_expires_at INTEGER,
    -- The permissions and limits, a JSON object.
    document TEXT NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE TRIGGER catalog_api_keys_insert AFTER INSERT ON api_keys
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_api_keys_update AFTER UPDATE ON api_keys
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_api_keys_delete AFTER DELETE ON api_keys
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER audit_api_keys_insert AFTER INSERT ON api_keys
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'created', 'key', NEW.id,
           NULL,
           json_object('name', NEW.name, 'hint', NEW.hint, 'document', NEW.document, 'previous_expires_at', NEW.previous_expires_at, 'expires_at', NEW.expires_at, 'revoked_at', NEW.revoked_at),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_api_keys_update AFTER UPDATE ON api_keys
WHEN OLD.name IS NOT NEW.name OR OLD.hint IS NOT NEW.hint OR OLD.document IS NOT NEW.document OR OLD.previous_expires_at IS NOT NEW.previous_expires_at OR OLD.expires_at IS NOT NEW.expires_at OR OLD.revoked_at IS NOT NEW.revoked_at OR OLD.digest IS NOT NEW.digest
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'updated', 'key', NEW.id,
           json_object('name', OLD.name, 'hint', OLD.hint, 'document', OLD.document, 'previous_expires_at', OLD.previous_expires_at, 'expires_at', OLD.expires_at, 'revoked_at', OLD.revoked_at),
           json_object('name', NEW.name, 'hint', NEW.hint, 'document', NEW.document, 'previous_expires_at', NEW.previous_expires_at, 'expires_at', NEW.expires_at, 'revoked_at', NEW.revoked_at),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_api_keys_delete AFTER DELETE ON api_keys
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'deleted', 'key', OLD.id,
           json_object('name', OLD.name, 'hint', OLD.hint, 'document', OLD.document, 'previous_expires_at', OLD.previous_expires_at, 'expires_at', OLD.expires_at, 'revoked_at', OLD.revoked_at),
           NULL,
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;

-- The key that a request was authenticated with; NULL if it was none of `api_keys`. The id outlives the key.
ALTER TABLE requests ADD COLUMN key_id TEXT;
-- The order in which targets were tried, and the attempts: a JSON object.
ALTER TABLE responses ADD COLUMN plan TEXT;

-- The sums of the requests of each key, by hour. Deleting requests does not change them: what was spent stays spent.
CREATE TABLE key_hours (
    -- Hours since 1970 in which the requests arrived.
    hour INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    model TEXT NOT NULL,
    requests INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    -- The sum of the known costs, in nano-dollars.
    cost_nanos INTEGER NOT NULL,
    PRIMARY KEY (hour, key_id, model)
);
