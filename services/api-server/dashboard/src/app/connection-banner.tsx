import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useAway, useConnection } from "../api/connection";
import { aboutQuery } from "../api/queries";
import { reconnect } from "../api/socket";
import { age, timeOfDay } from "../format/time";
import { Button } from "../parts/button";
import { Notice } from "../parts/layout";
import css from "./shell.module.css";

/** Says since when the data is old, while there is no connection, and when the console itself is old. */
export function ConnectionBanner() {
  return (
    <div className={css.banners}>
      <Disconnected />
      <NewerConsole />
    </div>
  );
}

/** Offers to load the console of a server that was updated meanwhile. */
function NewerConsole() {
  const { data: about } = useQuery(aboutQuery);
  const first = useRef<string | null>(null);
  first.current ??= about?.dashboard ?? null;
  if (!about || about.dashboard === first.current) return null;
  return (
    <div className={css.banner}>
      <Notice
        action={
          <Button small onClick={() => location.reload()}>
            Reload
          </Button>
        }
      >
        The server was updated, and has a newer console.
      </Notice>
    </div>
  );
}

function Disconnected() {
  const lostAt = useConnection((state) => state.lostAt);
  const away = useAway();
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (away === undefined) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [away]);
  if (away === undefined) return null;
  return (
    <div className={css.banner}>
      <Notice
        tone="warn"
        action={
          <Button small onClick={reconnect}>
            Try now
          </Button>
        }
      >
        <strong>Disconnected since {timeOfDay(lostAt)}</strong> ({age(lostAt, now)}). What you see is from then. If the
        server was stopped, start it with <code>api-server start</code>.
      </Notice>
    </div>
  );
}
