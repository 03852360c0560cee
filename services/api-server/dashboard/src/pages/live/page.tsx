import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { asProblem } from "../../api/problem";
import { fetchSeries, fetchTop, type MetricSeries, type TopRow } from "../../api/usage";
import { count, dollars, percent, short } from "../../format/numbers";
import { endsOf, type FixedRange, stepFor } from "../../format/ranges";
import { duration, timeOfDay } from "../../format/time";
import { Button, buttonClass } from "../../parts/button";
import { Chart } from "../../parts/chart";
import { Select, Switch } from "../../parts/field";
import { Pause, Play } from "../../parts/icons";
import { Card, Empty, Loaded, Page, Table } from "../../parts/layout";
import { RangeChoice } from "../../parts/range";
import { chartsOfAll, chartsOfSplit, hiddenLines, labelOf, refreshAfter, timesOf } from "./charts";
import css from "./live.module.css";
import { Now } from "./now";
import type { LiveSearch, Split } from "./search";

const route = getRouteApi("/live");

const RANGES = ["15m", "1h", "6h", "24h", "7d", "30d", "90d"] as const;

interface Figures {
  series: MetricSeries;
  rows: TopRow[];
  ends: FixedRange;
}

function useFigures({ range, from, to, by, paused }: LiveSearch) {
  const fixed = range === undefined && from !== undefined && to !== undefined && to < Date.now();
  const step = stepFor(endsOf({ range, from, to }, "1h", Date.now()));
  return useQuery({
    queryKey: ["metrics", range, from, to, by],
    placeholderData: keepPreviousData,
    // Paused while the page is hidden, too.
    refetchInterval: paused || fixed ? false : refreshAfter(step),
    queryFn: async ({ signal }): Promise<Figures> => {
      const ends = endsOf({ range, from, to }, "1h", Date.now());
      const [series, rows] = await Promise.all([
        fetchSeries({ ...ends, step: stepFor(ends), by }, signal),
        fetchTop({ ...ends, by: by ?? "provider" }, signal),
      ]);
      return { series, rows, ends };
    },
  });
}

export default function Live() {
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/live" });
  const query = useFigures(search);
  const [asTable, setAsTable] = useState(false);
  const { by, paused } = search;
  const change = (next: LiveSearch) => void navigate({ search: (old) => ({ ...old, ...next }) });
  const missing = query.error !== null && asProblem(query.error).isNotFound;
  return (
    <Page
      wide
      title="Live"
      about={
        <>
          Requests count at the time at which they arrived, once they have ended.
          {query.data && <> Read at {timeOfDay(query.dataUpdatedAt)}.</>}
        </>
      }
      actions={
        <Button icon={paused ? Play : Pause} onClick={() => change({ paused: paused ? undefined : true })}>
          {paused ? "Go on" : "Pause"}
        </Button>
      }
    >
      <Now paused={paused === true} />
      <div className={css.controls}>
        <RangeChoice
          names={RANGES}
          search={search}
          ends={query.data?.ends ?? endsOf(search, "1h", Date.now())}
          fallback="1h"
          onChange={change}
        />
        <div>
          <Select
            aria-label="Lines"
            value={by ?? ""}
            options={[
              ["", "all requests"],
              ["provider", "by provider"],
              ["model", "by model"],
              ["key", "by client key"],
              ["status", "by status"],
            ]}
            onChange={(value) => change({ by: (value || undefined) as Split | undefined })}
          />
        </div>
        <Switch label="As tables" checked={asTable} onChange={setAsTable} />
      </div>
      {missing ? (
        <Card>
          <Empty title="This server has no series">Its version does not serve them. Update Signalbox.</Empty>
        </Card>
      ) : (
        <Loaded query={query} rows={8}>
          {(figures) => (
            <Charts
              figures={figures}
              by={by}
              asTable={asTable}
              onZoom={(from, to) => change({ range: undefined, from, to })}
            />
          )}
        </Loaded>
      )}
    </Page>
  );
}

interface ChartsProps {
  figures: Figures;
  by: Split | undefined;
  asTable: boolean;
  onZoom: (from: number, to: number) => void;
}

function Charts({ figures: { series, rows, ends }, by, asTable, onZoom }: ChartsProps) {
  if (series.series.length === 0) {
    return (
      <Card>
        <Empty
          title="Nothing in this range"
          action={
            <Link to="/playground" className={buttonClass()}>
              Send a request from the playground
            </Link>
          }
        >
          No request has ended in it.
        </Empty>
      </Card>
    );
  }
  const times = timesOf(series);
  const hidden = by === undefined ? 0 : hiddenLines(series);
  return (
    <>
      {series.partial_from !== null && (
        <p className="muted">
          The point of {timeOfDay(series.partial_from)} is hatched: it is not complete yet.
          {hidden > 0 && ` ${count(hidden)} more have no line of their own.`}
        </p>
      )}
      <div className={css.charts}>
        {(by === undefined ? chartsOfAll(series) : chartsOfSplit(series)).map(({ title, lines, format }) => (
          <Card key={title} title={title}>
            <Chart
              label={title}
              times={times}
              lines={lines}
              format={format}
              partialFrom={series.partial_from}
              asTable={asTable}
              onZoom={onZoom}
            />
          </Card>
        ))}
      </div>
      <Rows by={by ?? "provider"} rows={rows} ends={ends} />
    </>
  );
}

/** Title of the table, and of its first column. */
const SUBJECTS: Record<Split, [string, string]> = {
  provider: ["Providers", "Provider"],
  model: ["Models", "Model"],
  key: ["Client keys", "Client key"],
  status: ["Statuses", "Status"],
};

function Rows({ by, rows, ends }: { by: Split; rows: TopRow[]; ends: FixedRange }) {
  const [subjects, subject] = SUBJECTS[by];
  return (
    <Card flush title={subjects}>
      <Table
        label={subjects}
        head={
          <>
            <th>{subject}</th>
            <th className="numeric">Requests</th>
            <th className="numeric">Errors</th>
            <th className="numeric">p50</th>
            <th className="numeric">p95</th>
            <th className="numeric">First token, p50</th>
            <th className="numeric">Tokens</th>
            <th className="numeric">Cost</th>
          </>
        }
      >
        {rows.map((row) => (
          <tr key={row.key}>
            <td className="break">
              {row.key === "" ? (
                <span className="muted">{labelOf("", true)}</span>
              ) : (
                <Link to="/requests" search={{ [by]: row.key, ...ends }} data-row>
                  {row.name ?? row.key}
                </Link>
              )}
            </td>
            <td className="numeric" data-label="Requests">
              {count(row.requests)}
            </td>
            <td className="numeric" data-label="Errors">
              {percent((100 * row.errors) / Math.max(1, row.requests))}
            </td>
            <td className="numeric" data-label="p50">
              {duration(row.p50)}
            </td>
            <td className="numeric" data-label="p95">
              {duration(row.p95)}
            </td>
            <td className="numeric" data-label="First token, p50">
              {duration(row.ttft50)}
            </td>
            <td className="numeric" data-label="Tokens">
              {short(row.prompt + row.completion)}
            </td>
            <td className="numeric" data-label="Cost">
              {dollars(row.cost_nano / 1e9)}
            </td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}
