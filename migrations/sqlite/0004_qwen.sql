-- Several logins at chat.qwen.ai, and the turns of its conversations. Its twin is ../postgres/0004_qwen.sql.

-- What the user calls it.
ALTER TABLE qwen_credentials ADD COLUMN label TEXT NOT NULL DEFAULT 'default';
-- The one that is used; at most one is.
ALTER TABLE qwen_credentials ADD COLUMN active BOOLEAN NOT NULL DEFAULT FALSE;
-- Not to be used before this time, in Unix milliseconds: chat.qwen.ai asked to wait.
ALTER TABLE qwen_credentials ADD COLUMN cooldown_until INTEGER;
-- Why it did not work the last time.
ALTER TABLE qwen_credentials ADD COLUMN last_error TEXT;
-- Until now the newest row was the one in use.
UPDATE qwen_credentials SET active = TRUE WHERE id = (SELECT MAX(id) FROM qwen_credentials);
UPDATE qwen_credentials SET label = 'login ' || id WHERE NOT active;
CREATE UNIQUE INDEX idx_qwen_credentials_label ON qwen_credentials (label);
CREATE UNIQUE INDEX idx_qwen_credentials_active ON qwen_credentials (active) WHERE active;

-- Where a conversation can be continued: one row per answer. Clients resend the history, so a later turn finds its row by
-- what was said so far.
CREATE TABLE qwen_turns (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    -- What chat.qwen.ai calls the answer; the next turn names it as its parent.
    parent_id TEXT NOT NULL,
    -- The hash of the history: all that the user said, and all answers but the last.
    asked TEXT NOT NULL,
    -- The beginning of the last answer. Not in the hash, because some clients send it back cut short.
    answer TEXT NOT NULL,
    -- The hash of the system message.
    instructed TEXT NOT NULL,
    -- The hash of the tools the chat has been told about.
    tools TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (session_id, parent_id)
);
CREATE INDEX idx_qwen_turns_asked ON qwen_turns (asked);
