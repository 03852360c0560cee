import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import { Button, Row } from "../../parts/button";
import { Card, Page, Stack } from "../../parts/layout";
import { refreshKeys } from "./actions";
import { KeyEditor } from "./editor";
import { emptyDraft } from "./form";
import { Secret, SecretGuard } from "./secret";

const EMPTY = emptyDraft();

export default function NewKey() {
  const navigate = useNavigate();
  const [made, setMade] = useState<Schemas["KeyWithSecret"] | null>(null);
  const back = { to: "/keys", label: "Client keys" } as const;
  if (made) {
    return (
      <Page title={`Key of ${made.name}`} back={back}>
        <SecretGuard />
        <Card>
          <Stack>
            <Secret secret={made.key} models={made.models} />
            <p className="muted">
              Clients send it as <code>Authorization: Bearer</code> or <code>x-api-key</code>.
            </p>
            <Row>
              <Button
                kind="primary"
                sends={false}
                onClick={() => void navigate({ to: "/keys/$id", params: { id: made.id }, ignoreBlocker: true })}
              >
                I have stored it
              </Button>
            </Row>
          </Stack>
        </Card>
      </Page>
    );
  }
  return (
    <Page
      title="Create a key"
      back={back}
      about="Every field but the name is optional, and restricts nothing if it is empty."
    >
      <KeyEditor
        initial={EMPTY}
        action="Create"
        exists={false}
        name="key.new"
        save={async (body) => {
          setMade(await data(api.POST("/api/keys", { body: body as never })));
          void refreshKeys();
        }}
      />
    </Page>
  );
}
