import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { type KeyView, keysQuery } from "../../api/access-queries";
import { exactTime } from "../../format/time";
import { buttonClass } from "../../parts/button";
import { Plus } from "../../parts/icons";
import { Card, Empty, Loaded, Page, Table } from "../../parts/layout";
import { Mark, Tag } from "../../parts/mark";
import { Menu } from "../../parts/menu";
import { askToDelete, askToRevoke } from "./actions";
import { limitsOf, stateOf } from "./form";
import { RotateDialog } from "./rotate";
import { Budget } from "./spent";

export default function Keys() {
  const query = useQuery(keysQuery);
  const [rotating, setRotating] = useState<KeyView | null>(null);
  return (
    <Page
      title="Client keys"
      about="Who may send requests: one key for each program or person, with its own limits and expiry."
      actions={<AddLink />}
    >
      {rotating && <RotateDialog of={rotating} onClose={() => setRotating(null)} />}
      <Card flush>
        <Loaded query={query} rows={4}>
          {(keys) =>
            keys.length === 0 ? (
              <Empty title="No key yet" action={<AddLink />}>
                Until the first key exists, here or in the configuration, a router that only this machine can reach
                serves every request. As soon as there is one, each request needs a key. Deleting the last one opens the
                router again.
              </Empty>
            ) : (
              <Table
                label="Client keys"
                head={
                  <>
                    <th>Name</th>
                    <th>Key</th>
                    <th>State</th>
                    <th>Owner</th>
                    <th>Limits</th>
                    <th>Budget</th>
                    <th>
                      <span className="visually-hidden">Actions</span>
                    </th>
                  </>
                }
              >
                {keys.map((key) => (
                  <KeyRow key={key.id} of={key} onRotate={() => setRotating(key)} />
                ))}
              </Table>
            )
          }
        </Loaded>
      </Card>
    </Page>
  );
}

function AddLink() {
  return (
    <Link to="/keys/new" className={buttonClass("primary")}>
      <Plus size={16} aria-hidden="true" />
      Create a key
    </Link>
  );
}

function KeyRow({ of: key, onRotate }: { of: KeyView; onRotate: () => void }) {
  const navigate = useNavigate();
  const [tone, word] = stateOf(key, Date.now());
  const limits = limitsOf(key.limits);
  const revoked = key.revoked_at != null;
  return (
    <tr>
      <td className="break">
        <Link to="/keys/$id" params={{ id: key.id }} data-row>
          {key.name}
        </Link>{" "}
        {key.tags?.map((tag) => (
          <Tag key={tag}>{tag}</Tag>
        ))}
      </td>
      <td className="mono">{key.hint}…</td>
      <td title={key.expires_at == null ? "It does not expire" : `Expires ${exactTime(key.expires_at)}`}>
        <Mark tone={tone}>{word}</Mark>
      </td>
      <td className="break" data-label={key.owner ? "Owner" : undefined}>
        {key.owner}
      </td>
      <td>{limits.length > 0 ? limits.join(", ") : <span className="muted">no limits</span>}</td>
      <td data-label="Budget">
        <Budget of={key} />
      </td>
      <td>
        <Menu
          label={`Actions for ${key.name}`}
          items={[
            { label: "Open", run: () => void navigate({ to: "/keys/$id", params: { id: key.id } }) },
            ...(revoked
              ? []
              : [
                  { label: "Rotate", run: onRotate },
                  { label: "Revoke", danger: true, run: () => askToRevoke(key) },
                ]),
            { label: "Delete", danger: true, run: () => askToDelete(key) },
          ]}
        />
      </td>
    </tr>
  );
}
