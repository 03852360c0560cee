/** Frames of pages, cards and lists, and the states that every page has. */

import { useQuery } from "@tanstack/react-query";
import { Link, type LinkProps } from "@tanstack/react-router";
import { type ReactNode, useEffect } from "react";
import { asProblem } from "../api/problem";
import { aboutQuery, queryClient } from "../api/queries";
import { Button, classes } from "./button";
import { CopyButton } from "./copy";
import { ChevronLeft } from "./icons";
import css from "./parts.module.css";

interface PageProps {
  title: string;
  /** Shown instead of the title in the page. */
  heading?: ReactNode;
  about?: ReactNode;
  actions?: ReactNode;
  back?: { to: LinkProps["to"]; label: string };
  wide?: boolean;
  children: ReactNode;
}

export function Page({ title, heading, about, actions, back, wide, children }: PageProps) {
  // Tabs of several servers can be told apart.
  const instance = useQuery(aboutQuery, queryClient).data?.instance;
  useEffect(() => {
    document.title = [title, instance, "Signalbox"].filter(Boolean).join(" · ");
  }, [title, instance]);
  return (
    <div className={classes(css.page, wide && css.wide)}>
      <div>
        {back && (
          <Link to={back.to as never} className={css.back} data-back>
            <ChevronLeft size={14} aria-hidden="true" />
            {back.label}
          </Link>
        )}
        <div className={css.pageHead}>
          <h1>{heading ?? title}</h1>
          {actions && <div className={css.pageActions}>{actions}</div>}
          {about && <p>{about}</p>}
        </div>
      </div>
      {children}
    </div>
  );
}

interface CardProps {
  title?: ReactNode;
  actions?: ReactNode;
  /** Whether the content reaches the edges, as lists do. */
  flush?: boolean;
  children: ReactNode;
}

export function Card({ title, actions, flush, children }: CardProps) {
  return (
    <section className={css.card}>
      {title && (
        <div className={css.cardHead}>
          <h2>{title}</h2>
          {actions && <div className={css.row}>{actions}</div>}
        </div>
      )}
      <div className={flush ? css.cardFlush : css.cardBody}>{children}</div>
    </section>
  );
}

export function Grid({ children }: { children: ReactNode }) {
  return <div className={css.grid}>{children}</div>;
}

export function Stack({ children }: { children: ReactNode }) {
  return <div className={css.stack}>{children}</div>;
}

export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className={css.empty}>
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {action}
    </div>
  );
}

export function Notice({
  tone,
  children,
  action,
}: {
  tone?: "ok" | "warn" | "bad" | undefined;
  children: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className={classes(css.notice, tone && css[tone])} role={tone === "bad" ? "alert" : "status"}>
      <div>{children}</div>
      {action}
    </div>
  );
}

/** Shows why something failed, in the words of the server, and what can be done. */
export function Failure({ error, retry, title }: { error: unknown; retry?: () => void; title?: string }) {
  const problem = asProblem(error);
  const { requestId, mistakes } = problem.details;
  const others = mistakes?.filter((mistake) => mistake !== problem.message);
  return (
    <Notice
      tone="bad"
      action={
        retry && (
          <Button small onClick={retry}>
            Try again
          </Button>
        )
      }
    >
      <strong>{title ?? "This could not be done."}</strong> {problem.message}
      {others && others.length > 0 && (
        <ul>
          {others.map((mistake) => (
            <li key={mistake}>{mistake}</li>
          ))}
        </ul>
      )}
      {requestId && (
        <div className={css["small-print"]}>
          Request id <code>{requestId}</code> <CopyButton text={requestId} label="Copy request id" small />
        </div>
      )}
    </Notice>
  );
}

/** Stands for content that is being loaded. Nothing is shown in the first 150 ms. */
export function Loading({ rows = 4 }: { rows?: number }) {
  return (
    <div className={css.ghosts} role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className={css.ghost} style={{ width: `${92 - ((row * 17) % 45)}%` }} />
      ))}
    </div>
  );
}

interface LoadedProps<T> {
  query: { data: T | undefined; error: unknown; isPending: boolean; refetch: () => unknown };
  rows?: number;
  children: (data: T) => ReactNode;
}

/** Shows the data of a query, or how it stands. Data that was loaded before stays visible above an error. */
export function Loaded<T>({ query, rows, children }: LoadedProps<T>) {
  const { data, error } = query;
  return (
    <>
      {error != null && <Failure title="This could not be loaded." error={error} retry={() => void query.refetch()} />}
      {data !== undefined ? children(data) : error == null && <Loading rows={rows} />}
    </>
  );
}

export function Facts({ facts }: { facts: [string, ReactNode][] }) {
  return (
    <dl className={css.facts}>
      {facts.map(([name, value]) => (
        <div key={name} style={{ display: "contents" }}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Table({ head, children, label }: { head: ReactNode; children: ReactNode; label: string }) {
  return (
    <section className={css.tableBox} aria-label={label}>
      <table className={classes(css.table, css.stacked)}>
        <thead>
          <tr>{head}</tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}
