import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, data } from "../../api/client";
import { pricesQuery, queryClient } from "../../api/queries";
import { count } from "../../format/numbers";
import { exactTime } from "../../format/time";
import { useAction } from "../../parts/action";
import { Button, Row } from "../../parts/button";
import { ask } from "../../parts/dialog";
import { AreaField, SearchField } from "../../parts/field";
import { Card, Empty, Failure, Loaded, Page, Stack, Table } from "../../parts/layout";
import { Tag } from "../../parts/mark";
import { toast } from "../../parts/toast";
import { perMillion, priceOf } from "./rows";

export default function Prices() {
  const query = useQuery(pricesQuery);
  const [wanted, setWanted] = useState("");
  const table = query.data;
  return (
    <Page
      title="Prices"
      about={
        <>
          Dollars per million tokens. The cost of each request is computed from them when it ends
          {table && <>; the table in force is {table.version}</>}.
        </>
      }
    >
      <Loaded query={query} rows={10}>
        {({ prices, overrides, updated_at }) => {
          const found = prices.map(priceOf).filter(({ id }) => id.toLowerCase().includes(wanted.trim().toLowerCase()));
          return (
            <>
              <Overrides key={updated_at ?? 0} overrides={overrides} changedAt={updated_at ?? null} />
              <Row>
                <SearchField label="Search models" value={wanted} onCommit={setWanted} />
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
                      </>
                    }
                  >
                    {found.map((price, at) => (
                      <tr key={`${price.id} ${at}`}>
                        <td className="break">
                          {price.id} {price.source === "api" && <Tag tone="ok">yours</Tag>}
                          {!price.verified && price.source !== "api" && (
                            <Tag title="Not compared with the vendor's own price page">unverified</Tag>
                          )}
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
                      </tr>
                    ))}
                  </Table>
                )}
              </Card>
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}

function Amount({ label, value }: { label: string; value: string | null }) {
  return (
    <td className="numeric" data-label={label}>
      {perMillion(value)}
    </td>
  );
}

const EXAMPLE = `{
  "prices": [
    { "id": "openai/gpt-4o-mini", "base": { "in": "0.15", "out": "0.6" } }
  ]
}`;

function Overrides({ overrides, changedAt }: { overrides: unknown; changedAt: number | null }) {
  const stored = overrides == null ? "" : JSON.stringify(overrides, null, 2);
  const [text, setText] = useState(stored);
  const [open, setOpen] = useState(false);
  const save = useAction(
    async () => {
      let body: unknown;
      try {
        body = JSON.parse(text);
      } catch (error) {
        throw new Error(`This is no JSON. ${error instanceof Error ? error.message : ""}`);
      }
      return await data(api.PUT("/api/prices", { body: body as never }));
    },
    { done: "Your prices are in force", after: (table) => queryClient.setQueryData(pricesQuery.queryKey, table) },
  );
  return (
    <Card
      title="Your prices"
      actions={
        <>
          {changedAt !== null && <span className="muted">changed {exactTime(changedAt)}</span>}
          <Button small onClick={() => setOpen(!open)} aria-expanded={open}>
            {open ? "Close" : stored === "" ? "Add your own" : "Change"}
          </Button>
        </>
      }
    >
      {!open && (
        <p className="muted">
          {stored === "" ? "None. Your own prices win over the shipped ones." : "They win over the shipped ones."}
        </p>
      )}
      {open && (
        <Stack>
          {save.problem && <Failure title="Not saved." error={save.problem} />}
          <AreaField
            label="Document"
            className="mono"
            rows={12}
            value={text}
            onChange={setText}
            placeholder={EXAMPLE}
            hint="A JSON document; it replaces all of your earlier prices."
          />
          <Row>
            <Button
              kind="primary"
              pending={save.pending}
              disabledBecause={
                text.trim() === "" ? "Enter a document" : text === stored ? "Nothing has been changed" : undefined
              }
              onClick={() => save.run()}
            >
              Save
            </Button>
            {text.trim() === "" && <Button onClick={() => setText(EXAMPLE)}>Begin with an example</Button>}
            {stored !== "" && (
              <Button kind="danger" onClick={askToRemove}>
                Remove all of yours
              </Button>
            )}
          </Row>
        </Stack>
      )}
    </Card>
  );
}

function askToRemove(): void {
  ask({
    title: "Remove your prices?",
    text: "The shipped prices apply again. Costs that are in the log stay as they are.",
    action: "Remove",
    danger: true,
    run: async () => {
      await data(api.DELETE("/api/prices"));
      await queryClient.invalidateQueries({ queryKey: ["prices"] });
      toast("Your prices were removed", { kind: "ok" });
    },
  });
}
