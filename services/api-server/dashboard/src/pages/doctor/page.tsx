import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { send } from "../../api/client";
import { asProblem, type Problem } from "../../api/problem";
import { queryClient } from "../../api/queries";
import { address } from "../../app/base";
import { count, plural } from "../../format/numbers";
import { timeOfDay } from "../../format/time";
import { useAction } from "../../parts/action";
import { Button } from "../../parts/button";
import { CopyButton } from "../../parts/copy";
import { Prose } from "../../parts/field";
import { Stethoscope } from "../../parts/icons";
import { Card, Empty, Failure, Loaded, Notice, Page, Stack } from "../../parts/layout";
import { Mark } from "../../parts/mark";
import css from "./doctor.module.css";
import {
  areasOf,
  asText,
  type Check,
  countOf,
  type Report,
  type Results,
  type RouteScores,
  resultsOf,
  type Score,
  type Scorecard,
  STATES,
  VERDICTS,
} from "./report";

const KEY = ["doctor"];

/** Milliseconds between two looks while a run is in progress that somebody else has begun. */
const LOOK_EVERY = 2_000;

/** Returns the last results; `null` from a server of an earlier version, which has no doctor. */
async function fetchResults(signal: AbortSignal): Promise<Results | null> {
  try {
    return resultsOf(await (await send("/api/doctor", { signal })).json());
  } catch (error) {
    if (asProblem(error).isNotFound) return null;
    throw error;
  }
}

async function runDoctor(againstFakes: boolean): Promise<Results> {
  const answer = await send("/api/doctor/run", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ against_fakes: againstFakes }),
  });
  return resultsOf(await answer.json());
}

export default function Doctor() {
  const query = useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => fetchResults(signal),
    staleTime: 0,
    refetchInterval: ({ state }) => (state.data?.running ? LOOK_EVERY : false),
  });
  const keep = { after: (results: Results) => queryClient.setQueryData(KEY, results) };
  const check = useAction(() => runDoctor(false), keep);
  const play = useAction(() => runDoctor(true), keep);
  const results = query.data;
  const report = results?.report ?? null;
  const busy = check.pending || play.pending || results?.running ? "A run is in progress" : undefined;
  const isAbsent = results === null;
  return (
    <Page
      title="Doctor"
      about={
        <>
          Checks the configuration, the providers, the routes and this machine, and says what to do.
          {report?.checked_at != null && <> Checked at {timeOfDay(report.checked_at)}.</>}
        </>
      }
      actions={
        !isAbsent && (
          <>
            {report && report.checks.length > 0 && (
              <CopyButton worded label="Copy report" text={() => asText(report)} />
            )}
            <Button
              kind="primary"
              icon={Stethoscope}
              pending={check.pending}
              disabledBecause={check.pending ? undefined : busy}
              onClick={() => check.run()}
            >
              {check.pending ? "Checking…" : "Check now"}
            </Button>
          </>
        )
      }
    >
      {check.problem && <Failure title="The checks could not be made." error={check.problem} />}
      <Loaded query={query} rows={8}>
        {(results) =>
          results === null ? (
            <Card>
              <Empty title="This server has no doctor">
                Its version does not serve the checks. Update Signalbox, or run <code>provider-router doctor</code>.
              </Empty>
            </Card>
          ) : (
            <>
              {results.report === null ? <NeverRun /> : <Checks report={results.report} />}
              <Faults
                scorecard={results.scorecard}
                actions={
                  <Button
                    small
                    pending={play.pending}
                    disabledBecause={play.pending ? undefined : busy}
                    onClick={() => play.run()}
                  >
                    {play.pending ? "Playing, up to a minute…" : "Play faults"}
                  </Button>
                }
                problem={play.problem}
              />
            </>
          )
        }
      </Loaded>
    </Page>
  );
}

function NeverRun() {
  return (
    <Card>
      <Empty title="Nothing was checked yet">
        A check takes some seconds. It asks each provider for its models, and changes nothing.
      </Empty>
    </Card>
  );
}

function Checks({ report: { checks } }: { report: Report }) {
  const [failed, warned] = [countOf(checks, "fail"), countOf(checks, "warn")];
  return (
    <>
      <Notice tone={failed > 0 ? "bad" : warned > 0 ? "warn" : "ok"}>
        {failed + warned === 0 ? (
          <strong>All is well: {plural(countOf(checks, "ok"), "check")} found nothing wrong.</strong>
        ) : (
          <>
            <strong>
              {failed > 0 && `${plural(failed, "check")} failed`}
              {failed > 0 && warned > 0 && ", "}
              {warned > 0 && `${plural(warned, "check")} found something to look at`}
            </strong>{" "}
            of {plural(checks.length, "check")}.
          </>
        )}
      </Notice>
      {areasOf(checks).map(([area, list]) => (
        <Card key={area} title={area.charAt(0).toUpperCase() + area.slice(1)} flush>
          <ul className={css.checks}>
            {list.map((check) => (
              <CheckRow key={check.id} check={check} />
            ))}
          </ul>
        </Card>
      ))}
    </>
  );
}

function CheckRow({ check: { id, state, finding, remedy, link } }: { check: Check }) {
  const [tone, word] = STATES[state];
  return (
    <li>
      <span>
        <Mark tone={tone}>{word}</Mark>
      </span>
      <div>
        <p>
          <Prose text={finding} />
        </p>
        {remedy !== null && (
          <p className={css.remedy}>
            <Prose text={remedy} />
          </p>
        )}
        <p className={css.more}>
          <code>{id}</code>
          {link !== null && <HelpLink link={link} />}
        </p>
      </div>
    </li>
  );
}

/** Pages of the console and of the web are links; files of the documentation are named. */
function HelpLink({ link }: { link: string }) {
  if (link.startsWith("/")) return <a href={address(link)}>Open the page</a>;
  if (/^https?:/.test(link))
    return (
      <a href={link} target="_blank" rel="noreferrer">
        {link}
      </a>
    );
  return <span>see {link}</span>;
}

interface FaultsProps {
  scorecard: Scorecard | null;
  actions: ReactNode;
  problem: Problem | null;
}

/** How the routes fare when their providers fail. */
function Faults({ scorecard, actions, problem }: FaultsProps) {
  return (
    <Card title="Routes against faults" actions={actions}>
      <Stack>
        <p className="muted">
          Plays the faults of providers against your routes, with fakes in the place of all providers: no real one is
          called, and nothing is changed.
          {scorecard?.played_at != null && <> Played at {timeOfDay(scorecard.played_at)}.</>}
        </p>
        {problem && <Failure title="Nothing was played." error={problem} />}
        {scorecard?.not_played.map((reason) => (
          <Notice key={reason} tone="warn">
            {reason}
          </Notice>
        ))}
        {scorecard?.routes.map((route) => (
          <RouteCard key={route.route ?? ""} scores={route} />
        ))}
      </Stack>
    </Card>
  );
}

function RouteCard({ scores: { route, targets, scores } }: { scores: RouteScores }) {
  const well = scores.filter(({ verdict }) => verdict === "pass").length;
  const rest = scores.filter(({ verdict }) => verdict !== "pass");
  return (
    <details>
      <summary>
        <strong>{route ?? "Requests that name no model"}</strong>{" "}
        <span className="muted">
          {targets.join(", ")}: {count(well)} of {plural(scores.length, "fault")} as they should
        </span>
      </summary>
      <ul className={css.checks}>
        {[...rest, ...scores.filter(({ verdict }) => verdict === "pass")].map((score) => (
          <ScoreRow key={score.id} score={score} />
        ))}
      </ul>
    </details>
  );
}

function ScoreRow({ score: { id, name, done, expected, seen, verdict, remedy } }: { score: Score }) {
  const [tone, word] = VERDICTS[verdict];
  return (
    <li>
      <span>
        <Mark tone={tone}>{word}</Mark>
      </span>
      <div>
        <p>
          <strong>{name}</strong> <Prose text={done} />
        </p>
        <p className={css.remedy}>
          Expected: <Prose text={expected} /> Seen: <Prose text={seen} />
        </p>
        {remedy !== null && (
          <p>
            <Prose text={remedy} />
          </p>
        )}
        <p className={css.more}>
          <code>{id}</code>
        </p>
      </div>
    </li>
  );
}
