import { useBlocker } from "@tanstack/react-router";
import { Button } from "./button";
import { Dialog, DialogBody } from "./dialog";

interface GuardProps {
  dirty: boolean;
  /** Whether the input stays while only the search of the address changes, such as by filters. */
  keptBySearch?: boolean;
  /** Called when the input is given up. */
  onLeave?: () => void;
}

/** Asks before a page with unsaved input is left. */
export function LeaveGuard({ dirty, keptBySearch = false, onLeave }: GuardProps) {
  const blocker = useBlocker({
    shouldBlockFn: ({ current, next }) => dirty && !(keptBySearch && current.pathname === next.pathname),
    enableBeforeUnload: () => dirty,
    withResolver: true,
  });
  if (blocker.status !== "blocked") return null;
  return (
    <Dialog title="Leave without saving?" onClose={blocker.reset}>
      <DialogBody
        title="Leave without saving?"
        actions={
          <>
            <Button onClick={blocker.reset}>Stay</Button>
            <Button
              kind="danger"
              sends={false}
              onClick={() => {
                onLeave?.();
                blocker.proceed();
              }}
            >
              Leave
            </Button>
          </>
        }
      >
        <p>What you entered on this page is lost.</p>
      </DialogBody>
    </Dialog>
  );
}
