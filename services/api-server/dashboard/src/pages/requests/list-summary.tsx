/** The line above the rows: how many there are, what is new, and where to begin. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { InFlightRequest } from "../../api/in-flight";
import { totalQuery } from "../../api/request-list";
import { useConnection } from "../../api/socket";
import { count, plural } from "../../format/numbers";
import { fromLocalInput, timeOfDay, toLocalInput } from "../../format/time";
import { Button } from "../../parts/button";
import { Download } from "../../parts/icons";
import { ColumnChoice } from "./column-choice";
import { InFlightCount } from "./in-flight-rows";
import css from "./list.module.css";
import { Popover } from "./popover";
import { isFiltered, type ListSearch } from "./search";

interface SummaryProps {
  search: ListSearch;
  filters: ListSearch;
  /** Rows that are loaded. */
  found: number;
  searched: number;
  searching: boolean;
  /** Whether the loaded rows are all that match. */
  isAll: boolean;
  inFlight: InFlightRequest[];
  /** Requests that match the filters, and have ended since the list was loaded. */
  ended: number;
  refreshing: boolean;
  change: (changes: ListSearch) => void;
  showNew: () => void;
  onExport: () => void;
}

export function Summary(props: SummaryProps) {
  const { search, filters, found, searched, searching, isAll, inFlight, ended, refreshing } = props;
  const { change, showNew, onExport } = props;
  const { news } = useConnection();
  const { q, at } = search;
  const total = useQuery({ ...totalQuery(filters), enabled: q === undefined && !isAll });
  const number = isAll ? found : total.data;
  return (
    <div className={css.summary}>
      <span role="status">
        {q !== undefined
          ? `${count(found)} found in ${plural(searched, "request")}${searching ? ", so far" : ""}`
          : number === undefined
            ? "Counting…"
            : plural(number, "request")}
      </span>
      {at !== undefined && (
        <Button small onClick={() => change({ at: undefined })} title="Begin with the newest ones again">
          Begins at {timeOfDay(at)} ×
        </Button>
      )}
      <InFlightCount requests={inFlight} />
      {news > 0 && (
        <Button small kind="primary" pending={refreshing} onClick={at === undefined ? showNew : () => change({})}>
          {newsWords(news, isFiltered(search), q === undefined ? ended : 0)}
        </Button>
      )}
      <span className={css.tools}>
        {q === undefined && <JumpTo at={at} change={change} />}
        <Button small kind="quiet" icon={Download} onClick={onExport}>
          Export
        </Button>
        <ColumnChoice />
      </span>
    </div>
  );
}

/** Returns what the button says that shows new requests. Those that match are known only while the page is open. */
export function newsWords(news: number, filtered: boolean, matching: number): string {
  if (!filtered) return `Show ${count(news)} new`;
  return matching > 0 ? `Show ${count(matching)} new that match` : `${count(news)} new in the log: look again`;
}

/** Lets the list begin at a time. */
function JumpTo({ at, change }: { at: number | undefined; change: (changes: ListSearch) => void }) {
  const [text, setText] = useState("");
  const given = text || toLocalInput(at);
  const chosen = fromLocalInput(given);
  const go = () => {
    // The field has minutes: the whole one is shown.
    if (chosen !== undefined) change({ at: chosen + 59_999 });
  };
  return (
    <Popover name="Go to a time" button="Go to time" small onClose={() => setText("")}>
      <input
        type="datetime-local"
        aria-label="Time"
        value={given}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") go();
        }}
      />
      <Button
        small
        kind="primary"
        disabledBecause={chosen === undefined ? "Choose a time first" : undefined}
        onClick={go}
      >
        Go
      </Button>
    </Popover>
  );
}
