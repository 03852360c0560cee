-- Adds routes, keys of clients, and what the request log says of both. Its twin is ../sqlite/0013_routes_and_keys.sql.
--
-- New columns have no default, so that this takes as long with millions of rows as with none.

-- Routes: the targets that serve a public model name.
CREATE TABLE routes (
    id TEXT COLLATE "C" NOT NULL CONSTRAINT "routes.id" PRIMARY KEY,
    -- The public name of the model; a `*` matches any characters.
    model TEXT COLLATE "C" NOT NULL CONSTRAINT "routes.model" UNIQUE,
    enabled BOOLEAN NOT NULL DEFAULT TRUE,
    -- The targets and the policy, a JSON object.
    document TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE TRIGGER catalog_routes AFTER INSERT OR UPDATE OR DELETE ON routes
    FOR EACH ROW EXECUTE FUNCTION bump_catalog_version();
CREATE TRIGGER catalog_routes_truncate AFTER TRUNCATE ON routes
    FOR EACH STATEMENT EXECUTE FUNCTION bump_catalog_version();
CREATE TRIGGER audit_routes AFTER INSERT OR UPDATE OR DELETE ON routes
    FOR EACH ROW EXECUTE FUNCTION audit_change('route');

-- Keys of clients. A key itself is not stored, only its SHA-256, which never appears in the audit log.
CREATE TABLE api_keys (
    id TEXT COLLATE "C" NOT NULL CONSTRAINT "api_keys.id" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL CONSTRAINT "api_keys.name" UNIQUE,
    -- The first characters of the key.
    hint TEXT NOT NULL,
    digest TEXT COLLATE "C" NOT NULL CONSTRAINT "api_keys.digest" UNIQUE,
    -- The digest before the last rotation, which is valid until `previous_expires_at`.
    previous_digest TEXT,
    previous_expires_at BIGINT,
    -- The permissions and limits, a JSON object.
    document TEXT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Replaces the function of 0005_audit.sql: the digests of keys are left out.
CREATE OR REPLACE FUNCTION audit_image(resource TEXT, line JSONB) RETURNS JSONB LANGUAGE SQL IMMUTABLE AS $$
    SELECT CASE resource
        WHEN 'provider_config' THEN jsonb_build_object('value', CASE
            WHEN line ->> 'key' IN ('baseURL', 'timeout', 'delay', 'logBodies', 'defaultModel')
                AND line ->> 'is_sensitive' = 'false' THEN line ->> 'value'
            ELSE '***' END)
        WHEN 'credential' THEN jsonb_build_object('label', line -> 'label', 'expires_at', line -> 'expires_at',
            'active', line -> 'active', 'updated_at', line -> 'updated_at')
        WHEN 'key' THEN line - ARRAY['id', 'digest', 'previous_digest', 'created_at', 'updated_at']
        ELSE line - ARRAY['id', 'key', 'provider_id', 'model_id', 'created_at', 'updated_at']
    END
$$;
CREATE TRIGGER catalog_api_keys AFTER INSERT OR UPDATE OR DELETE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION bump_catalog_version();
CREATE TRIGGER catalog_api_keys_truncate AFTER TRUNCATE ON api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION bump_catalog_version();
CREATE TRIGGER audit_api_keys AFTER INSERT OR UPDATE OR DELETE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION audit_change('key');

-- The key that a request was authenticated with; NULL if it was none of `api_keys`. The id outlives the key.
ALTER TABLE requests ADD COLUMN key_id TEXT;
-- The order in which targets were tried, and the attempts: a JSON object.
ALTER TABLE responses ADD COLUMN plan TEXT;

-- The sums of the requests of each key, by hour. Deleting requests does not change them: what was spent stays spent.
CREATE TABLE key_hours (
    -- Hours since 1970 in which the requests arrived.
    hour BIGINT NOT NULL,
    key_id TEXT COLLATE "C" NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    requests BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    -- The sum of the known costs, in nano-dollars.
    cost_nanos BIGINT NOT NULL,
    PRIMARY KEY (hour, key_id, model)
);
