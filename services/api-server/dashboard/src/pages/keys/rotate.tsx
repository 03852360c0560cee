import { useState } from "react";
import type { KeyView } from "../../api/access-queries";
import { api, data } from "../../api/client";
import { mistakesByPath } from "../../api/mistakes";
import { useAction } from "../../parts/action";
import { Button } from "../../parts/button";
import { Dialog, DialogBody } from "../../parts/dialog";
import { SelectField, TextField } from "../../parts/field";
import { Failure } from "../../parts/layout";
import { refreshKeys } from "./actions";
import { Secret } from "./secret";

const OVERLAPS: [string, string][] = [
  ["0", "ends at once"],
  ["3600", "stays valid for an hour"],
  ["86400", "stays valid for a day"],
  ["604800", "stays valid for a week"],
  ["other", "stays valid for another time"],
];

/** Replaces the secret of a key, and shows the new one. */
export function RotateDialog({ of: key, onClose }: { of: KeyView; onClose: () => void }) {
  const [overlap, setOverlap] = useState("3600");
  const [seconds, setSeconds] = useState("");
  const title = `Rotate ${key.name}`;
  const rotate = useAction(
    async () => {
      const typed = overlap === "other" ? seconds.trim() : overlap;
      // What is no number is left to the server to judge.
      const overlap_seconds = typed !== "" && Number.isFinite(Number(typed)) ? Number(typed) : typed;
      const params = { path: { id: key.id } };
      return await data(api.POST("/api/keys/{id}/rotate", { params, body: { overlap_seconds } as never }));
    },
    { after: refreshKeys },
  );
  const mistakes = mistakesByPath(rotate.problem, ["overlap_seconds"]);
  const made = rotate.result;
  return (
    <Dialog title={title} onClose={onClose} stays={made !== undefined || rotate.pending}>
      {made ? (
        <DialogBody
          title={`New key of ${key.name}`}
          actions={
            <Button kind="primary" sends={false} onClick={onClose}>
              I have stored it
            </Button>
          }
        >
          <Secret secret={made.key} models={made.models} />
        </DialogBody>
      ) : (
        <form
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            rotate.run();
          }}
        >
          <DialogBody
            title={title}
            actions={
              <>
                <Button onClick={onClose}>Cancel</Button>
                <Button kind="primary" type="submit" pending={rotate.pending}>
                  Rotate
                </Button>
              </>
            }
          >
            {rotate.problem && <Failure title="Not rotated." error={rotate.problem} />}
            <p>
              A new key replaces <code>{key.hint}…</code>. Its permissions, limits and expiry stay.
            </p>
            <SelectField
              label="The present key"
              value={overlap}
              options={OVERLAPS}
              onChange={setOverlap}
              hint="While it is valid, clients can be changed one after the other."
            />
            {overlap === "other" && (
              <TextField
                label="Seconds"
                inputMode="numeric"
                value={seconds}
                mistakes={mistakes.get("overlap_seconds")}
                onChange={setSeconds}
                hint="Up to 2,592,000, which is 30 days."
              />
            )}
          </DialogBody>
        </form>
      )}
    </Dialog>
  );
}
