-- Bodies of requests and answers, stored once and compressed. Its twin is ../sqlite/0002_bodies.sql.
--
-- A short body stays in its old column. A longer one is cut into chunks; conversations resend their history, so later
-- requests refer to the chunks of earlier ones (`pieces`, `upstream_pieces`: JSON lists, see the store's `bodies`).

-- `request_id` is requests.id, which is never given twice (an identity column): a reference can dangle, but never hit another
-- body. It is no foreign key, because a chunk outlives its request where later ones refer to it; chunks go by day. The day
-- comes first in the key, so that the one index finds a chunk, and finds all chunks of a day side by side.
CREATE TABLE bodies (
    -- Days since 1970.
    day BIGINT NOT NULL,
    request_id BIGINT NOT NULL,
    -- 0: what was asked. 1: what was answered.
    part BIGINT NOT NULL,
    -- One byte that names the codec, then the data.
    bytes BYTEA NOT NULL,
    CONSTRAINT "bodies.day, bodies.request_id, bodies.part" PRIMARY KEY (day, request_id, part)
);
-- They are compressed already.
ALTER TABLE bodies ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- What `bodies` holds, so that nobody has to count. A day stays here when its chunks are gone.
CREATE TABLE body_days (
    day BIGINT NOT NULL CONSTRAINT "body_days.day" PRIMARY KEY,
    bytes BIGINT NOT NULL,
    -- Chunks of this day go in the order of their requests; those up to this one are gone.
    removed_to BIGINT NOT NULL DEFAULT 0
);

ALTER TABLE requests ADD COLUMN pieces TEXT;
ALTER TABLE requests ADD COLUMN upstream_pieces TEXT;
ALTER TABLE responses ADD COLUMN in_bodies BOOLEAN NOT NULL DEFAULT FALSE;
