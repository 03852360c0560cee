-- Adds what a token costs and how a request was translated to the request log. Its twin is
-- ../postgres/0011_token_classes.sql.
--
-- Columns without a default, and one with a constant, change only the schema: this takes as long with millions of rows
-- as with none.

-- Parts of prompt_tokens; the rest is uncached text. Tokens written to a cache are counted by its lifetime.
ALTER TABLE responses ADD COLUMN cache_read_tokens INTEGER;
ALTER TABLE responses ADD COLUMN cache_write_short_tokens INTEGER;
ALTER TABLE responses ADD COLUMN cache_write_long_tokens INTEGER;
ALTER TABLE responses ADD COLUMN input_audio_tokens INTEGER;
ALTER TABLE responses ADD COLUMN input_image_tokens INTEGER;
-- Parts of completion_tokens; the rest is text.
ALTER TABLE responses ADD COLUMN reasoning_tokens INTEGER;
ALTER TABLE responses ADD COLUMN output_audio_tokens INTEGER;
ALTER TABLE responses ADD COLUMN output_image_tokens INTEGER;
-- Whether the provider's counts contradicted each other, so that some were changed.
ALTER TABLE responses ADD COLUMN tokens_adjusted BOOLEAN NOT NULL DEFAULT FALSE;
-- The APIs of client and provider if they differ, and the fields that were dropped or altered: the text of the header
-- x-signalbox-translation.
ALTER TABLE responses ADD COLUMN translation TEXT;
