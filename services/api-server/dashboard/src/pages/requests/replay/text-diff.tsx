/** Two texts beside each other, with what differs marked in both. */

import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { bytes, plural } from "../../../format/numbers";
import { Button } from "../../../parts/button";
import { Select } from "../../../parts/field";
import { Card, Empty, Loaded } from "../../../parts/layout";
import type { Comparison, Piece, ToCompare, Unit } from "../../../workers/diff";
import { compareTexts } from "../../../workers/start";
import { foldedPieces, MAX_PIECES, summaryOf } from "./pieces";
import css from "./replay.module.css";

interface DiffProps {
  title: string;
  before: string;
  after: string;
  unit: Unit | undefined;
}

/** Returns a number that differs for other texts, so that they need not be part of a key. */
function digest(text: string): number {
  let sum = text.length;
  for (let at = 0; at < text.length; at++) sum = (Math.imul(sum, 31) + text.charCodeAt(at)) | 0;
  return sum;
}

export function TextDiff({ title, before, after, unit }: DiffProps) {
  const navigate = useNavigate({ from: "/requests/$id/replay" });
  const key = useMemo(() => [digest(before), digest(after)], [before, after]);
  const input: ToCompare = { before, after, unit };
  const query = useQuery({
    queryKey: ["comparison", key, unit ?? ""],
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    structuralSharing: false,
    queryFn: ({ signal }) => compareTexts<Comparison>(input, signal),
  });
  const used = query.data?.unit ?? unit ?? "words";
  return (
    <Card
      title={title}
      actions={
        <>
          {query.data?.pieces && <span className="muted">{summaryOf(query.data.pieces, used)}</span>}
          <Select
            aria-label={`Compare the ${title.toLowerCase()} by`}
            value={used}
            onChange={(by) =>
              void navigate({ search: (old) => ({ ...old, by: by === "lines" ? "lines" : "words" }), replace: true })
            }
            options={[
              ["words", "by words"],
              ["lines", "by lines"],
            ]}
          />
        </>
      }
    >
      <Loaded query={query} rows={4}>
        {({ pieces }) =>
          pieces === null ? (
            <Empty title="The texts cannot be compared">
              They are too long or too different ({bytes(before.length)} and {bytes(after.length)}). Each is on the page
              of its request.
            </Empty>
          ) : (
            <Sides pieces={pieces} />
          )
        }
      </Loaded>
    </Card>
  );
}

function Sides({ pieces }: { pieces: Piece[] }) {
  const [limit, setLimit] = useState(MAX_PIECES);
  const folded = useMemo(() => foldedPieces(pieces), [pieces]);
  const shown = folded.slice(0, limit);
  const rest = folded.length - shown.length;
  return (
    <>
      <div className={css.sides}>
        <Side title="Original" pieces={shown.filter(({ kind }) => kind !== "added")} />
        <Side title="Replay" pieces={shown.filter(({ kind }) => kind !== "removed")} />
      </div>
      {rest > 0 && <Button onClick={() => setLimit(limit + MAX_PIECES)}>Show more of {plural(rest, "piece")}</Button>}
    </>
  );
}

function Side({ title, pieces }: { title: string; pieces: Piece[] }) {
  return (
    <section aria-label={`Text, ${title.toLowerCase()}`}>
      <h3>{title}</h3>
      {pieces.length === 0 ? (
        <p className="muted">(empty)</p>
      ) : (
        <div className={css.text}>
          {pieces.map(({ kind, text }, at) =>
            kind === "same" ? (
              <span key={at}>{text}</span>
            ) : kind === "removed" ? (
              <del key={at}>{text}</del>
            ) : (
              <ins key={at}>{text}</ins>
            ),
          )}
        </div>
      )}
    </section>
  );
}
