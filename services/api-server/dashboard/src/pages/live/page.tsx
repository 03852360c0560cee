import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { asProblem, Problem } from "../../api/problem";
import { count } from "../../format/numbers";
import { endsOf } from "../../format/ranges";
import { timeOfDay } from "../../format/time";
import { Button, buttonClass } from "../../parts/button";
import { Chart } from "../../parts/chart";
import { Select, Switch } from "../../parts/field";
import { Pause, Play } from "../../parts/icons";
import { Card, Empty, Failure, Loaded, Page } from "../../parts/layout";
import { RangeChoice } from "../../parts/range";
import { statusWords } from "../requests/status-words";
import { type ChartData, chartsOfAll, chartsOfSplit, errorChart, hiddenLines, timesOf } from "./charts";
import { DEFAULT_RANGE, type Figures, useFigures } from "./figures";
import css from "./live.module.css";
import { Now } from "./now";
import { Rows } from "./rows";
import type { LiveSearch, Split } from "./search";

const route = getRouteApi("/live");

const RANGES = ["15m", "1h", "6h", "24h", "7d", "30d", "90d"] as const;

export default function Live() {
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/live" });
  const query = useFigures(search);
  const [asTable, setAsTable] = useState(false);
  const { by, compare, paused } = search;
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
          ends={query.data?.ends ?? endsOf(search, DEFAULT_RANGE, Date.now())}
          fallback={DEFAULT_RANGE}
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
        <Switch
          label="The period before"
          checked={compare === true}
          onChange={(on) => change({ compare: on || undefined })}
        />
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

/** Returns the charts of all requests, with that of the errors beside that of the requests; or those of a subject. */
function chartsOf({ series, errors, before }: Figures, by: Split | undefined): ChartData[] {
  if (by !== undefined) return chartsOfSplit(series, by);
  const earlier = before === null || before instanceof Problem ? undefined : before.series;
  const [requests, ...others] = chartsOfAll(series, earlier);
  const byStatus = errors && errorChart(errors, statusWords);
  return [requests, byStatus, ...others].filter((chart) => chart != null);
}

function Charts({ figures, by, asTable, onZoom }: ChartsProps) {
  const navigate = useNavigate();
  const { series, rows, ends, before } = figures;
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
  const show = ({ lines }: ChartData, at: number, line: number | null) => {
    const from = times[at]!;
    const filters = line === null ? undefined : lines[line]?.filters;
    void navigate({ to: "/requests", search: { ...filters, from, to: from + series.step - 1 } });
  };
  return (
    <>
      {before instanceof Problem && <Failure title="The period before could not be read." error={before} />}
      <p className="muted">
        A point shows its requests when it is chosen; drag over several to zoom.
        {series.partial_from !== null &&
          ` That of ${timeOfDay(series.partial_from)} is hatched: it is not complete yet.`}
        {hidden > 0 && ` ${count(hidden)} more have no line of their own.`}
      </p>
      <div className={css.charts}>
        {chartsOf(figures, by).map((chart) => (
          <Card key={chart.title} title={chart.title}>
            <Chart
              label={chart.title}
              times={times}
              lines={chart.lines}
              format={chart.format}
              partialFrom={series.partial_from}
              asTable={asTable}
              onZoom={onZoom}
              onPick={(at, line) => show(chart, at, line)}
            />
          </Card>
        ))}
      </div>
      <Rows
        by={by ?? "provider"}
        rows={rows}
        before={before === null || before instanceof Problem ? null : before.rows}
        ends={ends}
      />
    </>
  );
}
