import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import { linksQuery } from "../../api/links";
import { asProblem } from "../../api/problem";
import { providerFiguresQuery } from "../../api/provider-figures";
import { providersQuery, providerTypesQuery, queryClient, settingsQuery } from "../../api/queries";
import { type ProviderActivity, useTopic } from "../../api/topics";
import type { TopRow } from "../../api/usage";
import { count, plural } from "../../format/numbers";
import { duration } from "../../format/time";
import { attempt } from "../../parts/action";
import { Button, buttonClass } from "../../parts/button";
import { Switch } from "../../parts/field";
import { Plus, Zap } from "../../parts/icons";
import { Card, Empty, Loaded, Page, Table } from "../../parts/layout";
import { Mark, Tag, type Tone } from "../../parts/mark";
import { Menu } from "../../parts/menu";
import { toast } from "../../parts/toast";
import { askToDelete } from "./delete";
import { providerState } from "./state";

type Provider = Schemas["ProviderList"]["providers"][number];

export default function Providers() {
  const providers = useQuery(providersQuery);
  const figures = useQuery(providerFiguresQuery);
  const ids = providers.data?.map(({ id }) => id) ?? [];
  const links = useQuery({ ...linksQuery(ids), enabled: providers.isSuccess, placeholderData: keepPreviousData });
  const activities = useTopic("metrics").at(-1)?.providers ?? [];
  return (
    <Page
      title="Providers"
      about="Where answers come from. For a model that several of them serve, the one with the highest priority is asked first."
      actions={
        <Link to="/providers/new" className={buttonClass("primary")}>
          <Plus size={16} aria-hidden="true" />
          Add a provider
        </Link>
      }
    >
      <Card flush>
        <Loaded query={providers} rows={4}>
          {(list) =>
            list.length === 0 ? (
              <Empty
                title="No provider yet"
                action={
                  <Link to="/providers/new" className={buttonClass("primary")}>
                    Add a provider
                  </Link>
                }
              >
                A provider is a service, or a model server of your own, that answers the requests of your clients.
              </Empty>
            ) : (
              <Table
                label="Providers"
                head={
                  <>
                    <th>Name</th>
                    <th>State</th>
                    <th className="numeric">Models</th>
                    <th title="Requests that it has answered, or was tried for last">Last 24 hours</th>
                    <th className="numeric">Priority</th>
                    <th>Enabled</th>
                    <th>Test</th>
                    <th>
                      <span className="visually-hidden">Actions</span>
                    </th>
                  </>
                }
              >
                {list.map((provider) => (
                  <ProviderRow
                    key={provider.id}
                    provider={provider}
                    activity={activities.find(({ id }) => id === provider.id)}
                    figures={figures.data}
                    models={links.data?.byProvider.get(provider.id)?.length}
                  />
                ))}
              </Table>
            )
          }
        </Loaded>
      </Card>
    </Page>
  );
}

interface RowProps {
  provider: Provider;
  activity: ProviderActivity | undefined;
  figures: ReadonlyMap<string, TopRow> | undefined;
  /** Number of its models; absent until it is known. */
  models: number | undefined;
}

function ProviderRow({ provider, activity, figures, models }: RowProps) {
  const navigate = useNavigate();
  const { data: types } = useQuery(providerTypesQuery);
  const { data: settings } = useQuery(settingsQuery);
  const [switching, setSwitching] = useState(false);
  const { id } = provider;
  const [tone, word] = providerState(provider, activity);
  const isActive = settings?.active_provider === id;
  const toggle = async (enabled: boolean) => {
    setSwitching(true);
    await attempt(async () => {
      const params = { params: { path: { id } } };
      await data(
        enabled ? api.POST("/api/providers/{id}/enable", params) : api.POST("/api/providers/{id}/disable", params),
      );
      await queryClient.invalidateQueries({ queryKey: ["providers"] });
    });
    setSwitching(false);
  };
  const activate = () =>
    attempt(async () => {
      await data(api.PUT("/api/settings/{key}", { params: { path: { key: "active_provider" } }, body: { value: id } }));
      await queryClient.invalidateQueries({ queryKey: ["settings"] });
      toast(`Switched to provider ${id}`, { kind: "ok" });
    });
  return (
    <tr>
      <td>
        <Link to="/providers/$id" params={{ id }} data-row>
          {provider.name}
        </Link>
        <div className="muted break">
          {provider.name !== id && <span className="mono">{id} </span>}
          {types?.find(({ value }) => value === provider.type)?.label ?? provider.type}{" "}
          {isActive && <Tag tone="ok">active</Tag>}
        </div>
      </td>
      <td>
        <Mark tone={tone}>{word}</Mark>
      </td>
      <td className="numeric" data-label="Models">
        <Link to="/models" search={{ provider: id }} aria-label={`${count(models)} models of ${provider.name}`}>
          {count(models)}
        </Link>
      </td>
      <td data-label="Last 24 hours">{figures && <Figures of={figures} id={id} />}</td>
      <td className="numeric" data-label="Priority">
        {provider.priority}
      </td>
      <td>
        <Switch
          bare
          label={`${provider.name} is enabled`}
          checked={provider.enabled}
          pending={switching}
          onChange={toggle}
        />
      </td>
      <td>
        <TestButton id={id} />
      </td>
      <td>
        <Menu
          label={`Actions for ${provider.name}`}
          items={[
            { label: "Open", run: () => void navigate({ to: "/providers/$id", params: { id } }) },
            ...(isActive ? [] : [{ label: "Make it the active provider", run: () => void activate() }]),
            { label: "Show its requests", run: () => void navigate({ to: "/requests", search: { provider: id } }) },
            { label: "Delete", danger: true, run: () => askToDelete(provider, () => navigate({ to: "/providers" })) },
          ]}
        />
      </td>
    </tr>
  );
}

/** Requests of the last day: those that failed, and the time that 95 % took at most. */
function Figures({ of, id }: { of: ReadonlyMap<string, TopRow>; id: string }) {
  const row = of.get(id);
  if (row === undefined) return <span className="muted">no request</span>;
  return (
    <>
      <div>
        <Link to="/requests" search={{ provider: id }} className="nowrap">
          {plural(row.requests, "request")}
        </Link>
        {row.errors > 0 && (
          <>
            ,{" "}
            <Link to="/requests" search={{ provider: id, has_error: true }} className="nowrap">
              {count(row.errors)} failed
            </Link>
          </>
        )}
      </div>
      <div className="muted nowrap">p95 {duration(row.p95)}</div>
    </>
  );
}

/** Asks the provider, and shows the outcome in the place of the button. */
function TestButton({ id }: { id: string }) {
  const [state, setState] = useState<{ pending: boolean; tone?: Tone; text?: string; more?: string }>({
    pending: false,
  });
  const run = async () => {
    setState({ pending: true });
    try {
      const tested = await data(api.POST("/api/providers/{id}/test", { params: { path: { id } } }));
      setState({
        pending: false,
        tone: tested.healthy ? "ok" : "bad",
        text: tested.healthy ? duration(tested.duration_ms) : "failed",
        more: tested.error ?? tested.warning,
      });
    } catch (error) {
      setState({ pending: false, tone: "bad", text: "failed", more: asProblem(error).message });
    }
  };
  return (
    <span style={{ display: "inline-flex", gap: 8, alignItems: "center" }}>
      <Button small icon={Zap} pending={state.pending} onClick={run}>
        Test
      </Button>
      {state.tone && (
        <span role="status" title={state.more}>
          <Mark tone={state.tone}>{state.text}</Mark>
        </span>
      )}
    </span>
  );
}
