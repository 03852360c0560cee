/** Keeps the figures of the overview up to date. */

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { OVERVIEW } from "../../api/overview";
import { useRequestEvents } from "../../api/request-events";
import { useConnection } from "../../api/socket";

/** Milliseconds in which the end of a request is in the log, and in which several requests make one look. */
const LOOK_AFTER = 1_500;

/** Reads the figures again when requests have begun or ended, however many there are. */
export function useFreshFigures(): void {
  const client = useQueryClient();
  const news = useConnection((state) => state.news);
  const { ended } = useRequestEvents({});
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => {
    if (news === 0 && ended === 0) return;
    // Further requests do not put it off.
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      void client.invalidateQueries({ queryKey: [OVERVIEW] });
    }, LOOK_AFTER);
  }, [client, news, ended]);
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = undefined;
    },
    [],
  );
}
