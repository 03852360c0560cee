-- Adds the version of the catalogue at which each client key was changed last, so that a reader of the catalogue reads
-- the changed keys only. Its twin is ../postgres/0017_key_versions.sql.

-- Keys without a row have not been changed since this migration. Triggers keep the rows, so that no writer can forget.
CREATE TABLE api_key_versions (
    key_id TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL
);
CREATE INDEX api_key_versions_version ON api_key_versions (version);

DROP TRIGGER catalog_api_keys_insert;
DROP TRIGGER catalog_api_keys_update;
DROP TRIGGER catalog_api_keys_delete;
CREATE TRIGGER catalog_api_keys_insert AFTER INSERT ON api_keys
BEGIN
    UPDATE catalog_version SET version = version + 1 WHERE id = 1;
    INSERT INTO api_key_versions (key_id, version) SELECT NEW.id, version FROM catalog_version WHERE id = 1
    ON CONFLICT (key_id) DO UPDATE SET version = excluded.version;
END;
CREATE TRIGGER catalog_api_keys_update AFTER UPDATE ON api_keys
BEGIN
    UPDATE catalog_version SET version = version + 1 WHERE id = 1;
    DELETE FROM api_key_versions WHERE key_id = OLD.id AND OLD.id <> NEW.id;
    INSERT INTO api_key_versions (key_id, version) SELECT NEW.id, version FROM catalog_version WHERE id = 1
    ON CONFLICT (key_id) DO UPDATE SET version = excluded.version;
END;
CREATE TRIGGER catalog_api_keys_delete AFTER DELETE ON api_keys
BEGIN
    UPDATE catalog_version SET version = version + 1 WHERE id = 1;
    DELETE FROM api_key_versions WHERE key_id = OLD.id;
END;
