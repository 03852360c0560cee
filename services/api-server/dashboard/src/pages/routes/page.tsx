import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useCallback, useState } from "react";
import { type RouteView, routesQuery } from "../../api/access-queries";
import { attempt } from "../../parts/action";
import { Button, buttonClass } from "../../parts/button";
import { SearchField, Switch } from "../../parts/field";
import { Plus } from "../../parts/icons";
import { Card, Empty, Loaded, Page, Table } from "../../parts/layout";
import { Mark, Tag } from "../../parts/mark";
import { Menu } from "../../parts/menu";
import { askToDelete, setEnabled } from "./actions";
import { problemsByTarget } from "./form";
import css from "./routes.module.css";

const route = getRouteApi("/routes");

export default function Routes() {
  const { q } = route.useSearch();
  const navigate = useNavigate({ from: "/routes" });
  const query = useQuery(routesQuery);
  const search = useCallback(
    (text: string) => void navigate({ search: { q: text || undefined }, replace: true }),
    [navigate],
  );
  const words = (q ?? "").toLowerCase().split(/\s+/);
  return (
    <Page
      title="Routes"
      about="Which providers serve a name, and in which order they are tried. Names without a route go to the providers that have them."
      actions={<AddLink />}
    >
      {(query.data?.length ?? 0) > 0 && <SearchField label="Search routes" value={q ?? ""} onCommit={search} />}
      <Card flush>
        <Loaded query={query} rows={4}>
          {(routes) => {
            if (routes.length === 0) {
              return (
                <Empty title="No route yet" action={<AddLink />}>
                  With a route, clients ask for one name, such as <code>fast</code>, and the router chooses among
                  several targets: by priority, weight, load, latency or price. If one does not answer, the next is
                  asked.
                </Empty>
              );
            }
            const found = routes.filter((one) => words.every((word) => searched(one).includes(word)));
            if (found.length === 0) {
              return (
                <Empty title="Nothing matches" action={<Button onClick={() => search("")}>Clear the search</Button>}>
                  No route has such a name or target.
                </Empty>
              );
            }
            return (
              <Table
                label="Routes"
                head={
                  <>
                    <th>Model</th>
                    <th>Policy</th>
                    <th>Targets</th>
                    <th>Enabled</th>
                    <th>
                      <span className="visually-hidden">Actions</span>
                    </th>
                  </>
                }
              >
                {found.map((one) => (
                  <RouteRow key={one.id} route={one} />
                ))}
              </Table>
            );
          }}
        </Loaded>
      </Card>
    </Page>
  );
}

function AddLink() {
  return (
    <Link to="/routes/new" className={buttonClass("primary")}>
      <Plus size={16} aria-hidden="true" />
      Add a route
    </Link>
  );
}

function searched(route: RouteView): string {
  const targets = route.targets.map(({ provider, model }) => `${provider}/${model}`);
  return [route.model, ...(route.aliases ?? []), ...targets].join(" ").toLowerCase();
}

function RouteRow({ route }: { route: RouteView }) {
  const navigate = useNavigate();
  const [switching, setSwitching] = useState(false);
  const problems = problemsByTarget(route.problems);
  const toggle = async (enabled: boolean) => {
    setSwitching(true);
    await attempt(() => setEnabled(route, enabled));
    setSwitching(false);
  };
  const open = () => void navigate({ to: "/routes/$id", params: { id: route.id } });
  return (
    <tr>
      <td className="break">
        <Link to="/routes/$id" params={{ id: route.id }} data-row>
          {route.model}
        </Link>
        {route.aliases && route.aliases.length > 0 && <span className="muted"> also {route.aliases.join(", ")}</span>}
      </td>
      <td>
        <Tag>{route.policy ?? "priority"}</Tag>
      </td>
      <td>
        <ol className={css.targetList} aria-label={`Targets of ${route.model}`}>
          {route.targets.map((target, at) => {
            const problem = problems.get(at);
            const weight = target.weight != null && target.weight !== 1 ? ` × ${target.weight}` : "";
            return (
              <li key={`${target.provider}/${target.model} ${at}`} className="break">
                {target.provider}/{target.model}
                <span className="muted">{weight}</span>{" "}
                {problem && (
                  <Mark tone={problem.includes("disabled") ? "warn" : "bad"}>
                    {problem.includes("disabled") ? "provider is disabled" : "provider does not exist"}
                  </Mark>
                )}
              </li>
            );
          })}
        </ol>
      </td>
      <td>
        <Switch
          bare
          label={`The route ${route.model} is enabled`}
          checked={route.enabled}
          pending={switching}
          onChange={toggle}
        />
      </td>
      <td>
        <Menu
          label={`Actions for ${route.model}`}
          items={[
            { label: "Open", run: open },
            { label: "Duplicate", run: () => void navigate({ to: "/routes/new", search: { copy: route.id } }) },
            {
              label: "Show its requests",
              run: () => void navigate({ to: "/requests", search: { model: route.model } }),
            },
            { label: "Delete", danger: true, run: () => askToDelete(route) },
          ]}
        />
      </td>
    </tr>
  );
}
