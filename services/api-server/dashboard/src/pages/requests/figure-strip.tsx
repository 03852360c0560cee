/** Sums over the requests of the list, and their number over time. */

import { useQuery } from "@tanstack/react-query";
import { figuresQuery, isSummed } from "../../api/request-figures";
import { type RequestRow, totalQuery } from "../../api/request-list";
import { count, dollars, percent, short } from "../../format/numbers";
import { duration, UNKNOWN } from "../../format/time";
import { Failure } from "../../parts/layout";
import { barsOf, type Sums, sumsOfAll, sumsOfRows } from "./figures";
import { filtersOf } from "./filter-words";
import { Histogram } from "./histogram";
import css from "./list.module.css";
import type { ListSearch } from "./search";

interface StripProps {
  search: ListSearch;
  rows: RequestRow[];
  /** Whether the rows are all that match. */
  isAll: boolean;
  change: (changes: ListSearch) => void;
}

export default function FigureStrip({ search, rows, isAll, change }: StripProps) {
  const filters = filtersOf(search);
  const summed = isSummed(filters);
  const figures = useQuery(figuresQuery(filters));
  // A text is not counted: the server would have to read all bodies.
  const counted = !summed && filters.q === undefined && !isAll;
  const total = useQuery({ ...totalQuery(filters), enabled: counted });
  const failed = useQuery({ ...totalQuery({ ...filters, has_error: true }), enabled: counted });
  if (figures.error) {
    return (
      <Failure title="The figures could not be loaded." error={figures.error} retry={() => void figures.refetch()} />
    );
  }
  const data = figures.data;
  const sums = data && summed ? sumsOfAll(data, rows) : sumsOfRows(rows);
  if (counted) {
    sums.requests = total.data ?? null;
    sums.failed = filters.has_error === false ? 0 : (failed.data ?? null);
  }
  return (
    <section className={css.figures} aria-label="Figures">
      <Sum sums={sums} ghost={data === undefined} />
      {data && (
        <Histogram
          bars={barsOf(data.points)}
          onRange={(from, to) => change({ range: undefined, from, to: to - 1 })}
          onTime={filters.q === undefined ? (at) => change({ at }) : undefined}
        />
      )}
      <Note summed={summed} isAll={isAll} rows={rows.length} onlyText={filters.q !== undefined} />
    </section>
  );
}

function Sum({ sums, ghost }: { sums: Sums; ghost: boolean }) {
  const { requests, failed, prompt, completion, cost, unpriced, p50, p95, measured } = sums;
  const share = requests && failed !== null ? percent((100 * failed) / requests) : undefined;
  const of = measured !== null && measured > 0 && `of ${count(measured)} rows`;
  const facts: [string, string, string | false | undefined][] = [
    ["Requests", count(requests), undefined],
    ["Failed", count(failed), share],
    ["Tokens in", short(prompt), undefined],
    ["Tokens out", short(completion), undefined],
    [
      "Cost",
      unpriced !== null && unpriced > 0 && cost === 0 ? UNKNOWN : dollars(cost),
      unpriced ? `${count(unpriced)} unknown` : undefined,
    ],
    ["p50", duration(p50), of],
    ["p95", duration(p95), of],
  ];
  return (
    <dl aria-busy={ghost}>
      {facts.map(([name, value, more]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            {value} {more && <small>{more}</small>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** Says which of the figures are not about all requests of the list. */
function Note(props: { summed: boolean; isAll: boolean; rows: number; onlyText: boolean }) {
  const { summed, isAll, rows, onlyText } = props;
  if (summed || isAll) return null;
  const what = onlyText ? "All figures" : "Tokens, cost and durations";
  return (
    <p className={css.note}>
      {what} are of the {count(rows)} rows that are loaded: sums are kept by model and provider only. The bars leave
      other filters out.
    </p>
  );
}
