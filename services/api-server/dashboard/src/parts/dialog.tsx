/** Modal dialogs, on the native element: it keeps the focus inside, and returns it afterwards. */

import { type ReactNode, useLayoutEffect, useRef, useState } from "react";
import { create } from "zustand";
import { asProblem } from "../api/problem";
import { Button } from "./button";
import { Field } from "./field";
import { Failure } from "./layout";
import css from "./parts.module.css";

interface DialogProps {
  title: string;
  onClose: () => void;
  /** Whether Escape does not close it. */
  stays?: boolean;
  children: ReactNode;
  className?: string;
}

export function Dialog({ title, onClose, stays, children, className }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  // Only a dialog that is still in the document gives the focus back when it is closed.
  useLayoutEffect(() => {
    const dialog = ref.current;
    if (dialog && !dialog.open) dialog.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      className={className ?? css.dialog}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        if (!stays) onClose();
      }}
      onMouseDown={(event) => {
        if (!stays && event.target === ref.current) onClose();
      }}
    >
      {children}
    </dialog>
  );
}

export function DialogBody({ title, children, actions }: { title: string; children: ReactNode; actions?: ReactNode }) {
  return (
    <div className={css.dialogBody}>
      <h2>{title}</h2>
      {children}
      {actions && <div className={css.dialogActions}>{actions}</div>}
    </div>
  );
}

interface Question {
  title: string;
  text: ReactNode;
  /** Name of the button that goes on. */
  action: string;
  /** Name of the button that does nothing, where `Cancel` could be taken for the action. */
  dismiss?: string;
  danger?: boolean;
  /** Text that has to be typed first. */
  typed?: string;
  /** What is done. If it fails, the dialog stays and says why. */
  run: () => Promise<unknown>;
}

const useQuestion = create<{ question: Question | null }>(() => ({ question: null }));

/** Asks before something is done that cannot be undone. */
export function ask(question: Question): void {
  useQuestion.setState({ question });
}

export function Questions() {
  const { question } = useQuestion();
  return question && <QuestionDialog question={question} close={() => useQuestion.setState({ question: null })} />;
}

function QuestionDialog({ question, close }: { question: Question; close: () => void }) {
  const [typed, setTyped] = useState("");
  const [pending, setPending] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const run = async () => {
    setPending(true);
    setError(null);
    try {
      await question.run();
      close();
    } catch (failure) {
      setError(asProblem(failure));
      setPending(false);
    }
  };
  const missing = question.typed !== undefined && typed !== question.typed ? `Type ${question.typed} first` : undefined;
  return (
    <Dialog title={question.title} onClose={close}>
      <DialogBody
        title={question.title}
        actions={
          <>
            <Button onClick={close}>{question.dismiss ?? "Cancel"}</Button>
            <Button
              kind={question.danger ? "danger" : "primary"}
              pending={pending}
              disabledBecause={missing}
              onClick={run}
            >
              {question.action}
            </Button>
          </>
        }
      >
        <div>{question.text}</div>
        {question.typed !== undefined && (
          <Field label={`Type ${question.typed} to confirm`}>
            {(id) => (
              <input
                id={id}
                className={css.input}
                value={typed}
                autoComplete="off"
                onChange={(event) => setTyped(event.target.value)}
              />
            )}
          </Field>
        )}
        {error != null && <Failure error={error} />}
      </DialogBody>
    </Dialog>
  );
}
