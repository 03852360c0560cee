/** Messages of a conversation. */

import { useState } from "react";
import { bytes, clipped, plural, short } from "../../format/numbers";
import { Button } from "../../parts/button";
import { CopyButton, Snippet } from "../../parts/copy";
import { Stack } from "../../parts/layout";
import { Tag } from "../../parts/mark";
import { Markdown } from "../../parts/markdown";
import type { Message, Part, Tool } from "./conversation";
import { excerptBegin, hasText, splitAt } from "./find";
import css from "./requests.module.css";

/** Characters of a text that are shown before it is folded. */
const FOLD_AT = 2_000;
/** Messages at the beginning and the end of a conversation that are shown before the rest is folded. */
const FIRST = 2;
const LAST = 18;
/** Messages that a button adds to those. */
const MORE = 50;

const ROLES: Record<string, string> = {
  system: "System",
  developer: "Developer",
  user: "User",
  assistant: "Assistant",
  tool: "Tool",
};

export function Messages({ messages }: { messages: Message[] }) {
  const [first, setFirst] = useState(FIRST);
  const hidden = messages.length - first - LAST;
  const isFolded = hidden > 5;
  return (
    <>
      {(isFolded ? messages.slice(0, first) : messages).map((message, at) => (
        <MessageCard key={at} message={message} />
      ))}
      {isFolded && (
        <>
          <Button onClick={() => setFirst(first + MORE)}>
            Show {hidden <= MORE ? plural(hidden, "message") : `${MORE} of ${plural(hidden, "message")}`} in between
          </Button>
          {messages.slice(-LAST).map((message, at) => (
            <MessageCard key={at + first + hidden} message={message} />
          ))}
        </>
      )}
    </>
  );
}

interface CardProps {
  message: Message;
  note?: string;
  /** Text that is marked wherever it stands. */
  find?: string;
}

export function MessageCard({ message, note, find }: CardProps) {
  const text = message.parts
    .flatMap((part) => (part.kind === "text" ? [part.text] : part.kind === "result" ? [part.text] : []))
    .join("\n");
  const [plain, setPlain] = useState(message.role === "tool");
  const { role } = message;
  return (
    <article className={`${css.message} ${role === "assistant" ? css.assistant : ""}`} aria-label={ROLES[role] ?? role}>
      <header className={css.messageHead}>
        <strong>{ROLES[role] ?? role}</strong>
        {text !== "" && <span>{plural(text.length, "character")}</span>}
        {note && <span>{note}</span>}
        <span>
          {text !== "" && (
            <>
              <Button
                small
                kind="quiet"
                title={plain ? "Show it with its formatting" : "Show it as it was sent"}
                onClick={() => setPlain(!plain)}
              >
                {plain ? "Formatted" : "Plain"}
              </Button>
              <CopyButton small text={text} label="Copy message" />
            </>
          )}
        </span>
      </header>
      <div className={css.messageBody}>
        {message.parts.length === 0 && <span className="muted">(empty)</span>}
        {message.parts.map((part, at) => (
          <PartView key={at} part={part} plain={plain} find={find} />
        ))}
      </div>
    </article>
  );
}

interface PartProps {
  part: Part;
  plain: boolean;
  find?: string | undefined;
}

function PartView({ part, plain, find }: PartProps) {
  switch (part.kind) {
    case "text":
      return <Folded text={part.text} plain={plain} find={find} />;
    case "thinking":
      return (
        <details className={css.part} open={hasText(part.text, find)}>
          <summary>Thinking, {short(part.text.length)} characters</summary>
          <Folded text={part.text} plain={plain} find={find} />
        </details>
      );
    case "call":
      return (
        <details className={css.part} open={part.input.length < 300 || hasText(part.input, find)}>
          <summary>
            Calls <code>{part.name}</code>
          </summary>
          <Folded text={part.input} plain mono find={find} />
        </details>
      );
    case "result":
      return (
        <>
          <span className="muted">
            Result of <code>{part.id || "a call"}</code>
          </span>
          {part.text !== "" && <Folded text={part.text} plain={plain} mono find={find} />}
          {part.media.map((inner, at) => (
            <PartView key={at} part={inner} plain={plain} find={find} />
          ))}
        </>
      );
    case "media":
      return <Media part={part} />;
    case "other":
      return (
        <details className={css.part} open={hasText(part.json, find)}>
          <summary>
            <code>{part.name}</code>
          </summary>
          <Folded text={part.json} plain mono find={find} />
        </details>
      );
  }
}

interface FoldedProps {
  text: string;
  plain: boolean;
  mono?: boolean;
  find?: string | undefined;
}

function Folded({ text, plain, mono, find }: FoldedProps) {
  const [open, setOpen] = useState(false);
  const long = text.length > FOLD_AT;
  const marked = hasText(text, find) ? find : undefined;
  const begin = open || marked === undefined ? 0 : excerptBegin(text, marked, FOLD_AT);
  const shown = long && !open ? text.slice(begin, begin + FOLD_AT) : text;
  return (
    <div>
      {marked !== undefined || plain ? (
        <div className={`${css.plain} ${mono ? "mono" : ""}`}>
          {begin > 0 && "…"}
          {marked === undefined ? shown : <Marked text={shown} find={marked} />}
        </div>
      ) : (
        <Markdown text={shown} />
      )}
      {long && (
        <Button small kind="quiet" onClick={() => setOpen(!open)}>
          {open ? "Show less" : `Show ${short(text.length - FOLD_AT)} more characters`}
        </Button>
      )}
    </div>
  );
}

function Marked({ text, find }: { text: string; find: string }) {
  return splitAt(text, find).map((piece, at) => (at % 2 === 1 ? <mark key={at}>{piece}</mark> : piece));
}

const SHOWABLE = /^data:image\/(png|jpeg|gif|webp|avif);base64,/;

function Media({ part }: { part: Part & { kind: "media" } }) {
  const [open, setOpen] = useState(false);
  return (
    <div className={css.chip}>
      <Tag>{part.media}</Tag>
      <span>
        {part.mime}
        {part.bytes !== null && `, ${bytes(part.bytes)}`}
      </span>
      {part.bytes === null && part.source !== "" && <code className="break">{part.source.slice(0, 200)}</code>}
      {SHOWABLE.test(part.source) && (
        <Button small onClick={() => setOpen(!open)}>
          {open ? "Hide" : "Preview"}
        </Button>
      )}
      {open && <img src={part.source} alt="Sent with the message" />}
    </div>
  );
}

/** The tools that a request offers, each with its schema folded. */
export function Tools({ tools }: { tools: Tool[] }) {
  return (
    <div className={css.tools}>
      {tools.map((tool, at) => (
        <details key={at} className={css.part}>
          <summary>
            <code>{tool.name}</code> {clipped(tool.description, 120)}
          </summary>
          <Stack>
            {tool.description !== "" && <p className={css.plain}>{tool.description}</p>}
            {tool.schema === null ? (
              <p className="muted">Its arguments are not described.</p>
            ) : (
              <Snippet text={JSON.stringify(tool.schema, null, 2)} label={`schema of ${tool.name}`} wrap />
            )}
          </Stack>
        </details>
      ))}
    </div>
  );
}
