/** A search through the texts of the log, which goes on by itself. */

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { totalQuery } from "../../api/request-list";
import { count, plural } from "../../format/numbers";
import { Button, Spinner } from "../../parts/button";
import { Notice } from "../../parts/layout";
import type { ListSearch } from "./search";

/** Results after which a search waits to be told to go on. */
const ENOUGH = 50;

interface SearchOnProps {
  found: number;
  searched: number;
  filters: ListSearch;
  failed: boolean;
  fetching: boolean;
  searchOn: () => void;
}

/** Goes on with a search, a part of the log at a time, until there are enough results or it is stopped. */
export function SearchOn({ found, searched, filters, failed, fetching, searchOn }: SearchOnProps) {
  const [stopped, setStopped] = useState(false);
  const { data: total } = useQuery(totalQuery({ ...filters, q: undefined }));
  const goesOn = found < ENOUGH && !failed && !stopped;
  // biome-ignore lint/correctness/useExhaustiveDependencies: each part that has arrived asks for the next one
  useEffect(() => {
    if (goesOn && !fetching) searchOn();
  }, [goesOn, fetching]);
  return (
    <Notice
      action={
        goesOn ? (
          <Button small onClick={() => setStopped(true)}>
            Stop
          </Button>
        ) : (
          <Button small pending={fetching} onClick={searchOn}>
            Search on
          </Button>
        )
      }
    >
      {goesOn && <Spinner />} {plural(searched, "request")}
      {total !== undefined && ` of ${count(total)}`} were searched.
    </Notice>
  );
}
