-- Names the columns of the request log after no single API. Its twin is ../postgres/0010_neutral_columns.sql.
--
-- A rename changes only the schema, so it takes as long with millions of rows as with none. The REST API keeps the
-- former names as the names of its fields.

-- The body as the client sent it.
ALTER TABLE requests RENAME COLUMN openai_request TO request_body;
-- The body as sent to the provider, if it differs; 'null' otherwise.
ALTER TABLE requests RENAME COLUMN qwen_request TO upstream_request;
-- The answer as one chat.completion, rebuilt if it was streamed; or the error.
ALTER TABLE responses RENAME COLUMN openai_response TO response_body;
-- The provider's answer, if it is stored separately; only the Node.js version stored any.
ALTER TABLE responses RENAME COLUMN qwen_response TO upstream_response;
