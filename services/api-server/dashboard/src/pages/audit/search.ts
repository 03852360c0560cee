import type { AuditFilters } from "../../api/audit";
import { numberParam, textParam, wordParam } from "../../app/search";
import { type ListRange, RANGE_NAMES } from "../../format/ranges";

export function auditSearch(raw: Record<string, unknown>): AuditFilters {
  return {
    actor: textParam(raw, "actor"),
    action: textParam(raw, "action"),
    resource: textParam(raw, "resource"),
    id: textParam(raw, "id"),
    outcome: textParam(raw, "outcome"),
    request: textParam(raw, "request"),
    range: wordParam<ListRange>(raw, "range", [...RANGE_NAMES, "any"]),
    from: numberParam(raw, "from"),
    to: numberParam(raw, "to"),
  };
}
