-- The models that providers list themselves, and who has chosen a setting. Its twin is ../sqlite/0008_model_lists.sql.

-- The last good list of each provider: it survives a restart, and the time in which the provider is away.
CREATE TABLE model_lists (
    provider_id TEXT COLLATE "C" NOT NULL CONSTRAINT "model_lists.provider_id" PRIMARY KEY
        REFERENCES providers (id) ON DELETE CASCADE,
    -- The address that was asked: the list of another one says nothing about this one.
    base_url TEXT NOT NULL,
    -- A JSON array of OpenAI's model objects, in the provider's order.
    models TEXT NOT NULL,
    -- When it last became another one, in Unix milliseconds.
    updated_at BIGINT NOT NULL
);
CREATE TRIGGER catalog_model_lists AFTER INSERT OR UPDATE OR DELETE ON model_lists
    FOR EACH ROW EXECUTE FUNCTION bump_catalog_version();
CREATE TRIGGER catalog_model_lists_truncate AFTER TRUNCATE ON model_lists
    FOR EACH STATEMENT EXECUTE FUNCTION bump_catalog_version();

-- True while the value is the one that a new database was given: a first login or provider may replace it, but not what a
-- person has chosen.
ALTER TABLE settings ADD COLUMN seeded BOOLEAN NOT NULL DEFAULT FALSE;
