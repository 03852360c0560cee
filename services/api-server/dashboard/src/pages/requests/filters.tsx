/** Filters of the list. All of them are in the address. */

import { useQuery } from "@tanstack/react-query";
import { useCallback, useId, useState } from "react";
import { keysQuery } from "../../api/access-queries";
import { facetsQuery, rangeOf } from "../../api/request-list";
import { Button, classes } from "../../parts/button";
import { SearchField } from "../../parts/field";
import { X } from "../../parts/icons";
import { TimeFilter } from "../../parts/time-filter";
import { ChoiceFilter, type Option } from "./choice";
import { filterWords } from "./filter-words";
import { keep } from "./kept";
import css from "./list.module.css";
import { MoreFilters } from "./more-filters";
import shared from "./requests.module.css";
import { type ListSearch, STATUSES } from "./search";
import { statusWords } from "./status-words";

interface FiltersProps {
  search: ListSearch;
  change: (changes: ListSearch) => void;
  clear: () => void;
}

export function Filters({ search, change, clear }: FiltersProps) {
  const [wanted, setWanted] = useState(false);
  const [more, setMore] = useState(() => hasMore(search));
  const [folded, setFolded] = useState(true);
  const id = useId();
  const facets = useQuery({ ...facetsQuery(search), enabled: wanted });
  const keys = useQuery({ ...keysQuery, enabled: more || search.key !== undefined });
  const commit = useCallback((q: string) => change({ q: q || undefined }), [change]);
  const known = facets.data;
  const options = (values: { value: string; requests: number }[] | undefined): Option[] =>
    (values ?? []).filter(({ value }) => value !== "");
  const load = useCallback(() => setWanted(true), []);
  const keyName = (key: string) => keys.data?.find((one) => one.id === key)?.name ?? key;
  const words = filterWords(search, keyName);
  return (
    <>
      <div className={classes(shared.filters, css.folding)} data-folded={folded}>
        <SearchField label="Search in questions and answers" value={search.q ?? ""} onCommit={commit} />
        <Button className={css.toggle} aria-expanded={!folded} onClick={() => setFolded(!folded)}>
          Filters{words.length > 0 && ` (${words.length})`}
        </Button>
        <ChoiceFilter
          name="State"
          any="Any state"
          value={search.status}
          options={Object.keys(STATUSES).map((status) => ({
            value: status,
            label: statusWords(status),
            requests: known?.statuses.find(({ value }) => value === status)?.requests,
          }))}
          onChange={(status) => change({ status })}
          onOpen={load}
        />
        <ChoiceFilter
          name="Model"
          any="Any model"
          value={search.model}
          options={options(known?.models)}
          onChange={(model) => change({ model })}
          onOpen={load}
        />
        <ChoiceFilter
          name="Provider"
          any="Any provider"
          value={search.provider}
          options={options(known?.providers)}
          onChange={(provider) => change({ provider })}
          onOpen={load}
        />
        <TimeFilter
          range={rangeOf(search)}
          ends={search}
          onChange={(time) => {
            if (time.range !== undefined) keep({ range: time.range });
            change(time);
          }}
        />
        <Button aria-expanded={more} aria-controls={id} onClick={() => setMore(!more)}>
          {more ? "Fewer filters" : "More filters"}
        </Button>
      </div>
      <div id={id} hidden={!more}>
        {more && <MoreFilters search={search} change={change} keys={keys.data} facets={known} load={load} />}
      </div>
      {words.length > 0 && (
        <div className={css.chips}>
          {words.map(({ name, words, without }) => (
            <Button
              key={name + words}
              small
              aria-label={`Clear ${name.toLowerCase()}: ${words}`}
              onClick={() => change(without)}
            >
              <span>
                {name}: {words}
              </span>
              <X size={13} aria-hidden="true" />
            </Button>
          ))}
          <Button small kind="quiet" onClick={clear}>
            Clear filters
          </Button>
        </div>
      )}
    </>
  );
}

/** Returns whether filters are set that are folded otherwise. */
function hasMore({ key, path, stream, has_error, error, min_ms, max_ms }: ListSearch): boolean {
  return [key, path, stream, has_error, error, min_ms, max_ms].some((value) => value !== undefined);
}
