/** The bodies of a request as they are, each fetched and read by a worker. */

import { BODIES, type BodyKind, bodyUrl, type RequestDetail } from "../../api/request";
import { bytes } from "../../format/numbers";
import { Row } from "../../parts/button";
import { Select } from "../../parts/field";
import { Card, Empty, Notice, Stack } from "../../parts/layout";
import { Viewer } from "../../parts/viewer";

const NAMES: Record<BodyKind, string> = {
  asked: "Asked: what the client sent",
  sent: "Sent: what the provider got",
  answered: "Answered: what the client got",
};

const MISSING: Record<BodyKind, string> = {
  asked: "Bodies are logged as the provider (logBodies), the key and the settings (logging.logRequests) say.",
  sent: "The provider got what the client sent, or bodies are not logged.",
  answered: "There was no answer, or answers are not logged: see logBodies of the provider, and logging.logRequests.",
};

interface RawProps {
  request: RequestDetail;
  body: string | undefined;
  onBody: (body: string) => void;
}

export function RawTab({ request, body, onBody }: RawProps) {
  const kind = BODIES.find((one) => one === body) ?? "asked";
  const { request_id: id, status, request_bytes: asked, response_bytes: answered, truncated } = request;
  return (
    <Card>
      <Stack>
        <Row>
          <div style={{ flex: "1 1 260px", maxWidth: 360 }}>
            <Select
              aria-label="Body"
              value={kind}
              onChange={onBody}
              options={BODIES.map((one): [string, string] => [one, NAMES[one]])}
            />
          </div>
          <span className="muted">
            asked {bytes(asked)}, answered {bytes(answered)}
          </span>
        </Row>
        {kind === "sent" && (
          <p className="muted">Where the provider got the same as the client sent, this is the body of the client.</p>
        )}
        {kind === "answered" && (
          <p className="muted">The answer as one document, also if it was sent as a stream of events.</p>
        )}
        {kind === "answered" && truncated && (
          <Notice tone="warn">
            The answer was longer than the log keeps: its end is missing here. The client got all of it.
          </Notice>
        )}
        {kind === "answered" && status === "pending" ? (
          <Empty title="Not answered yet">The answer is kept with its end.</Empty>
        ) : kind === "answered" && answered == null ? (
          <Empty title="This body was not kept">{MISSING.answered}</Empty>
        ) : (
          <Viewer
            key={`${kind} ${status}`}
            url={bodyUrl(id, kind)}
            name={`${id}-${kind}.json`}
            label={NAMES[kind]}
            missing={MISSING[kind]}
          />
        )}
      </Stack>
    </Card>
  );
}
