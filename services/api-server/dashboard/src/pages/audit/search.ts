import type { AuditFilters } from "../../api/queries";
import { textParam } from "../../app/search";

export function auditSearch(raw: Record<string, unknown>): AuditFilters {
  return {
    actor: textParam(raw, "actor"),
    action: textParam(raw, "action"),
    resource: textParam(raw, "resource"),
    id: textParam(raw, "id"),
    outcome: textParam(raw, "outcome"),
  };
}
