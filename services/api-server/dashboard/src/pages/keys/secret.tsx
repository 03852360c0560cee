import { Link, useBlocker } from "@tanstack/react-router";
import { Button, buttonClass, Row } from "../../parts/button";
import { CopyButton, Snippet } from "../../parts/copy";
import { Dialog, DialogBody } from "../../parts/dialog";
import { Notice, Stack } from "../../parts/layout";
import { handKey } from "../connect/handed-key";

/** Shows a new key, which the server does not show again. `models` are those that it may ask for. */
export function Secret({ secret, models }: { secret: string; models?: readonly string[] | null }) {
  return (
    <Stack>
      <Notice tone="warn">
        <strong>Store this key now.</strong> It is shown only this once: the server keeps a digest of it. A lost key can
        be rotated, but not shown again.
      </Notice>
      <Snippet label="key" text={secret} wrap />
      <Row>
        <CopyButton text={secret} label="Copy the key" worded />
        <Link
          to="/connect"
          search={{ model: models?.find(isName) }}
          ignoreBlocker
          className={buttonClass()}
          onClick={() => handKey(secret)}
        >
          Connect a client with it
        </Link>
      </Row>
    </Stack>
  );
}

/** Returns whether a permission names one model, and is not a pattern or a denial. */
function isName(model: string): boolean {
  return !/[*!]/.test(model);
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
