import { useQuery } from "@tanstack/react-query";
import { send } from "../../api/client";
import { asProblem } from "../../api/problem";
import { queryClient } from "../../api/queries";
import { plural } from "../../format/numbers";
import { timeOfDay } from "../../format/time";
import { useAction } from "../../parts/action";
import { Button } from "../../parts/button";
import { CopyButton } from "../../parts/copy";
import { Prose } from "../../parts/field";
import { Stethoscope } from "../../parts/icons";
import { Card, Empty, Failure, Loaded, Notice, Page } from "../../parts/layout";
import { Mark } from "../../parts/mark";
import css from "./doctor.module.css";
import { areasOf, asText, type Check, countOf, type Report, reportOf, STATES } from "./report";

const KEY = ["doctor"];

/** Returns the last report; `null` if the server has none, which those of earlier versions never have. */
async function fetchReport(signal: AbortSignal): Promise<Report | null> {
  try {
    return reportOf(await (await send("/api/doctor", { signal })).json());
  } catch (error) {
    if (asProblem(error).isNotFound) return null;
    throw error;
  }
}

export default function Doctor() {
  const query = useQuery({ queryKey: KEY, queryFn: ({ signal }) => fetchReport(signal), staleTime: 0 });
  const run = useAction(async () => reportOf(await (await send("/api/doctor/run", { method: "POST" })).json()), {
    after: (report) => queryClient.setQueryData(KEY, report),
  });
  const report = query.data;
  const isAbsent = run.problem?.isNotFound === true || run.problem?.details.status === 405;
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
        <>
          {report && report.checks.length > 0 && <CopyButton worded label="Copy report" text={() => asText(report)} />}
          <Button kind="primary" icon={Stethoscope} pending={run.pending} onClick={() => run.run()}>
            {run.pending ? "Checking…" : "Check now"}
          </Button>
        </>
      }
    >
      {isAbsent ? (
        <Notice tone="warn">
          This server has no doctor. Update Signalbox, or run <code>provider-router doctor</code> where it is installed.
        </Notice>
      ) : (
        run.problem && <Failure title="The checks could not be made." error={run.problem} retry={() => run.run()} />
      )}
      <Loaded query={query} rows={8}>
        {(report) => (report === null || report.checks.length === 0 ? <NeverRun /> : <Checks report={report} />)}
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
      <span className={css.state}>
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
  if (link.startsWith("/")) return <a href={link}>Open the page</a>;
  if (/^https?:/.test(link))
    return (
      <a href={link} target="_blank" rel="noreferrer">
        {link}
      </a>
    );
  return <span>see {link}</span>;
}
