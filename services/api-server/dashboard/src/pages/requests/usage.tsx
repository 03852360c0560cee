import type { ReactNode } from "react";
import type { Schemas } from "../../api/client";
import type { RequestDetail } from "../../api/request";
import { count, dollars } from "../../format/numbers";
import { duration, exactTime, UNKNOWN } from "../../format/time";
import { Card, Empty, Facts, Grid } from "../../parts/layout";
import { Tag } from "../../parts/mark";

const CLASSES: [keyof Schemas["TokensByClass"], string][] = [
  ["input", "Input"],
  ["cache_read", "Input, read from cache"],
  ["cache_write_short", "Input, written to cache"],
  ["cache_write_long", "Input, written to long cache"],
  ["input_audio", "Input, audio"],
  ["input_image", "Input, images"],
  ["output", "Output"],
  ["reasoning", "Output, reasoning"],
  ["output_audio", "Output, audio"],
  ["output_image", "Output, images"],
];

export function Usage({ request }: { request: RequestDetail }) {
  const { response } = request;
  if (!response)
    return <Empty title="Not answered yet">Tokens, cost and times appear with the end of the answer.</Empty>;
  return (
    <Grid>
      <Card title="Tokens">
        <Tokens response={response} />
      </Card>
      <Card title="Cost">
        <Facts
          facts={[
            ["Amount", dollars(response.cost?.amount_usd)],
            ["Origin", response.cost ? response.cost.origin : "no price is known for this model"],
            ["Prices", response.cost?.price_version ?? UNKNOWN],
          ]}
        />
      </Card>
      <Card title="Answer">
        <Facts
          facts={[
            ["Asked at", exactTime(request.timestamp)],
            ["First byte after", duration(response.first_byte_ms)],
            ["Took", duration(response.duration_ms)],
            ["Speed", speed(response)],
            ["Status", response.status_code ?? UNKNOWN],
            ["Ended by", response.finish_reason ?? UNKNOWN],
            ["Attempts", count(response.attempts)],
          ]}
        />
      </Card>
      <Card title="Translation">
        <Translation text={response.translation} />
      </Card>
    </Grid>
  );
}

function Tokens({ response }: { response: Schemas["ResponseFields"] }) {
  const { tokens } = response;
  if (!tokens) {
    return (
      <Facts
        facts={[
          ["Input", count(response.prompt_tokens)],
          ["Output", count(response.completion_tokens)],
          ["Together", count(response.total_tokens)],
        ]}
      />
    );
  }
  const rows = CLASSES.filter(([key]) => tokens[key] !== 0 || key === "input" || key === "output").map(
    ([key, name]): [string, ReactNode] => [name, count(tokens[key] as number)],
  );
  return (
    <>
      <Facts facts={[...rows, ["Together", <strong key="sum">{count(response.total_tokens)}</strong>]]} />
      {tokens.adjusted && <p className="muted">The provider's counts contradicted each other and were adjusted.</p>}
    </>
  );
}

function speed(response: Schemas["ResponseFields"]): string {
  const { completion_tokens: tokens, duration_ms: took, first_byte_ms: first } = response;
  if (tokens == null || took == null || first == null || took <= first) return UNKNOWN;
  return `${count((tokens * 1000) / (took - first))} tokens/s`;
}

/** Splits the report of a translation: its two APIs, and what became of each field. */
export function translationParts(text: string): { apis: string; fields: [field: string, fate: string][] } {
  const [apis = "", ...rest] = text.split(";");
  const fields = rest
    .join(";")
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry.includes("="))
    .map((entry): [string, string] => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]);
  return { apis: apis.trim(), fields };
}

function Translation({ text }: { text: string | null | undefined }) {
  if (!text) return <p className="muted">None: the provider speaks the API of the client.</p>;
  const { apis, fields } = translationParts(text);
  return (
    <>
      <p>
        <Tag>{apis.replace("-", " → ")}</Tag>
      </p>
      {fields.length === 0 ? (
        <p className="muted">Every field of the request has its counterpart.</p>
      ) : (
        <Facts facts={fields.map(([field, fate]) => [field, fate])} />
      )}
    </>
  );
}
