-- Adds the version of the catalogue at which each client key was changed last, so that a reader of the catalogue reads
-- the changed keys only. Its twin is ../sqlite/0017_key_versions.sql.

-- Keys without a row have not been changed since this migration. A trigger keeps the rows, so that no writer can forget.
CREATE TABLE api_key_versions (
    key_id TEXT COLLATE "C" NOT NULL CONSTRAINT "api_key_versions.key_id" PRIMARY KEY,
    version BIGINT NOT NULL
);
CREATE INDEX api_key_versions_version ON api_key_versions (version);

-- The row of `catalog_version` stays locked until the end of the transaction, so versions are committed in their order.
CREATE FUNCTION bump_key_version() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bumped BIGINT;
BEGIN
    UPDATE catalog_version SET version = version + 1 WHERE id = 1 RETURNING version INTO bumped;
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM api_key_versions WHERE key_id = OLD.id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO api_key_versions (key_id, version) VALUES (NEW.id, bumped)
        ON CONFLICT (key_id) DO UPDATE SET version = excluded.version;
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER catalog_api_keys ON api_keys;
CREATE TRIGGER catalog_api_keys AFTER INSERT OR UPDATE OR DELETE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION bump_key_version();
