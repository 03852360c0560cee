/** A change, and what is known about it. */

import { Fragment, type ReactNode } from "react";
import type { AuditEntry, AuditFilters } from "../../api/audit";
import { exactTime, timeOfDay, UNKNOWN } from "../../format/time";
import { Button, Row } from "../../parts/button";
import { Changes } from "../../parts/changes";
import { CopyButton } from "../../parts/copy";
import { fieldChanges } from "../../parts/field-changes";
import { Facts, Stack } from "../../parts/layout";
import { Mark } from "../../parts/mark";
import css from "./audit.module.css";
import { changeWords, OUTCOMES } from "./words";

interface RowProps {
  entry: AuditEntry;
  isOpen: boolean;
  onToggle: () => void;
  change: (changes: AuditFilters) => void;
}

export function EntryRow({ entry, isOpen, onToggle, change }: RowProps) {
  const [kind, name, action] = changeWords(entry);
  return (
    <Fragment>
      <tr>
        <td className="nowrap">
          <time title={exactTime(entry.at)}>{timeOfDay(entry.at)}</time>
        </td>
        <td className="break">
          {kind} <strong title={entry.resource_id}>{name}</strong> {action}
        </td>
        <td className="break">
          {entry.actor ? (
            <Button
              small
              kind="quiet"
              className={css.actor}
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
          <Button small aria-expanded={isOpen} onClick={onToggle} data-row>
            {isOpen ? "Less" : "More"}
          </Button>
        </td>
      </tr>
      {isOpen && (
        <tr>
          <td colSpan={5}>
            <Details entry={entry} change={change} />
          </td>
        </tr>
      )}
    </Fragment>
  );
}

function Details({ entry, change }: Pick<RowProps, "entry" | "change">) {
  const { resource, resource_id: id, request_id: request, method, path, status } = entry;
  const changes = fieldChanges(entry.before, entry.after);
  const [, name] = changeWords(entry);
  return (
    <Stack>
      {changes.length > 0 && <Changes changes={changes} />}
      <Facts
        facts={[
          ...(name === id ? [] : [["Id", <code key="id">{id}</code>] as [string, ReactNode]]),
          [
            "Request",
            request ? (
              <Fragment key="id">
                <code>{request}</code> <CopyButton small text={request} label="Copy request id" />
              </Fragment>
            ) : (
              UNKNOWN
            ),
          ],
          ["Sent as", method ? <code key="line">{`${method} ${path ?? ""}`}</code> : UNKNOWN],
          ...(status == null ? [] : [["Answered with", String(status)] as [string, string]]),
        ]}
      />
      <Row>
        <Button small onClick={() => change({ resource, id })}>
          All changes of this thing
        </Button>
        {request && (
          <Button small onClick={() => change({ request })}>
            All changes of this request
          </Button>
        )}
      </Row>
    </Stack>
  );
}
