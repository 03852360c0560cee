import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { Fragment, useState } from "react";
import type { Schemas } from "../../api/client";
import { type AuditFilters, auditQuery } from "../../api/queries";
import { count } from "../../format/numbers";
import { exactTime, timeOfDay, UNKNOWN } from "../../format/time";
import { Button } from "../../parts/button";
import { Changes } from "../../parts/changes";
import { CopyButton } from "../../parts/copy";
import { SearchField, Select } from "../../parts/field";
import { fieldChanges } from "../../parts/field-changes";
import { Card, Empty, Facts, Loaded, Page, Stack, Table } from "../../parts/layout";
import { Mark, type Tone } from "../../parts/mark";
import css from "../requests/requests.module.css";
import local from "./audit.module.css";

const route = getRouteApi("/audit");

type Entry = Schemas["AuditEntry"];

const RESOURCES = [
  "provider",
  "provider_config",
  "model",
  "provider_model",
  "setting",
  "credential",
  "price_layer",
  "request",
];
const ACTIONS = ["created", "updated", "deleted"];
const OUTCOMES: Record<string, Tone> = { done: "ok", refused: "warn", failed: "bad" };

export default function Audit() {
  const filters = route.useSearch();
  const navigate = useNavigate({ from: "/audit" });
  const query = useInfiniteQuery(auditQuery(filters));
  const change = (changes: AuditFilters) =>
    void navigate({
      search: (old) =>
        Object.fromEntries(
          Object.entries({ ...old, ...changes }).filter(([, value]) => value !== undefined && value !== ""),
        ),
    });
  const option = (values: string[], any: string): [string, string][] => [
    ["", any],
    ...values.map((value): [string, string] => [value, value.replaceAll("_", " ")]),
  ];
  return (
    <Page title="Audit" about="Who changed what. Secrets are not in it.">
      <div className={css.filters}>
        <SearchField label="Id of what was changed" value={filters.id ?? ""} onCommit={(id) => change({ id })} />
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
          options={option(Object.keys(OUTCOMES), "Any outcome")}
        />
        {filters.actor !== undefined && (
          <Button small onClick={() => change({ actor: undefined })}>
            {filters.actor} ×
          </Button>
        )}
      </div>
      <Card flush>
        <Loaded query={query} rows={10}>
          {({ pages }) => {
            const entries = pages.flatMap((page) => page.entries);
            return entries.length === 0 ? (
              <Empty
                title="Nothing was changed"
                action={
                  Object.values(filters).some((value) => value !== undefined) ? (
                    <Button onClick={() => void navigate({ search: {} })}>Clear filters</Button>
                  ) : undefined
                }
              >
                Changes of providers, models, settings and logins appear here.
              </Empty>
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
                  <EntryRow key={entry.id} entry={entry} change={change} />
                ))}
              </Table>
            );
          }}
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

function EntryRow({ entry, change }: { entry: Entry; change: (changes: AuditFilters) => void }) {
  const [open, setOpen] = useState(false);
  return (
    <Fragment>
      <tr>
        <td className="nowrap">
          <time title={exactTime(entry.at)}>{timeOfDay(entry.at)}</time>
        </td>
        <td className="break">
          {entry.resource.replaceAll("_", " ")} <strong>{entry.resource_id}</strong> {entry.action}
        </td>
        <td className="break">
          {entry.actor ? (
            <Button
              small
              kind="quiet"
              className={local.actor}
              onClick={() => change({ actor: entry.actor ?? undefined })}
              title="Show only changes by this one"
            >
              {entry.actor}
            </Button>
          ) : (
            "SQL"
          )}
        </td>
        <td>
          <Mark tone={OUTCOMES[entry.outcome] ?? "off"}>{entry.outcome}</Mark>
        </td>
        <td className="numeric">
          <Button small aria-expanded={open} onClick={() => setOpen(!open)} data-row>
            {open ? "Less" : "More"}
          </Button>
        </td>
      </tr>
      {open && (
        <tr>
          <td colSpan={5}>
            <Details entry={entry} change={change} />
          </td>
        </tr>
      )}
    </Fragment>
  );
}

function Details({ entry, change }: { entry: Entry; change: (changes: AuditFilters) => void }) {
  const changes = fieldChanges(entry.before, entry.after);
  return (
    <Stack>
      {changes.length > 0 && <Changes changes={changes} />}
      <Facts
        facts={[
          [
            "Request",
            entry.request_id ? (
              <Fragment key="id">
                <code>{entry.request_id}</code> <CopyButton small text={entry.request_id} label="Copy request id" />
              </Fragment>
            ) : (
              UNKNOWN
            ),
          ],
          ["Sent as", entry.method ? <code key="line">{`${entry.method} ${entry.path ?? ""}`}</code> : UNKNOWN],
        ]}
      />
      <div>
        <Button small onClick={() => change({ resource: entry.resource, id: entry.resource_id })}>
          All changes of {entry.resource_id}
        </Button>
      </div>
    </Stack>
  );
}
