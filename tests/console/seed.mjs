// A large log, written to SQLite directly: through the router it would take hours.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const DAYS = 30;
const DAY = 86_400_000;

/** Returns the statements that add so many requests of the last days, the newest at `now`. */
function statements(rows, now) {
  const step = Math.floor((DAYS * DAY) / rows);
  const begin = now - rows * step;
  return `
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -200000;
BEGIN;
CREATE TEMP TABLE numbers AS WITH RECURSIVE count (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < ${rows}) SELECT n FROM count;
INSERT INTO sessions (id, chat_id, first_user_message, message_count, created_at, last_accessed, expires_at, source)
  SELECT printf('00000000-0000-7000-8000-%012x', n), printf('chat-%d', n), printf('Conversation %d about the parser', n), 10,
    ${begin} + n * ${step}, ${begin} + n * ${step}, ${now} + 9 * ${DAY}, 'router'
  FROM numbers WHERE n % 10 = 1;
INSERT INTO requests (id, session_id, request_id, timestamp, method, path, request_body, upstream_request, model, stream, status, provider_id, source, created_at)
  SELECT 1000000 + n, printf('00000000-0000-7000-8000-%012x', n - (n - 1) % 10), printf('10000000-0000-7000-8000-%012x', n), ${begin} + n * ${step}, 'POST', '/v1/chat/completions',
    json_object('model', printf('model-%d', n % 7), 'messages', json_array(json_object('role', 'user', 'content', printf('Question %d: why does the parser lose the last line?', n)))),
    '', printf('model-%d', n % 7), n % 2, CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'completed' END, printf('provider-%d', n % 3), 'router', ${begin} + n * ${step}
  FROM numbers;
INSERT INTO responses (id, timestamp, response_body, completion_tokens, prompt_tokens, total_tokens, finish_reason, error, duration_ms, first_byte_ms, status_code, provider_id, created_at, cost_nanos, cost_origin)
  SELECT 1000000 + n, ${begin} + n * ${step}, json_object('choices', json_array(json_object('index', 0, 'message', json_object('role', 'assistant', 'content', printf('Answer %d', n))))),
    n % 400, n % 4000, n % 400 + n % 4000, 'stop', CASE WHEN n % 50 = 0 THEN 'the provider has no quota left' END, 300 + n % 5000, 80 + n % 900, CASE WHEN n % 50 = 0 THEN 429 ELSE 200 END,
    printf('provider-%d', n % 3), ${begin} + n * ${step}, n % 4000 * 1000, 'computed'
  FROM numbers;
INSERT INTO usage_hours (hour, provider_id, model, status, requests, answers, errors, prompt_tokens, completion_tokens, total_tokens, timed, duration_ms, cost_nanos, unpriced)
  SELECT requests.timestamp / 3600000, requests.provider_id, model, status, COUNT(*), COUNT(*), COUNT(error), SUM(prompt_tokens), SUM(completion_tokens), SUM(total_tokens), COUNT(*), SUM(duration_ms), SUM(cost_nanos), 0
  FROM requests JOIN responses ON responses.id = requests.id WHERE requests.id > 1000000 GROUP BY 1, 2, 3, 4
  ON CONFLICT DO NOTHING;
INSERT INTO usage_minutes (span, minute, provider_id, model, key_id, status, requests, errors, prompt_tokens, completion_tokens, cost_nanos, durations, first_bytes)
  SELECT span, requests.timestamp / 60000 / span * span, requests.provider_id, model, '', status, COUNT(*), COUNT(error), SUM(prompt_tokens), SUM(completion_tokens), SUM(cost_nanos), '20:' || COUNT(*), '12:' || COUNT(*)
  FROM requests JOIN responses ON responses.id = requests.id JOIN (SELECT 1 AS span UNION ALL SELECT 60) WHERE requests.id > 1000000 GROUP BY 1, 2, 3, 4, status
  ON CONFLICT DO NOTHING;
COMMIT;
PRAGMA optimize;
`;
}

/** Adds so many requests to the database of a directory, whose programs have to be stopped. */
export async function seed(data, rows) {
  const running = promisify(execFile)("sqlite3", ["-bail", `${data}/signalbox.db`]);
  running.child.stdin.end(statements(rows, Date.now() - 60_000));
  try {
    await running;
  } catch (error) {
    if (error.code === "ENOENT") throw new Error("sqlite3 is not installed: it writes the rows");
    throw error;
  }
}
