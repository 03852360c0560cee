/** Why a request went where it went: the plan, what it left out, and what became of it. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { routesQuery } from "../../api/access-queries";
import type { Schemas } from "../../api/client";
import { type Explanation, explainQuery, type RequestDetail } from "../../api/request";
import { dollars, plural } from "../../format/numbers";
import { age, duration } from "../../format/time";
import { Card, Empty, Facts, Grid, Loaded, Notice, Stack, Table } from "../../parts/layout";
import { Mark, type Tone } from "../../parts/mark";

export function ExplainTab({ request }: { request: RequestDetail }) {
  const query = useQuery(explainQuery(request.request_id));
  return (
    <Loaded query={query}>
      {(explanation) => (
        <Stack>
          {!explanation.plan_kept && request.status !== "pending" && (
            <Notice>
              Only the outcome is known. The plan is kept for requests with a route, with wishes of the client, or with
              more than one attempt.
            </Notice>
          )}
          <Grid>
            <Card title="How it was routed">
              <Facts facts={routing(explanation)} />
            </Card>
            <Card title="What it cost">
              <Facts facts={price(request)} />
            </Card>
          </Grid>
          <Targets explanation={explanation} isPending={request.status === "pending"} />
          {explanation.skipped.length > 0 && <Skipped skipped={explanation.skipped} />}
        </Stack>
      )}
    </Loaded>
  );
}

const POLICIES: Record<string, string> = {
  priority: "in the order of the route",
  weighted: "by weight",
  "round-robin": "each in turn",
  "least-busy": "the one with the fewest requests first",
  latency: "the fastest first",
  cheapest: "the cheapest first",
};

function routing(explanation: Explanation): [string, ReactNode][] {
  const { route, policy, overrides, cache, guard, mirror_of: mirrored, model, plan_kept } = explanation;
  const wishes = Object.entries(overrides);
  const facts: [string, ReactNode][] = [
    ["Model asked for", model || "none"],
    ["Route", route ? <RouteLink key="route" model={route} /> : plan_kept ? "none has this model" : "not kept"],
  ];
  if (policy) facts.push(["Policy", POLICIES[policy] ? `${policy}: ${POLICIES[policy]}` : policy]);
  facts.push([
    "Wishes of the client",
    wishes.length === 0
      ? plan_kept
        ? "none"
        : "not kept"
      : wishes.map(([name, value]) => (
          <div key={name}>
            <code>
              {name}: {JSON.stringify(value)}
            </code>
          </div>
        )),
  ]);
  if (cache) facts.push(["Cache", <Cache key="cache" cache={cache} />]);
  if (guard.length > 0) facts.push(["Guardrails", guard.map((change) => <div key={change}>{change}</div>)]);
  if (mirrored)
    facts.push([
      "Mirror of",
      <Link key="mirror" to="/requests/$id" params={{ id: mirrored }}>
        <code className="break">{mirrored}</code>
      </Link>,
    ]);
  return facts;
}

function Cache({ cache }: { cache: Schemas["ExplainedCache"] }) {
  if (cache.outcome !== "hit") return cache.outcome === "miss" ? "it had no answer" : "it was not asked";
  return (
    <>
      the answer of{" "}
      {cache.request_id ? (
        <Link to="/requests/$id" params={{ id: cache.request_id }}>
          an earlier request
        </Link>
      ) : (
        "an earlier request"
      )}
      {cache.age_ms != null && `, ${duration(cache.age_ms)} old`}
    </>
  );
}

function RouteLink({ model }: { model: string }) {
  const routes = useQuery(routesQuery).data;
  const found = routes?.find((route) => route.model === model);
  if (!found)
    return (
      <>
        {model}
        {routes && " (deleted or renamed since)"}
      </>
    );
  return (
    <>
      <Link to="/routes/$id" params={{ id: found.id }}>
        {model}
      </Link>
      {" · "}changed {age(found.updated_at)}
    </>
  );
}

function price({ response, attempts }: RequestDetail): [string, ReactNode][] {
  return [
    ["Amount", dollars(response?.cost?.amount_usd)],
    ["Origin", response?.cost?.origin ?? "no price is known"],
    [
      "Prices",
      <Link key="prices" to="/prices">
        {response?.cost?.price_version ?? "the table of today"}
      </Link>,
    ],
    ["Attempts", attempts == null ? "not answered yet" : plural(attempts, "attempt")],
  ];
}

function Targets({ explanation, isPending }: { explanation: Explanation; isPending: boolean }) {
  const { targets, attempts } = explanation;
  if (targets.length === 0)
    return (
      <Empty title={isPending ? "Not decided yet" : "No target"}>
        {isPending ? "The plan is kept with the end of the answer." : "No provider could be asked for this model."}
      </Empty>
    );
  return (
    <Card flush title="Targets, in the order of the plan">
      <Table
        label="Targets"
        head={
          <>
            <th>Target</th>
            <th>What became of it</th>
            <th>Why here</th>
          </>
        }
      >
        {targets.map((target, at) => {
          const own = attempts.filter((attempt) => attempt.target === at);
          const last = own.at(-1);
          const [tone, words] = outcomeOf(own.length, last?.error, last?.status);
          return (
            <tr key={`${target.provider} ${at}`}>
              <td className="break">
                {at + 1} <TargetName target={target} />
              </td>
              <td>
                <Mark tone={tone}>{words}</Mark>
              </td>
              <td className="break">{target.why}</td>
            </tr>
          );
        })}
      </Table>
    </Card>
  );
}

/** Returns the mark and the words for what became of a target. */
export function outcomeOf(
  tries: number,
  error: string | null | undefined,
  status: number | null | undefined,
): [Tone, string] {
  if (tries === 0) return ["off", "not needed"];
  const often = tries > 1 ? `, after ${tries} attempts` : "";
  if (error == null && (status == null || status < 400)) return ["ok", `answered${often}`];
  return ["bad", `failed${tries > 1 ? ` ${tries} times` : ""}`];
}

function TargetName({ target }: { target: Schemas["ExplainedTarget"] }) {
  return (
    <>
      <Link to="/providers/$id" params={{ id: target.provider }}>
        {target.provider}
      </Link>
      {target.model && <span className="muted">/{target.model}</span>}
    </>
  );
}

function Skipped({ skipped }: { skipped: Schemas["ExplainedTarget"][] }) {
  return (
    <Card flush title="Left out of the plan">
      <Table
        label="Left out"
        head={
          <>
            <th>Target</th>
            <th>Why not</th>
          </>
        }
      >
        {skipped.map((target, at) => (
          <tr key={`${target.provider} ${at}`}>
            <td className="break">
              <TargetName target={target} />
            </td>
            <td className="break">{target.why}</td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}
