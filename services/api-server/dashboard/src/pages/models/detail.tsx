import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, data } from "../../api/client";
import { modelQuery, queryClient } from "../../api/queries";
import { exactTime, UNKNOWN } from "../../format/time";
import { Button } from "../../parts/button";
import { ask } from "../../parts/dialog";
import { Pencil, Trash2 } from "../../parts/icons";
import { Card, Empty, Facts, Grid, Loaded, Page, Table } from "../../parts/layout";
import { Mark, Tag } from "../../parts/mark";
import { toast } from "../../parts/toast";
import { capabilitiesOf } from "./capabilities";
import { ModelDialog } from "./model-dialog";

const route = getRouteApi("/models/$id");

export default function ModelPage() {
  const { id } = route.useParams();
  const navigate = useNavigate();
  const query = useQuery(modelQuery(id));
  const [editing, setEditing] = useState(false);
  return (
    <Page
      title={id}
      back={{ to: "/models", label: "Models" }}
      actions={
        query.data && (
          <>
            <Button icon={Pencil} onClick={() => setEditing(true)}>
              Change
            </Button>
            <Button kind="danger" icon={Trash2} onClick={() => askToDelete(id, () => navigate({ to: "/models" }))}>
              Delete
            </Button>
          </>
        )
      }
    >
      <Loaded query={query} rows={6}>
        {(model) => (
          <>
            {editing && <ModelDialog model={model} onClose={() => setEditing(false)} />}
            <Grid>
              <Card title="Model">
                <Facts
                  facts={[
                    ["Name", model.name],
                    [
                      "State",
                      <Mark key="state" tone={model.status === "active" ? "ok" : "off"}>
                        {model.status}
                      </Mark>,
                    ],
                    ["Capabilities", capabilitiesOf(model.capabilities).map((one) => <Tag key={one}>{one}</Tag>)],
                    ["Description", model.description || UNKNOWN],
                    ["Changed", exactTime(model.updated_at)],
                  ]}
                />
              </Card>
              <Card title="Use it">
                <p>
                  <Link to="/connect" search={{ model: id }}>
                    Connect a client with this model
                  </Link>
                </p>
                <p>
                  <Link to="/requests" search={{ model: id }}>
                    Its requests
                  </Link>
                </p>
              </Card>
            </Grid>
            <Card title="Served by" flush>
              {model.providers.length === 0 ? (
                <Empty title="No provider serves it" action={<Link to="/providers">Go to the providers</Link>}>
                  Requests for it are refused until it is linked to a provider: open one, and link the model there.
                </Empty>
              ) : (
                <Table
                  label="Providers of the model"
                  head={
                    <>
                      <th>Provider</th>
                      <th className="numeric">Priority</th>
                      <th>Default</th>
                      <th>State</th>
                    </>
                  }
                >
                  {model.providers.map((provider) => (
                    <tr key={provider.id}>
                      <td>
                        <Link to="/providers/$id" params={{ id: provider.id }} data-row>
                          {provider.name}
                        </Link>
                      </td>
                      <td className="numeric" data-label="Priority">
                        {provider.priority}
                      </td>
                      <td>{provider.is_default && <Tag tone="ok">its default</Tag>}</td>
                      <td>
                        <Mark tone={provider.enabled ? "ok" : "off"}>{provider.enabled ? "enabled" : "disabled"}</Mark>
                      </td>
                    </tr>
                  ))}
                </Table>
              )}
            </Card>
          </>
        )}
      </Loaded>
    </Page>
  );
}

function askToDelete(id: string, leave: () => Promise<unknown>): void {
  ask({
    title: `Delete ${id}?`,
    text: "The model and its links to providers are deleted. Its requests stay in the log.",
    action: "Delete",
    danger: true,
    run: async () => {
      await data(api.DELETE("/api/models/{id}", { params: { path: { id } } }));
      await leave();
      void queryClient.invalidateQueries({ queryKey: ["models"] });
      toast(`${id} was deleted`, { kind: "ok" });
    },
  });
}
