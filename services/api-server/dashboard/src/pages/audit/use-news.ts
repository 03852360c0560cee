/** New entries of the log: the server tells that there are some, and which of them match the filters. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { type AuditFilters, auditNewsQuery, auditQuery } from "../../api/audit";
import { useTopic } from "../../api/topics";

/**
 * Returns how many new entries the list does not show yet, and a function that shows them. They are shown by themselves
 * while the list is at its top and nothing in it is read. `newest` is the newest entry of the list; `undefined` until it
 * is loaded.
 */
export function useNews(filters: AuditFilters, newest: number | undefined, isRead: boolean) {
  const client = useQueryClient();
  const event = useTopic("audit").at(-1)?.timestamp;
  const news = useQuery({
    ...auditNewsQuery(filters, newest ?? 0, event),
    enabled: event !== undefined && newest !== undefined,
  });
  const count = news.data ?? 0;
  const show = () => void client.invalidateQueries({ queryKey: auditQuery(filters).queryKey });
  // biome-ignore lint/correctness/useExhaustiveDependencies: the list is shown anew once for each change of the count
  useEffect(() => {
    const isAtTop = (document.getElementById("main")?.scrollTop ?? 0) === 0;
    if (count > 0 && isAtTop && !isRead) show();
  }, [count, isRead]);
  return { count, show };
}
