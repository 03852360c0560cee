-- Adds client key and status to the sums by minute and by hour. Its twin is ../sqlite/0016_usage_keys.sql.
--
-- From this version on, whoever deletes requests or answers through the store subtracts them, histograms included, in
-- the same transaction: so the sums are those of the rows that are there, as in `usage_hours`. Sums of earlier versions
-- have an empty key and an empty status, because they do not tell either.

-- The client key; '' for requests without one. There are no more values than keys.
ALTER TABLE usage_minutes ADD COLUMN key_id TEXT COLLATE "C" NOT NULL DEFAULT '';
-- How the requests ended.
ALTER TABLE usage_minutes ADD COLUMN status TEXT COLLATE "C" NOT NULL DEFAULT '';
-- Writers name both.
ALTER TABLE usage_minutes ALTER COLUMN key_id DROP DEFAULT;
ALTER TABLE usage_minutes ALTER COLUMN status DROP DEFAULT;
ALTER TABLE usage_minutes DROP CONSTRAINT usage_minutes_pkey;
ALTER TABLE usage_minutes ADD PRIMARY KEY (span, minute, provider_id, model, key_id, status);
