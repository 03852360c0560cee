import { useEffect, useState } from "react";
import { asProblem } from "../api/problem";
import { Button, classes, IconButton } from "./button";
import { Check, Copy } from "./icons";
import css from "./parts.module.css";
import { toast } from "./toast";

/** Copies a text. Off this machine and without TLS, browsers have no clipboard API; the old command works there. */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.setAttribute("readonly", "");
    area.className = "visually-hidden";
    // Inside the open dialog, because the rest of the page is inert then.
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    const focused = document.activeElement;
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (focused instanceof HTMLElement) focused.focus();
    return done;
  }
}

interface CopyProps {
  /** The text, or how it is made. */
  text: string | (() => string | Promise<string>);
  label: string;
  small?: boolean;
  /** Whether the label is shown. */
  worded?: boolean;
}

export function CopyButton({ text, label, small, worded }: CopyProps) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [copied]);
  const run = async () => {
    let made: string;
    try {
      made = typeof text === "string" ? text : await text();
    } catch (error) {
      toast(asProblem(error).message, { kind: "bad" });
      return;
    }
    if (await copy(made)) setCopied(true);
    else toast("The browser does not permit copying here. Select the text and press Ctrl+C.", { kind: "bad" });
  };
  const icon = copied ? Check : Copy;
  return worded ? (
    <Button icon={icon} small={small} onClick={run}>
      {copied ? "Copied" : label}
    </Button>
  ) : (
    <IconButton icon={icon} label={copied ? "Copied" : label} small={small} onClick={run} />
  );
}

export function Snippet({ text, label, wrap }: { text: string; label: string; wrap?: boolean }) {
  return (
    <div className={classes(css.snippet, wrap && css.wrap)}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so that it needs the keyboard */}
      <pre tabIndex={0}>{text}</pre>
      <CopyButton text={text} label={`Copy ${label}`} small />
    </div>
  );
}
