import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { type AuditFilters, auditQuery, auditRange } from "../../api/audit";
import { count, plural } from "../../format/numbers";
import { Button } from "../../parts/button";
import { SearchField, Select } from "../../parts/field";
import { Card, Empty, Loaded, Page, Table } from "../../parts/layout";
import { TimeFilter } from "../../parts/time-filter";
import css from "../requests/requests.module.css";
import { EntryRow } from "./entry-row";
import { useNews } from "./use-news";
import { ACTIONS, OUTCOMES, RESOURCES } from "./words";

const route = getRouteApi("/audit");

export default function Audit() {
  const filters = route.useSearch();
  const navigate = useNavigate({ from: "/audit" });
  const query = useInfiniteQuery(auditQuery(filters));
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set());
  const entries = query.data?.pages.flatMap((page) => page.entries);
  const news = useNews(filters, entries && (entries[0]?.id ?? 0), open.size > 0);
  const change = (changes: AuditFilters) =>
    void navigate({
      search: (old) =>
        Object.fromEntries(
          Object.entries({ ...old, ...changes }).filter(([, value]) => value !== undefined && value !== ""),
        ),
    });
  const option = (words: Record<string, string>, any: string): [string, string][] => [
    ["", any],
    ...Object.entries(words),
  ];
  return (
    <Page title="Audit" about="Who changed what. Secrets are not in it.">
      <div className={css.filters}>
        <SearchField label="Id of what was changed" value={filters.id ?? ""} onCommit={(id) => change({ id })} />
        <SearchField label="Request id" value={filters.request ?? ""} onCommit={(request) => change({ request })} />
        <Select
          aria-label="Thing"
          value={filters.resource ?? ""}
          onChange={(resource) => change({ resource })}
          options={option(RESOURCES, "Any kind")}
        />
        <Select
          aria-label="Action"
          value={filters.action ?? ""}
          onChange={(action) => change({ action })}
          options={option(ACTIONS, "Any action")}
        />
        <Select
          aria-label="Outcome"
          value={filters.outcome ?? ""}
          onChange={(outcome) => change({ outcome })}
          options={option(Object.fromEntries(Object.keys(OUTCOMES).map((word) => [word, word])), "Any outcome")}
        />
        <TimeFilter range={auditRange(filters)} ends={filters} onChange={change} />
        {filters.actor !== undefined && (
          <Button small onClick={() => change({ actor: undefined })}>
            {filters.actor} ×
          </Button>
        )}
      </div>
      {news.count > 0 && (
        <div role="status">
          <Button small onClick={news.show}>
            Show {plural(news.count, "new change")}
          </Button>
        </div>
      )}
      <Card flush>
        <Loaded query={{ ...query, data: entries }} rows={10}>
          {(entries) =>
            entries.length === 0 ? (
              <Nothing filters={filters} clear={() => void navigate({ search: {} })} />
            ) : (
              <Table
                label={`${count(entries.length)} changes`}
                head={
                  <>
                    <th>Time</th>
                    <th>Change</th>
                    <th>By</th>
                    <th>Outcome</th>
                    <th>
                      <span className="visually-hidden">Details</span>
                    </th>
                  </>
                }
              >
                {entries.map((entry) => (
                  <EntryRow
                    key={entry.id}
                    entry={entry}
                    isOpen={open.has(entry.id)}
                    onToggle={() => setOpen((old) => toggled(old, entry.id))}
                    change={change}
                  />
                ))}
              </Table>
            )
          }
        </Loaded>
      </Card>
      {query.hasNextPage && (
        <div>
          <Button pending={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            Show older changes
          </Button>
        </div>
      )}
    </Page>
  );
}

function toggled(open: ReadonlySet<number>, id: number): Set<number> {
  const next = new Set(open);
  if (!next.delete(id)) next.add(id);
  return next;
}

function Nothing({ filters, clear }: { filters: AuditFilters; clear: () => void }) {
  const isFiltered = Object.values(filters).some((value) => value !== undefined);
  return isFiltered ? (
    <Empty title="Nothing matches" action={<Button onClick={clear}>Clear filters</Button>}>
      No change has all of this. Drop a filter, or widen the time.
    </Empty>
  ) : (
    <Empty title="Nothing was changed">
      Changes of providers, models, routes, keys, prices, settings and logins appear here, and commands to services.
    </Empty>
  );
}
