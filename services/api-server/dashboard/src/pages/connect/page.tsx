import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { aboutQuery, modelsQuery } from "../../api/queries";
import { command } from "../../lifecycle/commands";
import { phase } from "../../lifecycle/reducer";
import { useServices } from "../../lifecycle/store";
import { Button } from "../../parts/button";
import { Snippet } from "../../parts/copy";
import { SelectField, TextField } from "../../parts/field";
import { Card, Empty, Grid, Loading, Notice, Page, Stack } from "../../parts/layout";
import { Tag } from "../../parts/mark";
import { useBase } from "./base";
import { useHandedKey } from "./handed-key";
import { CLIENTS, isServed, KEY_PLACEHOLDER } from "./snippets";

const route = getRouteApi("/connect");

export default function Connect() {
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/connect" });
  const { data: models } = useQuery(modelsQuery);
  const surfaces = useQuery(aboutQuery).data?.surfaces;
  const [key, setKey] = useHandedKey();
  const base = useBase();
  const router = useServices((state) => state["provider-router"]);
  const client = CLIENTS.find(({ id }) => id === search.client) ?? CLIENTS[0]!;
  const model = search.model ?? models?.[0]?.id ?? "echo";
  const names = [...new Set([model, ...(models ?? []).map(({ id }) => id)])];
  // Before the port is known, a copied line would have the wrong one.
  if (router.status === null) {
    return (
      <Page title="Connect a client">
        <Loading rows={6} />
      </Page>
    );
  }
  const local = ["localhost", "127.0.0.1", "[::1]", "::1"].includes(location.hostname);
  return (
    <Page title="Connect a client" about={`Clients reach the models at ${base}. Choose yours, and copy the lines.`}>
      {router.status !== null && phase(router) !== "running" && (
        <Notice
          tone="warn"
          action={
            <Button small onClick={() => void command("start", "provider-router")}>
              Start it
            </Button>
          }
        >
          The router does not run, so that clients get no answers.
        </Notice>
      )}
      <Card>
        <Grid>
          <SelectField
            label="Client"
            value={client.id}
            onChange={(id) => void navigate({ search: (old) => ({ ...old, client: id }), replace: true })}
            options={CLIENTS.map((one) => [
              one.id,
              isServed(one, surfaces) ? one.name : `${one.name} (${one.surface} is not served)`,
            ])}
          />
          <SelectField
            label="Model"
            value={model}
            onChange={(id) => void navigate({ search: (old) => ({ ...old, model: id }), replace: true })}
            options={names}
          />
          <TextField
            label="Client key"
            value={key}
            onChange={setKey}
            placeholder={KEY_PLACEHOLDER}
            mono
            hint={
              local
                ? "Any text, unless client keys are configured."
                : "From other machines, clients need one of the configured client keys."
            }
          />
        </Grid>
      </Card>
      <Card title={client.name} actions={<Tag>{client.surface}</Tag>}>
        {isServed(client, surfaces) ? (
          <Stack>
            {client.snippets(base, model, key.trim() || KEY_PLACEHOLDER).map(({ where, text }) => (
              <div key={where}>
                <h3>{where}</h3>
                <Snippet text={text} label={where} wrap={client.id === "curl"} />
              </div>
            ))}
            {client.note && <p className="muted">{client.note}</p>}
          </Stack>
        ) : (
          <Empty title={`This server does not serve ${client.surface}`}>
            {client.name} speaks no other API. Update Signalbox, or choose another client.
          </Empty>
        )}
      </Card>
    </Page>
  );
}
