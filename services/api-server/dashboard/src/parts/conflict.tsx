/** What is asked when somebody else has changed what is being saved. */

import { useState } from "react";
import { asProblem } from "../api/problem";
import { Button } from "./button";
import { Changes } from "./changes";
import { Dialog, DialogBody } from "./dialog";
import { type FieldChange, fieldChanges } from "./field-changes";
import { Failure } from "./layout";

interface Conflict<T> {
  /** As it is stored now. */
  now: T;
  /** Saves the input over it. */
  mine: () => Promise<unknown>;
}

/**
 * Guards saving against changes from elsewhere. `put` saves over a version, and `read` returns the present one. The
 * input stays either way.
 */
export function useConflict<T>(): {
  conflict: Conflict<T> | null;
  close: () => void;
  guard: (base: T, put: (over: T) => Promise<unknown>, read: () => Promise<T>) => Promise<void>;
} {
  const [conflict, setConflict] = useState<Conflict<T> | null>(null);
  const guard = async (base: T, put: (over: T) => Promise<unknown>, read: () => Promise<T>): Promise<void> => {
    try {
      await put(base);
    } catch (error) {
      if (asProblem(error).isConflict) {
        const now = await read();
        setConflict({ now, mine: () => put(now) });
      }
      throw error;
    }
  };
  return { conflict, close: () => setConflict(null), guard };
}

interface ConflictProps {
  /** Name of the thing, such as `The route`. */
  what: string;
  /** As it was when the form was opened, and as it is stored now. */
  base: object;
  now: object;
  onMine: () => Promise<unknown>;
  onTheirs: () => void;
  onClose: () => void;
}

/** Fields that change with every write, and say nothing. */
const SILENT = new Set(["etag", "updated_at", "problems"]);

export function ConflictDialog({ what, base, now, onMine, onTheirs, onClose }: ConflictProps) {
  const [pending, setPending] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const changes = fieldChanges(base, now).filter(({ field }: FieldChange) => !SILENT.has(field));
  const overwrite = async () => {
    setPending(true);
    try {
      await onMine();
      onClose();
    } catch (failure) {
      setError(failure);
      setPending(false);
    }
  };
  return (
    <Dialog title="Changed meanwhile" onClose={onClose}>
      <DialogBody
        title="Changed meanwhile"
        actions={
          <>
            <Button onClick={onClose}>Go on editing</Button>
            <Button
              onClick={() => {
                onTheirs();
                onClose();
              }}
            >
              Take the stored one
            </Button>
            <Button kind="danger" pending={pending} onClick={() => void overwrite()}>
              Save mine over it
            </Button>
          </>
        }
      >
        <p>{what} was changed elsewhere while you edited it. Nothing was saved, and your input is kept.</p>
        {changes.length > 0 && <Changes changes={changes} />}
        {error != null && <Failure title="Not saved." error={error} />}
      </DialogBody>
    </Dialog>
  );
}
