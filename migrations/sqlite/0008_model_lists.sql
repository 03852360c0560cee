-- The models that providers list themselves, and who has chosen a setting. Its twin is ../postgres/0008_model_lists.sql.

-- The last good list of each provider: it survives a restart, and the time in which the provider is away.
CREATE TABLE model_lists (
    provider_id TEXT NOT NULL PRIMARY KEY REFERENCES providers (id) ON DELETE CASCADE,
    -- The address that was asked: the list of another one says nothing about this one.
    base_url TEXT NOT NULL,
    -- A JSON array of OpenAI's model objects, in the provider's order.
    models TEXT NOT NULL,
    -- When it last became another one, in Unix milliseconds.
    updated_at INTEGER NOT NULL
);
CREATE TRIGGER catalog_model_lists_insert AFTER INSERT ON model_lists
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_model_lists_update AFTER UPDATE ON model_lists
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;
CREATE TRIGGER catalog_model_lists_delete AFTER DELETE ON model_lists
BEGIN UPDATE catalog_version SET version = version + 1 WHERE id = 1; END;

-- True while the value is the one that a new database was given: a first login or provider may replace it, but not what a
-- person has chosen.
ALTER TABLE settings ADD COLUMN seeded BOOLEAN NOT NULL DEFAULT FALSE;
