/** The table in force: all layers, with the one that each price comes from. */

import { useState } from "react";
import type { Schemas } from "../../api/client";
import { count } from "../../format/numbers";
import { Button, Row } from "../../parts/button";
import { SearchField, Select } from "../../parts/field";
import { Card, Empty, Table } from "../../parts/layout";
import { Tag } from "../../parts/mark";
import { foundIn, LAYERS, type Layer, type PriceRow, perMillion, priceOf, replacedIds } from "./rows";

export type PriceTable = Schemas["PriceTable"];

/** Rows that are shown at first, and that each press of the button adds. */
const SHOWN = 200;

interface TableProps {
  table: PriceTable;
  wanted: string;
  layer: Layer | undefined;
  onSearch: (text: string) => void;
  onLayer: (layer: Layer | undefined) => void;
  /** Begins a price of the user's own for a row. */
  onOverride: (row: PriceRow) => void;
}

export function PricesInForce({ table, wanted, layer, onSearch, onLayer, onOverride }: TableProps) {
  const [shown, setShown] = useState(SHOWN);
  const { prices } = table;
  const found = foundIn(prices, wanted, layer);
  const replaced = replacedIds(prices);
  const layers = LAYERS.filter(([name]) => prices.some(({ source }) => source === name));
  return (
    <>
      <Row>
        <SearchField label="Search models" value={wanted} onCommit={onSearch} />
        {layers.length > 1 && (
          <div>
            <Select
              aria-label="Layer"
              value={layer ?? ""}
              onChange={(value) => onLayer(LAYERS.find(([name]) => name === value)?.[0])}
              options={[["", "All layers"], ...layers.map(([name, words]): [string, string] => [name, words])]}
            />
          </div>
        )}
        <span className="muted" role="status">
          {count(found.length)} of {count(prices.length)}
        </span>
      </Row>
      <Card flush>
        {found.length === 0 ? (
          <Empty title="No price for this name">
            A model without a price is logged with its tokens, and its cost is unknown, which is not zero.
          </Empty>
        ) : (
          <Table
            label="Prices"
            head={
              <>
                <th>Model</th>
                <th className="numeric">Input</th>
                <th className="numeric">Output</th>
                <th className="numeric">Cache read</th>
                <th className="numeric">Cache write</th>
                <th>Conditions</th>
                <th>
                  <span className="visually-hidden">Actions</span>
                </th>
              </>
            }
          >
            {found.slice(0, shown).map((row) => (
              <PriceLine
                key={`${row.source} ${row.id} ${row.digest}`}
                row={row}
                isReplaced={row.source !== "api" && replaced.has(row.id.toLowerCase())}
                onOverride={onOverride}
              />
            ))}
          </Table>
        )}
      </Card>
      {found.length > shown && (
        <Row>
          <Button onClick={() => setShown(shown + SHOWN)}>
            Show {count(Math.min(SHOWN, found.length - shown))} more
          </Button>
        </Row>
      )}
    </>
  );
}

interface LineProps {
  row: PriceRow;
  /** Whether a row of the user's own has the same name. */
  isReplaced: boolean;
  onOverride: (row: PriceRow) => void;
}

function PriceLine({ row, isReplaced, onOverride }: LineProps) {
  const price = priceOf(row);
  const isOwn = row.source === "api";
  return (
    <tr>
      <td className="break">
        {price.id} {isOwn && <Tag tone="ok">yours</Tag>}
        {row.source === "file" && <Tag title="Of the file that was imported last">imported</Tag>}
        {isReplaced && <Tag title="A price of yours has the same name, and wins while it is valid">replaced</Tag>}
        {!price.verified && !isOwn && <Tag title="Not compared with the vendor's own price page">unverified</Tag>}
      </td>
      <Amount label="Input" value={price.input} />
      <Amount label="Output" value={price.output} />
      <Amount label="Cache read" value={price.cacheRead} />
      <Amount label="Cache write" value={price.cacheWrite} />
      <td className="muted">
        {price.conditions.map((condition) => (
          <div key={condition}>{condition}</div>
        ))}
        {price.note}
      </td>
      <td>
        <Button small kind="quiet" aria-label={`Change the price of ${price.id}`} onClick={() => onOverride(row)}>
          Change
        </Button>
      </td>
    </tr>
  );
}

function Amount({ label, value }: { label: string; value: string | null }) {
  return (
    <td className="numeric" data-label={label}>
      {perMillion(value)}
    </td>
  );
}
