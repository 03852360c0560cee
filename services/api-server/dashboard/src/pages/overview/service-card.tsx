/** One service: its state, its process, and its buttons. */

import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import type { ProcessStats } from "../../api/topics";
import { serviceTone } from "../../app/status-bar";
import { plural } from "../../format/numbers";
import { duration, remaining, UNKNOWN } from "../../format/time";
import { command, useRefusal } from "../../lifecycle/commands";
import { phase, type ServiceState, text } from "../../lifecycle/reducer";
import { type Service, useServices } from "../../lifecycle/store";
import { Button, Row } from "../../parts/button";
import { ask } from "../../parts/dialog";
import { Card, Facts, Failure, Loading, Notice } from "../../parts/layout";
import { Mark } from "../../parts/mark";
import css from "./overview.module.css";
import { resourceFacts } from "./resources";

const JOBS: Record<Service, string> = {
  "provider-router": "answers your clients",
  "qwen-proxy": "makes chat.qwen.ai a provider",
};

export function ServiceCard({ service, stats }: { service: Service; stats: (ProcessStats | undefined)[] }) {
  const state = useServices((services) => services[service]);
  const now = useNow(state.status !== null);
  const { status } = state;
  return (
    <Card
      title={
        <>
          {service} <span className={css.job}>{JOBS[service]}</span>
        </>
      }
    >
      {status === null ? (
        <Loading rows={3} />
      ) : (
        <div className={css.service} data-service={service}>
          <div className={css.state} data-testid={`state-${service}`}>
            <Mark tone={serviceTone(state)}>{text(state)}</Mark>
          </div>
          <Trouble state={state} now={now} />
          <Facts
            facts={[
              ["Process", status.pid === null ? UNKNOWN : `pid ${status.pid}`],
              [
                "Running for",
                status.pid === null ? UNKNOWN : duration(status.uptime * 1000 + (now - state.receivedAt)),
              ],
              ["Replaced", status.restarts === 0 ? "never" : plural(status.restarts, "time")],
              ...(status.pid === null ? [] : resourceFacts(stats)),
            ]}
          />
          <Buttons service={service} state={state} />
        </div>
      )}
    </Card>
  );
}

function Trouble({ state, now }: { state: ServiceState; now: number }) {
  const { status } = state;
  if (status === null) return null;
  const left = status.nextRetryAt === null ? null : remaining(status.nextRetryAt, now);
  return (
    <>
      {phase(state) === "running" && !status.healthy && (
        <Notice tone="warn">It does not answer its health check.</Notice>
      )}
      {status.willRestart && (
        <Notice tone="warn">
          {left === null ? "The next try is due now." : `The next try is in ${left}.`}{" "}
          {plural(status.failures, "failure")} in a row.
        </Notice>
      )}
      {status.lastFailure && (
        <details>
          <summary>
            Last failure: <code>{status.lastFailure.code}</code>
          </summary>
          <p className="muted break">{status.lastFailure.message}</p>
        </details>
      )}
    </>
  );
}

function Buttons({ service, state }: { service: Service; state: ServiceState }) {
  const shown = phase(state);
  const idle = shown === "stopped" || shown === "error";
  const retries = state.status?.willRestart === true;
  const busy = state.pending === null ? undefined : "Another command is under way";
  const restarting = state.pending === "restart" || state.restartingFrom !== null;
  return (
    <Row>
      {idle || shown === "stopping" ? (
        <Button
          kind="primary"
          pending={state.pending === "start"}
          disabledBecause={busy}
          onClick={() => void command("start", service)}
        >
          {retries ? "Start now" : "Start"}
        </Button>
      ) : (
        <>
          <Button
            sends
            pending={state.pending === "stop"}
            disabledBecause={busy}
            onClick={() => void command("stop", service)}
          >
            Stop
          </Button>
          <Button
            sends
            pending={restarting}
            disabledBecause={busy}
            onClick={() => void command("restart", service)}
            title="A new process takes over; no request is lost"
          >
            {restarting ? "Restarting…" : "Restart"}
          </Button>
        </>
      )}
      <Link to="/logs" search={{ log: service }} style={{ marginInlineStart: "auto" }}>
        Log
      </Link>
    </Row>
  );
}

/** Why the last command was refused, with what can be done about it. */
export function Refused() {
  const { refusal } = useRefusal();
  if (refusal === null) return null;
  const { problem, command: refused, service } = refusal;
  const { owner, port, code } = problem.details;
  const forget = () => useRefusal.setState({ refusal: null });
  if (code === "superseded") {
    return (
      <Notice
        tone="warn"
        action={
          <Button small onClick={forget}>
            Close
          </Button>
        }
      >
        Another command was newer, so this one was given up.
      </Notice>
    );
  }
  if (code !== "PORT_IN_USE") {
    const again = () => void command(refused, service);
    return <Failure title={`The ${refused} of ${service ?? "both services"} failed.`} error={problem} retry={again} />;
  }
  const holder = owner ? `process ${owner.pid}${owner.name ? ` (${owner.name})` : ""}` : "another process";
  return (
    <Notice
      tone="bad"
      action={
        <Row>
          <Button small onClick={() => void command("start", service, { autoPort: true })}>
            Use the next free port
          </Button>
          {owner && (
            <Button
              small
              kind="danger"
              onClick={() =>
                ask({
                  title: `End ${holder}?`,
                  text: `It holds port ${port}. What it has not saved is lost.`,
                  action: `End process ${owner.pid}`,
                  danger: true,
                  run: () => command("start", service, { force: true, expectPid: owner.pid }),
                })
              }
            >
              End process {owner.pid}
            </Button>
          )}
          <Button small kind="quiet" onClick={forget}>
            Close
          </Button>
        </Row>
      }
    >
      <strong>Port {port} is taken</strong> by {holder}
      {service !== null && `, so that ${service} cannot start`}.
    </Notice>
  );
}

/** Returns the time, every second while it is needed. */
export function useNow(needed: boolean): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!needed) return;
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [needed]);
  return now;
}
