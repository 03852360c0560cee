/** The bar at the bottom: what the console is connected to, and the state of the router. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { loginsQuery, providerQuery, settingsQuery, statusQuery } from "../api/queries";
import { useConnection } from "../api/socket";
import { fromSeconds, remaining } from "../format/time";
import { isTransitional, phase, type ServiceState, text } from "../lifecycle/reducer";
import { useServices } from "../lifecycle/store";
import { Mark, type Tone } from "../parts/mark";
import { toast } from "../parts/toast";
import css from "./shell.module.css";

export function StatusBar() {
  useQuery(statusQuery);
  const { connected, attempts, extension } = useConnection();
  return (
    <footer className={css.status}>
      <span className={css.minor}>{matchMedia("(display-mode: standalone)").matches ? "App" : "Browser"}</span>
      <span>
        <Mark tone={connected ? "ok" : "bad"}>
          {connected ? "API connected" : attempts > 0 ? `API reconnecting (${attempts})` : "API connecting"}
        </Mark>
      </span>
      <span className={css.minor}>
        <Mark tone={extension ? "ok" : "off"}>Extension {extension ? "connected" : "not connected"}</Mark>
      </span>
      <LoginState />
      <ActiveProvider />
      <RouterState />
    </footer>
  );
}

function LoginState() {
  const { data } = useQuery(loginsQuery);
  const expires = fromSeconds(data?.expiresAt);
  const left = expires === null ? null : remaining(expires);
  const [tone, word]: [Tone, string] = !data?.hasCredentials
    ? ["off", "none"]
    : data.isValid
      ? ["ok", left ? `authenticated, ${left}` : "authenticated"]
      : ["bad", "invalid"];
  return (
    <span className={css.minor}>
      <Link to="/qwen">
        <Mark tone={tone}>Qwen login: {word}</Mark>
      </Link>
    </span>
  );
}

function ActiveProvider() {
  const { data: settings } = useQuery(settingsQuery);
  const active = typeof settings?.active_provider === "string" ? settings.active_provider : "";
  const { data: provider } = useQuery({ ...providerQuery(active), enabled: active !== "" });
  const model = provider?.models.find((one) => one.is_default)?.id;
  if (active === "") return null;
  return (
    <span className={css.minor}>
      <Link to="/providers/$id" params={{ id: active }} title="The active provider and its default model">
        {active}
        {model && model !== active ? ` · ${model}` : ""}
      </Link>
    </span>
  );
}

/** Returns the mark of a service. */
export function serviceTone(state: ServiceState): Tone {
  if (isTransitional(state)) return "busy";
  const shown = phase(state);
  if (shown === "error") return "bad";
  if (shown === "stopped") return "off";
  return state.status?.healthy === false ? "warn" : "ok";
}

function RouterState() {
  const router = useServices((state) => state["provider-router"]);
  const shown = text(router);
  useTransitionMessages(router);
  return (
    <span className={css.lifecycle} role="status" data-testid="lifecycle" title={shown}>
      {shown !== "" && <Mark tone={serviceTone(router)} />}
      <span>{shown}</span>
    </span>
  );
}

/** Announces starts and stops in the corner, except the state that was found when the page was opened. */
function useTransitionMessages(router: ServiceState): void {
  const shown = router.status === null ? null : phase(router);
  const last = useRef(shown);
  useEffect(() => {
    const before = last.current;
    last.current = shown;
    if (before === null || before === shown) return;
    if (shown === "running") toast("Proxy started", { kind: "ok" });
    if (shown === "stopped") toast("Proxy stopped");
  }, [shown]);
}
