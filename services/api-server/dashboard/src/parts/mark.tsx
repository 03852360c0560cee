/** Marks of states: shape and word, never colour alone. */

import type { ReactNode } from "react";
import { Spinner } from "./button";
import css from "./parts.module.css";

export type Tone = "ok" | "warn" | "bad" | "off" | "busy";

const SHAPES: Record<Exclude<Tone, "busy">, ReactNode> = {
  ok: <circle cx="6" cy="6" r="4.5" fill="currentColor" />,
  warn: <path d="M6 1 11.4 10.6H.6Z" fill="currentColor" />,
  bad: <path d="m2 2 8 8M10 2l-8 8" stroke="currentColor" strokeWidth="2.4" strokeLinecap="round" fill="none" />,
  off: <circle cx="6" cy="6" r="4" stroke="currentColor" strokeWidth="1.6" fill="none" />,
};

export function Mark({ tone, children }: { tone: Tone; children?: ReactNode }) {
  return (
    <span className={css.mark}>
      <span className={css[tone]}>
        {tone === "busy" ? (
          <Spinner />
        ) : (
          <svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">
            {SHAPES[tone]}
          </svg>
        )}
      </span>
      {children}
    </span>
  );
}

export function Tag({ tone, children, title }: { tone?: "ok" | "warn" | "bad"; children: ReactNode; title?: string }) {
  return (
    <span className={`${css.tag} ${tone ? css[tone] : ""}`} title={title}>
      {children}
    </span>
  );
}
