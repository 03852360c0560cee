import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { asProblem } from "../../api/problem";
import { GROUPS, type Group, type UsageRow, usageQuery, usageUrl } from "../../api/usage";
import { address } from "../../app/base";
import { count, dollars, percent, plural, short } from "../../format/numbers";
import { endsOf, type FixedRange } from "../../format/ranges";
import { buttonClass } from "../../parts/button";
import { SelectField } from "../../parts/field";
import { Download } from "../../parts/icons";
import { Card, Empty, Loaded, Page, Table } from "../../parts/layout";
import { RangeChoice } from "../../parts/range";
import { MEASURES, type Measure } from "./search";
import { type Bar, barsOf, totalOf } from "./sums";
import css from "./usage.module.css";

const route = getRouteApi("/usage");

const RANGES = ["24h", "7d", "30d", "90d"] as const;
const NAMES: Record<Group, string> = {
  key: "Key",
  owner: "Owner",
  tag: "Tag",
  model: "Model",
  provider: "Provider",
};

export default function Usage() {
  const search = route.useSearch();
  const { by = "key", show = "cost", range, from, to } = search;
  const navigate = useNavigate({ from: "/usage" });
  // Sums are by the hour: a range that ends now is read again only when another is chosen.
  const ends = useMemo(() => endsOf({ range, from, to }, "30d", Date.now()), [range, from, to]);
  const query = useQuery(usageQuery(by, ends));
  const missing = query.error !== null && asProblem(query.error).isNotFound;
  return (
    <Page
      title="Usage"
      about="What was spent, in whole hours. Costs are those that are known; what is unpriced is counted beside them."
      actions={
        query.data &&
        query.data.usage.length > 0 && (
          <a className={buttonClass()} href={address(usageUrl(by, ends, "csv"))} download={`usage-by-${by}.csv`}>
            <Download size={16} aria-hidden="true" />
            Download as CSV
          </a>
        )
      }
    >
      <div className={css.controls}>
        <div>
          <SelectField
            label="By"
            value={by}
            options={GROUPS.map((group): [string, string] => [group, NAMES[group].toLowerCase()])}
            onChange={(value) => void navigate({ search: (old) => ({ ...old, by: value as Group }) })}
          />
        </div>
        <div>
          <SelectField
            label="Bars"
            value={show}
            options={MEASURES.map((measure): [string, string] => [measure, measure])}
            onChange={(value) => void navigate({ search: (old) => ({ ...old, show: value as Measure }) })}
          />
        </div>
        <RangeChoice
          names={RANGES}
          search={search}
          ends={ends}
          fallback="30d"
          onChange={(chosen) => void navigate({ search: (old) => ({ ...old, ...chosen }) })}
        />
      </div>
      {missing ? (
        <Card>
          <Empty title="This server has no sums">Its version does not serve them. Update Signalbox.</Empty>
        </Card>
      ) : (
        <Loaded query={query} rows={8}>
          {({ usage }) =>
            usage.length === 0 ? (
              <Card>
                <Empty
                  title="Nothing in this range"
                  action={
                    <Link to="/connect" className={buttonClass()}>
                      Connect a client
                    </Link>
                  }
                >
                  No request ended in it. Choose a longer range, or send one.
                </Empty>
              </Card>
            ) : (
              <>
                {by !== "tag" && <Totals rows={usage} />}
                <Groups by={by} show={show} rows={usage} ends={ends} />
              </>
            )
          }
        </Loaded>
      )}
    </Page>
  );
}

function Totals({ rows }: { rows: UsageRow[] }) {
  const total = totalOf(rows);
  const figures: [string, string, string?][] = [
    ["Cost", dollars(total.cost_usd), total.unpriced > 0 ? `${count(total.unpriced)} unpriced` : undefined],
    ["Requests", count(total.requests)],
    ["Errors", count(total.errors), percent((100 * total.errors) / Math.max(1, total.requests))],
    ["Input tokens", short(total.prompt_tokens)],
    ["Output tokens", short(total.completion_tokens)],
  ];
  return (
    <Card>
      <div className={css.figures}>
        {figures.map(([name, value, more]) => (
          <div key={name} className={css.figure}>
            {name}
            <strong>{value}</strong>
            {more}
          </div>
        ))}
      </div>
    </Card>
  );
}

function Groups({ by, show, rows, ends }: { by: Group; show: Measure; rows: UsageRow[]; ends: FixedRange }) {
  return (
    <Card flush title={by === "tag" ? "A request of a key with several tags counts in each" : undefined}>
      <Table
        label={plural(rows.length, NAMES[by].toLowerCase())}
        head={
          <>
            <th>{NAMES[by]}</th>
            <th className="numeric">Cost</th>
            <th className="numeric">Requests</th>
            <th className="numeric">Errors</th>
            <th className="numeric">Input tokens</th>
            <th className="numeric">Output tokens</th>
          </>
        }
      >
        {barsOf(rows, show).map((bar) => (
          <GroupRow key={bar.row.key_id ?? bar.row.name ?? ""} by={by} bar={bar} ends={ends} />
        ))}
      </Table>
    </Card>
  );
}

function GroupRow({ by, bar: { row, part }, ends }: { by: Group; bar: Bar; ends: FixedRange }) {
  const unpriced = row.unpriced > 0 ? `, ${count(row.unpriced)} unpriced` : "";
  // The cost of requests of which none has a price is unknown, which is not zero.
  const cost = row.unpriced > 0 && row.unpriced >= row.requests ? "–" : dollars(row.cost_usd);
  return (
    <tr>
      <td className={`${css.name} break`}>
        <Name by={by} row={row} ends={ends} />
        {part > 0 && <span className={css.bar} style={{ width: `${Math.max(1, 100 * part)}%` }} aria-hidden="true" />}
      </td>
      <td className="numeric" data-label="Cost">
        {cost}
        <span className="muted">{unpriced}</span>
      </td>
      <td className="numeric" data-label="Requests">
        {count(row.requests)}
      </td>
      <td className="numeric" data-label="Errors">
        {count(row.errors)}
      </td>
      <td className="numeric" data-label="Input tokens">
        {count(row.prompt_tokens)}
      </td>
      <td className="numeric" data-label="Output tokens">
        {count(row.completion_tokens)}
      </td>
    </tr>
  );
}

function Name({ by, row: { name, key_id }, ends }: { by: Group; row: UsageRow; ends: FixedRange }) {
  if (name === null || name === "")
    return (
      <span className="muted">
        without {by === "owner" ? "an" : "a"} {by}
      </span>
    );
  if (by === "model" || by === "provider") {
    return (
      <Link to="/requests" search={{ [by]: name, ...ends }} data-row>
        {name}
      </Link>
    );
  }
  if (by === "key" && key_id && isStored(key_id)) {
    return (
      <Link to="/keys/$id" params={{ id: key_id }} data-row>
        {name}
      </Link>
    );
  }
  if (by === "key" && key_id === SERVICE) {
    return (
      <>
        {name} <span className="muted">the playground and repeated requests</span>
      </>
    );
  }
  return name;
}

/** Id under which the requests of api-server itself are counted. */
const SERVICE = "service";

/** Returns whether a key has a page: those of the configuration and of the services have none. */
function isStored(id: string): boolean {
  return id !== SERVICE && !id.startsWith("config-");
}
