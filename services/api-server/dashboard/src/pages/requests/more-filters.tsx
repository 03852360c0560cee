/** Filters that are needed less often. */

import { useEffect, useState } from "react";
import type { KeyView } from "../../api/access-queries";
import type { Facets } from "../../api/request-list";
import { duration } from "../../format/time";
import { SelectField, TextField } from "../../parts/field";
import { milliseconds } from "./filter-words";
import css from "./list.module.css";
import type { ListSearch } from "./search";

/** Paths of the APIs that answer requests. */
const PATHS = [
  "/v1/chat/completions",
  "/v1/messages",
  "/v1/responses",
  "/v1/completions",
  "/v1/embeddings",
  "/v1/moderations",
  "/v1/rerank",
];

interface Props {
  search: ListSearch;
  change: (changes: ListSearch) => void;
  keys: KeyView[] | undefined;
  facets: Facets | undefined;
  /** Loads the values that requests have. */
  load: () => void;
}

export function MoreFilters({ search, change, keys, facets, load }: Props) {
  // Keys that are deleted are in the sums only.
  useEffect(load, [load]);
  const named = new Map((keys ?? []).map(({ id, name }) => [id, name]));
  const ids = new Set([...named.keys(), ...(facets?.keys ?? []).map(({ value }) => value), search.key ?? ""]);
  const flag = (value: string) => (value === "" ? undefined : value === "true");
  const paths = [...new Set([...PATHS, search.path ?? ""])].filter((path) => path !== "");
  return (
    <div className={css.more}>
      <SelectField
        label="Client key"
        value={search.key ?? ""}
        onChange={(key) => change({ key: key || undefined })}
        options={[
          ["", "Any key"],
          ...[...ids].filter((id) => id !== "").map((id): [string, string] => [id, named.get(id) ?? id]),
        ]}
      />
      <SelectField
        label="API"
        value={search.path ?? ""}
        onChange={(path) => change({ path: path || undefined })}
        options={[["", "Any API"], ...paths.map((path): [string, string] => [path, path])]}
      />
      <SelectField
        label="Streaming"
        value={search.stream === undefined ? "" : String(search.stream)}
        onChange={(value) => change({ stream: flag(value) })}
        options={[
          ["", "Any mode"],
          ["true", "Streamed"],
          ["false", "Whole"],
        ]}
      />
      <SelectField
        label="Errors"
        value={search.has_error === undefined ? "" : String(search.has_error)}
        onChange={(value) => change({ has_error: flag(value) })}
        options={[
          ["", "With or without"],
          ["true", "With an error"],
          ["false", "Without an error"],
        ]}
      />
      <Committed label="Text in the error" value={search.error ?? ""} commit={(error) => change({ error })} />
      <Committed label="Session id" value={search.session ?? ""} commit={(session) => change({ session })} />
      <TimeLimit label="Took at least" value={search.min_ms} commit={(min_ms) => change({ min_ms })} />
      <TimeLimit label="Took at most" value={search.max_ms} commit={(max_ms) => change({ max_ms })} />
    </div>
  );
}

interface CommittedProps<T> {
  label: string;
  value: T;
  commit: (value: T | undefined) => void;
}

/** A field whose text counts once it is left, or with Enter. */
function Committed({ label, value, commit }: CommittedProps<string>) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const done = () => {
    if (text.trim() !== value) commit(text.trim() || undefined);
  };
  return (
    <TextField
      label={label}
      value={text}
      onChange={setText}
      onBlur={done}
      onKeyDown={(event) => {
        if (event.key === "Enter") done();
      }}
    />
  );
}

function TimeLimit({ label, value, commit }: CommittedProps<number | undefined>) {
  const shown = value === undefined ? "" : value % 1000 === 0 ? `${value / 1000} s` : `${value} ms`;
  const [text, setText] = useState(shown);
  useEffect(() => setText(shown), [shown]);
  const parsed = milliseconds(text);
  const done = () => {
    if (parsed !== null && parsed !== value) commit(parsed);
  };
  return (
    <TextField
      label={label}
      value={text}
      placeholder="5 s"
      hint={parsed ? duration(parsed) : "Such as 5 s, 800 ms or 2 min"}
      mistakes={parsed === null ? ["Enter a time such as 5 s, 800 ms or 2 min"] : undefined}
      onChange={setText}
      onBlur={done}
      onKeyDown={(event) => {
        if (event.key === "Enter") done();
      }}
    />
  );
}
