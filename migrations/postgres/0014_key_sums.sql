-- Completes the sums of client keys. Its twin is ../sqlite/0014_key_sums.sql.
--
-- From this version on, requests have a key also if it is one of the configuration (`config-1` and so on), and requests
-- without a key are summed with an empty `key_id`.

-- Answers whose cost is unknown.
ALTER TABLE key_hours ADD COLUMN unpriced BIGINT NOT NULL DEFAULT 0;

-- The requests of a key, the newest first. Requests of earlier versions have no key, and are not in the index.
CREATE INDEX requests_of_key ON requests (key_id, timestamp, id) WHERE key_id IS NOT NULL;
