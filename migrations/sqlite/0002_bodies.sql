-- Bodies of requests and answers, stored once and compressed. Its twin is ../postgres/0002_bodies.sql.
--
-- A short body stays in its old column. A longer one is cut into chunks; conversations resend their history, so later
-- requests refer to the chunks of earlier ones (`pieces`, `upstream_pieces`: JSON lists, see the store's `bodies`).

-- `request_id` is requests.id, which is never given twice (AUTOINCREMENT): a reference can dangle, but never hit another
-- body. It is no foreign key, because a chunk outlives its request where later ones refer to it; chunks go by day. The day
-- comes first in the key, so that the one index finds a chunk, and finds all chunks of a day side by side.
CREATE TABLE bodies (
    -- Days since 1970.
    day INTEGER NOT NULL,
    request_id INTEGER NOT NULL,
    -- 0: what was asked. 1: what was answered.
    part INTEGER NOT NULL,
    -- One byte that names the codec, then the data.
    bytes BLOB NOT NULL,
    PRIMARY KEY (day, request_id, part)
);

-- What `bodies` holds, so that nobody has to count. A day stays here when its chunks are gone.
CREATE TABLE body_days (
    day INTEGER NOT NULL PRIMARY KEY,
    bytes INTEGER NOT NULL,
    -- Chunks of this day go in the order of their requests; those up to this one are gone.
    removed_to INTEGER NOT NULL DEFAULT 0
);

ALTER TABLE requests ADD COLUMN pieces TEXT;
ALTER TABLE requests ADD COLUMN upstream_pieces TEXT;
ALTER TABLE responses ADD COLUMN in_bodies BOOLEAN NOT NULL DEFAULT FALSE;
