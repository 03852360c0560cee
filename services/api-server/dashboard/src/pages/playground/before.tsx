import { plural } from "../../format/numbers";
import { Button } from "../../parts/button";
import { X } from "../../parts/icons";
import { askedMessages } from "../requests/conversation";
import { Messages } from "../requests/messages";
import css from "./playground.module.css";
import { usePlayground } from "./store";

/** The messages of a handover, which are sent ahead of the conversation. */
export function Before({ messages }: { messages: unknown[] }) {
  if (messages.length === 0) return null;
  return (
    <details className={css.fold}>
      <summary>{plural(messages.length, "message")} sent ahead of what follows</summary>
      <div className={css.before}>
        <div>
          <Button small icon={X} onClick={() => usePlayground.setState({ before: [] })}>
            Leave them out
          </Button>
        </div>
        <Messages messages={askedMessages({ messages })} />
      </div>
    </details>
  );
}
