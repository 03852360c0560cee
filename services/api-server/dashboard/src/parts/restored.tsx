import { Button } from "./button";
import type { Restoring } from "./draft";
import { Notice } from "./layout";

/** Says that a form has the input of before a reload. */
export function Restored({ restoring, discard }: { restoring: Restoring; discard: () => void }) {
  if (restoring === "none") return null;
  return (
    <Notice
      tone={restoring === "outdated" ? "warn" : undefined}
      action={
        <Button small onClick={discard}>
          Discard it
        </Button>
      }
    >
      This is what you had entered before the page was loaded again. It is not saved yet.
      {restoring === "outdated" && " The stored one was changed since; saving replaces that change."}
    </Notice>
  );
}
