/** Export of the requests of a list, or of marked ones. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import {
  EXPORT_FORMATS,
  type ExportFormat,
  exportCountQuery,
  exportUrl,
  type RequestRow,
} from "../../api/request-list";
import { address } from "../../app/base";
import { plural } from "../../format/numbers";
import { useAction } from "../../parts/action";
import { Button, buttonClass } from "../../parts/button";
import { Dialog, DialogBody } from "../../parts/dialog";
import { SelectField } from "../../parts/field";
import { Download } from "../../parts/icons";
import { Failure } from "../../parts/layout";
import { type FilterWords, rangeWords } from "./filter-words";
import { exportOf } from "./marked";
import type { ListSearch } from "./search";

const FORMATS: Record<ExportFormat, string> = {
  ndjson: "JSON lines: a JSON object per request",
  csv: "CSV: a table, for spreadsheets",
};

interface ExportProps {
  filters: ListSearch;
  words: FilterWords[];
  /** Requests that are exported instead of those of the filters. */
  rows?: RequestRow[] | undefined;
  onClose: () => void;
}

export default function ExportDialog({ filters, words, rows, onClose }: ExportProps) {
  const [format, setFormat] = useState<ExportFormat>("ndjson");
  // A range that ends now ends when the dialog was opened: the number is that of the file.
  const [now] = useState(Date.now);
  const url = exportUrl(filters, format, now);
  const counted = useQuery({ ...exportCountQuery(exportUrl(filters, "ndjson", now)), enabled: rows === undefined });
  const total = rows ? rows.length : counted.data;
  const marked = useAction((rows: RequestRow[]) => exportOf(rows, format), {
    after: ({ text }) => saveAs(`requests.${format}`, text, format),
    done: ({ found }) =>
      found < (rows?.length ?? 0) ? `${plural(found, "request")} saved; the log has no more of them` : undefined,
  });
  return (
    <Dialog title="Export" onClose={onClose}>
      <DialogBody
        title="Export"
        actions={
          <>
            <Button onClick={onClose}>Close</Button>
            {rows ? (
              <Button kind="primary" icon={Download} pending={marked.pending} onClick={() => marked.run(rows)}>
                Download
              </Button>
            ) : (
              <a className={buttonClass("primary")} href={address(url)} download={`requests.${format}`}>
                <Download size={16} aria-hidden="true" />
                Download
              </a>
            )}
          </>
        }
      >
        <p role="status">
          {total === undefined && !counted.error && "Counting…"}
          {total === null && "The number of requests is not known before they are read."}
          {typeof total === "number" && <strong>{plural(total, "request")}</strong>}
          {rows === undefined && (
            <>
              {" "}
              of {rangeWords(filters)}
              {words.length > 0 && `; ${words.map(({ name, words }) => `${name.toLowerCase()}: ${words}`).join("; ")}`}.
            </>
          )}
        </p>
        {counted.error && <Failure title="They could not be counted." error={counted.error} />}
        {marked.problem && <Failure title="They could not be exported." error={marked.problem} />}
        <SelectField
          label="Format"
          value={format}
          options={EXPORT_FORMATS.map((name): [string, string] => [name, FORMATS[name]])}
          onChange={(value) => setFormat(value as ExportFormat)}
          hint="Each has state, times, tokens, cost and sizes; questions and answers are not in it."
        />
        {rows === undefined && (
          <p className="muted">
            The browser shows how far it is, and can stop it. Rows are read while they are sent, so that it may be of
            any length.
          </p>
        )}
      </DialogBody>
    </Dialog>
  );
}

const TYPES: Record<ExportFormat, string> = { ndjson: "application/x-ndjson", csv: "text/csv" };

function saveAs(name: string, text: string, format: ExportFormat): void {
  const url = URL.createObjectURL(new Blob([text], { type: TYPES[format] }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
