import { useBlocker } from "@tanstack/react-router";
import { Button } from "../../parts/button";
import { CopyButton, Snippet } from "../../parts/copy";
import { Dialog, DialogBody } from "../../parts/dialog";
import { Notice, Stack } from "../../parts/layout";

/** Shows a new key, which the server does not show again. */
export function Secret({ secret }: { secret: string }) {
  return (
    <Stack>
      <Notice tone="warn">
        <strong>Store this key now.</strong> It is shown only this once: the server keeps a digest of it. A lost key can
        be rotated, but not shown again.
      </Notice>
      <Snippet label="key" text={secret} wrap />
      <div>
        <CopyButton text={secret} label="Copy the key" worded />
      </div>
    </Stack>
  );
}

/** Asks before the page is left while a key is shown that cannot be shown again. */
export function SecretGuard() {
  const blocker = useBlocker({ shouldBlockFn: () => true, enableBeforeUnload: true, withResolver: true });
  if (blocker.status !== "blocked") return null;
  return (
    <Dialog title="Have you stored the key?" onClose={blocker.reset}>
      <DialogBody
        title="Have you stored the key?"
        actions={
          <>
            <Button onClick={blocker.reset}>Show it again</Button>
            <Button kind="danger" sends={false} onClick={blocker.proceed}>
              Leave
            </Button>
          </>
        }
      >
        <p>It cannot be shown again after this page has been left.</p>
      </DialogBody>
    </Dialog>
  );
}
