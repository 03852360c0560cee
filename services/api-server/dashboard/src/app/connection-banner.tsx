import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { aboutQuery } from "../api/queries";
import { reconnect, useConnection } from "../api/socket";
import { age, timeOfDay } from "../format/time";
import { Button } from "../parts/button";
import { Notice } from "../parts/layout";
import { useSession } from "./session";
import css from "./shell.module.css";

/** Milliseconds of a lost connection that are not worth a word. */
const SILENT_FOR = 2_000;

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
  const { connected, lostAt } = useConnection();
  const needed = useSession((state) => state.needed);
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (lostAt === null) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [lostAt]);
  if (connected || needed || lostAt === null || now - lostAt < SILENT_FOR) return null;
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
