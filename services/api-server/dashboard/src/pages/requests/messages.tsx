/** Messages of a conversation. */

import { useState } from "react";
import { bytes, plural, short } from "../../format/numbers";
import { Button } from "../../parts/button";
import { CopyButton } from "../../parts/copy";
import { Tag } from "../../parts/mark";
import { Markdown } from "../../parts/markdown";
import type { Message, Part, Tool } from "./conversation";
import css from "./requests.module.css";

/** Characters of a text that are shown before it is folded. */
const FOLD_AT = 2_000;
/** Messages at the beginning and the end of a conversation that are shown before the rest is folded. */
const FIRST = 2;
const LAST = 18;

const ROLES: Record<string, string> = {
  system: "System",
  developer: "Developer",
  user: "User",
  assistant: "Assistant",
  tool: "Tool",
};

export function Messages({ messages }: { messages: Message[] }) {
  const [all, setAll] = useState(false);
  const hidden = messages.length - FIRST - LAST;
  const folded = !all && hidden > 5;
  return (
    <>
      {(folded ? messages.slice(0, FIRST) : messages).map((message, at) => (
        <MessageCard key={at} message={message} />
      ))}
      {folded && (
        <>
          <Button onClick={() => setAll(true)}>Show {plural(hidden, "message")} in between</Button>
          {messages.slice(-LAST).map((message, at) => (
            <MessageCard key={at + FIRST + hidden} message={message} />
          ))}
        </>
      )}
    </>
  );
}

export function MessageCard({ message, note }: { message: Message; note?: string }) {
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
          <PartView key={at} part={part} plain={plain} />
        ))}
      </div>
    </article>
  );
}

function PartView({ part, plain }: { part: Part; plain: boolean }) {
  switch (part.kind) {
    case "text":
      return <Folded text={part.text} plain={plain} />;
    case "thinking":
      return (
        <details className={css.part}>
          <summary>Thinking, {short(part.text.length)} characters</summary>
          <Folded text={part.text} plain={plain} />
        </details>
      );
    case "call":
      return (
        <details className={css.part} open={part.input.length < 300}>
          <summary>
            Calls <code>{part.name}</code>
          </summary>
          <Folded text={part.input} plain mono />
        </details>
      );
    case "result":
      return (
        <>
          <span className="muted">
            Result of <code>{part.id || "a call"}</code>
          </span>
          {part.text !== "" && <Folded text={part.text} plain={plain} mono />}
          {part.media.map((inner, at) => (
            <PartView key={at} part={inner} plain={plain} />
          ))}
        </>
      );
    case "media":
      return <Media part={part} />;
    case "other":
      return (
        <details className={css.part}>
          <summary>
            <code>{part.name}</code>
          </summary>
          <Folded text={part.json} plain mono />
        </details>
      );
  }
}

function Folded({ text, plain, mono }: { text: string; plain: boolean; mono?: boolean }) {
  const [open, setOpen] = useState(false);
  const long = text.length > FOLD_AT;
  const shown = long && !open ? text.slice(0, FOLD_AT) : text;
  return (
    <div>
      {plain ? <div className={`${css.plain} ${mono ? "mono" : ""}`}>{shown}</div> : <Markdown text={shown} />}
      {long && (
        <Button small kind="quiet" onClick={() => setOpen(!open)}>
          {open ? "Show less" : `Show ${short(text.length - FOLD_AT)} more characters`}
        </Button>
      )}
    </div>
  );
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

export function Tools({ tools }: { tools: Tool[] }) {
  if (tools.length === 0) return null;
  return (
    <details>
      <summary>{plural(tools.length, "tool")} offered</summary>
      {tools.map((tool, at) => (
        <details key={at} className={css.part} style={{ paddingInlineStart: 16 }}>
          <summary>
            <code>{tool.name}</code> {tool.description.slice(0, 120)}
          </summary>
          <p className={css.plain}>{tool.description}</p>
          <pre className={css.plain}>{JSON.stringify(tool.schema, null, 2)}</pre>
        </details>
      ))}
    </details>
  );
}
