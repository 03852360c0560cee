/** A viewer for large texts: a worker reads them, and only visible lines are in the document. */

import { type ReactNode, useEffect, useRef, useState } from "react";
import { refusalOf } from "../api/bodies";
import { Problem } from "../api/problem";
import { bytes, count } from "../format/numbers";
import type { Lines } from "../workers/lines";
import { MAX_BYTES, type Opened, type Source } from "../workers/reader";
import { type RemoteReader, startReader } from "../workers/start";
import { Button, buttonClass, Row } from "./button";
import { CopyButton } from "./copy";
import { Select } from "./field";
import { Download } from "./icons";
import { Empty, Failure, Loading, Notice } from "./layout";
import css from "./viewer.module.css";
import { FindField, useFind } from "./viewer-find";
import { LineList, useFolds } from "./viewer-lines";

interface ViewerProps {
  /** The text, or the address that it is fetched from. */
  text?: string;
  url?: string;
  /** Name of the file for downloads. */
  name: string;
  label: string;
  /** Shown if the server has no such text. */
  missing?: string;
}

interface Reading {
  reader: RemoteReader;
  opened: Opened;
}

export function Viewer({ text, url, name, label, missing }: ViewerProps) {
  const [reading, setReading] = useState<Reading | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [attempt, setAttempt] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each attempt begins anew
  useEffect(() => {
    const end = new AbortController();
    setReading(null);
    setError(null);
    const source: Source = url === undefined ? { text: text ?? "" } : { url };
    const reader = startReader(end.signal);
    reader.call("open", source).then(
      (opened) => setReading({ reader, opened }),
      (failure) => !end.signal.aborted && setError(refusalOf(failure) ?? failure),
    );
    return () => end.abort();
  }, [text, url, attempt]);
  if (error != null) {
    if (missing !== undefined && error instanceof Problem && error.isNotFound)
      return <Empty title="This body was not kept">{missing}</Empty>;
    return <Failure title="The text cannot be shown." error={error} retry={() => setAttempt(attempt + 1)} />;
  }
  if (reading === null) return <Loading rows={6} />;
  if (reading.opened.isTooLarge) return <TooLarge bytes={reading.opened.bytes} {...{ url, name, label }} />;
  return <Text {...reading} {...{ text, url, name, label }} />;
}

function TooLarge({ bytes: size, url, name, label }: { bytes: number; url: string | undefined } & Named) {
  return (
    <Empty title={`${label}: ${bytes(size)}`} action={url && <SaveLink {...{ url, name, label }} worded />}>
      It is shown up to {bytes(MAX_BYTES)}. Save it, and open it with another program.
    </Empty>
  );
}

interface Named {
  name: string;
  label: string;
}

/** Saves what the server has, byte for byte. */
function SaveLink({ url, name, label, worded }: Named & { url: string; worded?: boolean }) {
  return (
    <a
      className={buttonClass(worded ? "default" : "quiet", !worded, !worded)}
      href={url}
      download={name}
      aria-label={`Save ${label}`}
      title={`Save ${label}`}
    >
      <Download size={16} aria-hidden="true" />
      {worded && "Save it"}
    </a>
  );
}

function Text({
  reader,
  opened,
  text,
  url,
  name,
  label,
}: Reading & Named & { text?: string | undefined; url?: string | undefined }) {
  const [pretty, setPretty] = useState(true);
  const [wrap, setWrap] = useState(true);
  const [lines, setLines] = useState<Lines | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    let isCurrent = true;
    reader.call("lines", pretty).then(
      (lines) => isCurrent && setLines(lines),
      (failure) => isCurrent && setError(failure),
    );
    return () => {
      isCurrent = false;
    };
  }, [reader, pretty]);
  if (error != null) return <Failure title="The text cannot be shown." error={error} />;
  if (lines === null) return <Loading rows={6} />;
  const copied = text ?? (() => reader.call("text", undefined));
  return (
    <LoadedText
      key={String(pretty)}
      {...{ reader, lines, label, pretty, wrap }}
      tools={
        <>
          <span className={css.push}>
            {bytes(opened.bytes)}, {count(lines.offsets.length - 1)} lines
          </span>
          <Button small kind="quiet" onClick={() => setPretty(!pretty)}>
            {pretty ? "As it is" : "Pretty"}
          </Button>
          <Button small kind="quiet" onClick={() => setWrap(!wrap)}>
            {wrap ? "Do not wrap" : "Wrap"}
          </Button>
          <CopyButton small text={copied} label={`Copy ${label}`} />
          {url === undefined ? (
            <Button
              small
              kind="quiet"
              icon={Download}
              aria-label={`Download ${label}`}
              onClick={() => download(text ?? "", name)}
            />
          ) : (
            <SaveLink {...{ url, name, label }} />
          )}
        </>
      }
    />
  );
}

interface LoadedProps {
  reader: RemoteReader;
  lines: Lines;
  label: string;
  pretty: boolean;
  wrap: boolean;
  tools: ReactNode;
}

const LEVELS: [string, string][] = [
  ["", "Open"],
  ["1", "1 level"],
  ["2", "2 levels"],
  ["3", "3 levels"],
];

function LoadedText({ reader, lines, label, pretty, wrap, tools }: LoadedProps) {
  const scroll = useRef<((line: number) => void) | null>(null);
  const folds = useFolds(lines);
  const find = useFind(reader, pretty, (line) => {
    folds.unfold(line);
    // The list is drawn with the line unfolded before it is scrolled to.
    requestAnimationFrame(() => scroll.current?.(line));
  });
  const brokenJson = pretty && !lines.isJson && /^\s*[[{]/.test(lines.text.slice(0, 1_000));
  return (
    <div className={css.viewer}>
      <Row className={css.tools}>
        <FindField label={label} find={find} />
        {lines.closes.some((close) => close !== 0) && (
          <Select aria-label="Levels shown" value={folds.level} onChange={folds.setLevel} options={LEVELS} />
        )}
        {tools}
      </Row>
      {brokenJson && <Notice tone="warn">This is no complete JSON, and is shown as it is.</Notice>}
      <LineList {...{ lines, label, wrap, folds, scroll }} hit={find.hit} />
    </div>
  );
}

/** Saves a text as a file. */
export function download(text: string, name: string, type = "application/json"): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
