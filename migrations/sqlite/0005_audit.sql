-- The audit log: who changed what, and when. Its twin is ../postgres/0005_audit.sql.
--
-- Triggers write it, in the transaction that makes the change, so that no writer can forget it: not the REST API, not the
-- command line, not somebody with a SQL prompt. What is secret is never copied: of what a provider is configured with,
-- only what is known to be none; of a login, only its label and times.

CREATE TABLE audit (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    -- `api:<address>`, `cli:<user>`, `signalbox`; NULL: somebody with a SQL prompt.
    actor TEXT,
    -- 'created', 'updated', 'deleted'; of a request that changed no row below: its method.
    action TEXT NOT NULL,
    -- 'provider', 'provider_config', 'model', 'provider_model', 'setting', 'credential'; of a request: 'request'.
    resource TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    -- JSON objects, without secrets and without times.
    before TEXT,
    after TEXT,
    -- 'done', 'refused' (nothing was changed: the caller is to blame) or 'failed' (we are).
    outcome TEXT NOT NULL,
    -- Of a request: X-Request-ID, the method, the path, and of one that changed no row the status.
    request_id TEXT,
    method TEXT,
    path TEXT,
    status INTEGER
);
CREATE INDEX idx_audit_at ON audit (at);
CREATE INDEX idx_audit_resource ON audit (resource, resource_id, id);
CREATE INDEX idx_audit_request_id ON audit (request_id) WHERE request_id IS NOT NULL;

-- Who acts in a transaction; empty outside of one. SQLite has one writer at a time, so `tx` is 0.
CREATE TABLE audit_actor (
    tx INTEGER NOT NULL PRIMARY KEY,
    actor TEXT NOT NULL,
    request_id TEXT,
    method TEXT,
    path TEXT
);

CREATE TRIGGER audit_providers_insert AFTER INSERT ON providers
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'created', 'provider', NEW.id,
           NULL,
           json_object('name', NEW.name, 'type', NEW.type, 'enabled', json(CASE NEW.enabled WHEN 0 THEN 'false' ELSE 'true' END), 'priority', NEW.priority, 'description', NEW.description),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_providers_update AFTER UPDATE ON providers
WHEN OLD.name IS NOT NEW.name OR OLD.type IS NOT NEW.type OR OLD.enabled IS NOT NEW.enabled OR OLD.priority IS NOT NEW.priority OR OLD.description IS NOT NEW.description
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'updated', 'provider', NEW.id,
           json_object('name', OLD.name, 'type', OLD.type, 'enabled', json(CASE OLD.enabled WHEN 0 THEN 'false' ELSE 'true' END), 'priority', OLD.priority, 'description', OLD.description),
           json_object('name', NEW.name, 'type', NEW.type, 'enabled', json(CASE NEW.enabled WHEN 0 THEN 'false' ELSE 'true' END), 'priority', NEW.priority, 'description', NEW.description),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_providers_delete AFTER DELETE ON providers
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'deleted', 'provider', OLD.id,
           json_object('name', OLD.name, 'type', OLD.type, 'enabled', json(CASE OLD.enabled WHEN 0 THEN 'false' ELSE 'true' END), 'priority', OLD.priority, 'description', OLD.description),
           NULL,
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_provider_configs_insert AFTER INSERT ON provider_configs
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'created', 'provider_config', NEW.provider_id || '/' || NEW.key,
           NULL,
           json_object('value', CASE WHEN NEW.key IN ('baseURL', 'timeout', 'delay', 'logBodies', 'defaultModel') AND NOT NEW.is_sensitive THEN NEW.value ELSE '***' END),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_provider_configs_update AFTER UPDATE ON provider_configs
WHEN OLD.value IS NOT NEW.value OR OLD.is_sensitive IS NOT NEW.is_sensitive
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'updated', 'provider_config', NEW.provider_id || '/' || NEW.key,
           json_object('value', CASE WHEN OLD.key IN ('baseURL', 'timeout', 'delay', 'logBodies', 'defaultModel') AND NOT OLD.is_sensitive THEN OLD.value ELSE '***' END),
           json_object('value', CASE WHEN NEW.key IN ('baseURL', 'timeout', 'delay', 'logBodies', 'defaultModel') AND NOT NEW.is_sensitive THEN NEW.value ELSE '***' END),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_provider_configs_delete AFTER DELETE ON provider_configs
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'deleted', 'provider_config', OLD.provider_id || '/' || OLD.key,
           json_object('value', CASE WHEN OLD.key IN ('baseURL', 'timeout', 'delay', 'logBodies', 'defaultModel') AND NOT OLD.is_sensitive THEN OLD.value ELSE '***' END),
           NULL,
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_models_insert AFTER INSERT ON models
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'created', 'model', NEW.id,
           NULL,
           json_object('name', NEW.name, 'description', NEW.description, 'capabilities', NEW.capabilities),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_models_update AFTER UPDATE ON models
WHEN OLD.name IS NOT NEW.name OR OLD.description IS NOT NEW.description OR OLD.capabilities IS NOT NEW.capabilities
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'updated', 'model', NEW.id,
           json_object('name', OLD.name, 'description', OLD.description, 'capabilities', OLD.capabilities),
           json_object('name', NEW.name, 'description', NEW.description, 'capabilities', NEW.capabilities),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_models_delete AFTER DELETE ON models
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'deleted', 'model', OLD.id,
           json_object('name', OLD.name, 'description', OLD.description, 'capabilities', OLD.capabilities),
           NULL,
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_provider_models_insert AFTER INSERT ON provider_models
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'created', 'provider_model', NEW.provider_id || '/' || NEW.model_id,
           NULL,
           json_object('is_default', json(CASE NEW.is_default WHEN 0 THEN 'false' ELSE 'true' END), 'config', NEW.config),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_provider_models_update AFTER UPDATE ON provider_models
WHEN OLD.is_default IS NOT NEW.is_default OR OLD.config IS NOT NEW.config
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'updated', 'provider_model', NEW.provider_id || '/' || NEW.model_id,
           json_object('is_default', json(CASE OLD.is_default WHEN 0 THEN 'false' ELSE 'true' END), 'config', OLD.config),
           json_object('is_default', json(CASE NEW.is_default WHEN 0 THEN 'false' ELSE 'true' END), 'config', NEW.config),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_provider_models_delete AFTER DELETE ON provider_models
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'deleted', 'provider_model', OLD.provider_id || '/' || OLD.model_id,
           json_object('is_default', json(CASE OLD.is_default WHEN 0 THEN 'false' ELSE 'true' END), 'config', OLD.config),
           NULL,
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_settings_insert AFTER INSERT ON settings
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'created', 'setting', NEW.key,
           NULL,
           json_object('value', NEW.value),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_settings_update AFTER UPDATE ON settings
WHEN OLD.value IS NOT NEW.value
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'updated', 'setting', NEW.key,
           json_object('value', OLD.value),
           json_object('value', NEW.value),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_settings_delete AFTER DELETE ON settings
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'deleted', 'setting', OLD.key,
           json_object('value', OLD.value),
           NULL,
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_qwen_credentials_insert AFTER INSERT ON qwen_credentials
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'created', 'credential', CAST(NEW.id AS TEXT),
           NULL,
           json_object('label', NEW.label, 'expires_at', NEW.expires_at, 'active', json(CASE NEW.active WHEN 0 THEN 'false' ELSE 'true' END), 'updated_at', NEW.updated_at),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_qwen_credentials_update AFTER UPDATE ON qwen_credentials
WHEN OLD.label IS NOT NEW.label OR OLD.expires_at IS NOT NEW.expires_at OR OLD.active IS NOT NEW.active OR OLD.updated_at IS NOT NEW.updated_at
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'updated', 'credential', CAST(NEW.id AS TEXT),
           json_object('label', OLD.label, 'expires_at', OLD.expires_at, 'active', json(CASE OLD.active WHEN 0 THEN 'false' ELSE 'true' END), 'updated_at', OLD.updated_at),
           json_object('label', NEW.label, 'expires_at', NEW.expires_at, 'active', json(CASE NEW.active WHEN 0 THEN 'false' ELSE 'true' END), 'updated_at', NEW.updated_at),
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
CREATE TRIGGER audit_qwen_credentials_delete AFTER DELETE ON qwen_credentials
BEGIN
    INSERT INTO audit (at, actor, action, resource, resource_id, before, after, outcome, request_id, method, path)
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), who.actor, 'deleted', 'credential', CAST(OLD.id AS TEXT),
           json_object('label', OLD.label, 'expires_at', OLD.expires_at, 'active', json(CASE OLD.active WHEN 0 THEN 'false' ELSE 'true' END), 'updated_at', OLD.updated_at),
           NULL,
           'done', who.request_id, who.method, who.path
    FROM (SELECT 1) LEFT JOIN audit_actor AS who ON who.tx = 0;
END;
