import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useCallback, useState } from "react";
import { api, data } from "../../api/client";
import { modelsQuery, queryClient } from "../../api/queries";
import { count, plural } from "../../format/numbers";
import { useAction } from "../../parts/action";
import { Button, buttonClass } from "../../parts/button";
import { SearchField, Select } from "../../parts/field";
import { Plus, RefreshCw } from "../../parts/icons";
import { Card, Empty, Failure, Loaded, Notice, Page, Table } from "../../parts/layout";
import { Mark, Tag } from "../../parts/mark";
import css from "../requests/requests.module.css";
import { capabilitiesOf } from "./capabilities";
import { ModelDialog } from "./model-dialog";

const route = getRouteApi("/models");

export default function Models() {
  const { q, capability } = route.useSearch();
  const navigate = useNavigate({ from: "/models" });
  const query = useQuery(modelsQuery);
  const [adding, setAdding] = useState(false);
  const search = useCallback(
    (text: string) => void navigate({ search: (old) => ({ ...old, q: text || undefined }), replace: true }),
    [navigate],
  );
  const known = [...new Set((query.data ?? []).flatMap((model) => capabilitiesOf(model.capabilities)))].sort();
  const words = (q ?? "").toLowerCase().split(/\s+/);
  return (
    <Page
      title="Models"
      about="Names that clients can ask for. Every model of a provider can also be called as provider/model."
      actions={
        <>
          <Button icon={Plus} onClick={() => setAdding(true)}>
            Add a model
          </Button>
          <FetchAll />
        </>
      }
    >
      {adding && <ModelDialog onClose={() => setAdding(false)} />}
      <div className={css.filters}>
        <SearchField label="Search models" value={q ?? ""} onCommit={search} />
        {known.length > 1 && (
          <Select
            aria-label="Capability"
            value={capability ?? ""}
            onChange={(value) => void navigate({ search: (old) => ({ ...old, capability: value || undefined }) })}
            options={[["", "Any capability"], ...known.map((one): [string, string] => [one, one])]}
          />
        )}
      </div>
      <Card flush>
        <Loaded query={query} rows={6}>
          {(models) => {
            const found = models.filter(
              (model) =>
                words.every((word) =>
                  `${model.id} ${model.name} ${model.description ?? ""}`.toLowerCase().includes(word),
                ) &&
                (capability === undefined || capabilitiesOf(model.capabilities).includes(capability)),
            );
            if (models.length === 0) {
              return (
                <Empty
                  title="No model yet"
                  action={
                    <Link to="/providers" className={buttonClass()}>
                      Go to the providers
                    </Link>
                  }
                >
                  Fetch the models of your providers, or add one by its name.
                </Empty>
              );
            }
            if (found.length === 0) {
              return (
                <Empty
                  title="Nothing matches"
                  action={<Button onClick={() => void navigate({ search: {} })}>Clear filters</Button>}
                >
                  No model is named like this.
                </Empty>
              );
            }
            return (
              <Table
                label={`${count(found.length)} models`}
                head={
                  <>
                    <th>Model</th>
                    <th>Capabilities</th>
                    <th>State</th>
                    <th>Description</th>
                  </>
                }
              >
                {found.map((model) => (
                  <tr key={model.id}>
                    <td className="break">
                      <Link to="/models/$id" params={{ id: model.id }} data-row>
                        {model.id}
                      </Link>
                      {model.name !== model.id && <span className="muted"> {model.name}</span>}
                    </td>
                    <td>
                      {capabilitiesOf(model.capabilities).map((one) => (
                        <Tag key={one}>{one}</Tag>
                      ))}
                    </td>
                    <td>
                      <Mark tone={model.status === "active" ? "ok" : "off"}>{model.status}</Mark>
                    </td>
                    <td className="muted break">{model.description}</td>
                  </tr>
                ))}
              </Table>
            );
          }}
        </Loaded>
      </Card>
    </Page>
  );
}

interface SyncResult {
  success?: boolean;
  error?: string;
  totalModels?: number;
  modelsAdded?: number;
}

/** Asks all providers for their models, and shows what each answered. */
function FetchAll() {
  const sync = useAction(() => data(api.POST("/api/models/sync")), {
    after: () =>
      Promise.all([
        queryClient.invalidateQueries({ queryKey: ["models"] }),
        queryClient.invalidateQueries({ queryKey: ["providers"] }),
      ]),
  });
  const results = Object.entries((sync.result?.results ?? {}) as Record<string, SyncResult>);
  const failed = results.some(([, result]) => !result.success);
  return (
    <>
      <Button kind="primary" icon={RefreshCw} pending={sync.pending} onClick={() => sync.run()}>
        Fetch from all providers
      </Button>
      {sync.problem && <Failure title="The models could not be fetched." error={sync.problem} />}
      {results.length > 0 && (
        <div style={{ flexBasis: "100%" }}>
          <Notice
            tone={failed ? "warn" : "ok"}
            action={
              <Button small onClick={sync.reset}>
                Close
              </Button>
            }
          >
            <ul>
              {results.map(([id, result]) => (
                <li key={id}>
                  <strong>{id}</strong>:{" "}
                  {result.success
                    ? `${plural(result.totalModels ?? 0, "model")}, ${count(result.modelsAdded)} new`
                    : result.error}
                </li>
              ))}
            </ul>
          </Notice>
        </div>
      )}
    </>
  );
}
