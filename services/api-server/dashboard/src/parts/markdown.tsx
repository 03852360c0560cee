/** Markdown as elements. Tokens become elements one by one, so that no text is ever read as HTML. */

import { Lexer, type Token, type Tokens } from "marked";
import { memo, type ReactNode } from "react";
import css from "./markdown.module.css";

/** Characters above which a text is shown as it is: reading it would block the page. */
const MAX_CHARACTERS = 100_000;

export const Markdown = memo(function Markdown({ text }: { text: string }) {
  if (text.length > MAX_CHARACTERS) return <pre className={css.plain}>{text}</pre>;
  return <div className={css.markdown}>{blocks(new Lexer({ gfm: true }).lex(text))}</div>;
});

function blocks(tokens: Token[]): ReactNode[] {
  return tokens.map((token, at) => <Block key={at} token={token} />);
}

function Block({ token }: { token: Token }): ReactNode {
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "heading":
      return <p className={css.heading}>{inlines(token.tokens)}</p>;
    case "paragraph":
      return <p>{inlines(token.tokens)}</p>;
    case "code":
      return (
        <pre className={css.code}>
          <code>{token.text}</code>
        </pre>
      );
    case "blockquote":
      return <blockquote>{blocks(token.tokens ?? [])}</blockquote>;
    case "list": {
      const list = token as Tokens.List;
      const items = list.items.map((item, at) => (
        <li key={at}>
          {item.task && (item.checked ? "☑ " : "☐ ")}
          {blocks(item.tokens)}
        </li>
      ));
      return list.ordered ? <ol start={list.start || 1}>{items}</ol> : <ul>{items}</ul>;
    }
    case "table":
      return <TableBlock table={token as Tokens.Table} />;
    case "hr":
      return <hr />;
    case "text":
      return token.tokens ? inlines(token.tokens) : token.text;
    default:
      return <span className={css.plain}>{token.raw}</span>;
  }
}

function TableBlock({ table }: { table: Tokens.Table }) {
  return (
    <div className={css.tableBox}>
      <table>
        <thead>
          <tr>
            {table.header.map((cell, at) => (
              <th key={at}>{inlines(cell.tokens)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, at) => (
            <tr key={at}>
              {row.map((cell, column) => (
                <td key={column}>{inlines(cell.tokens)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function inlines(tokens: Token[] | undefined): ReactNode[] {
  return (tokens ?? []).map((token, at) => <Inline key={at} token={token} />);
}

function Inline({ token }: { token: Token }): ReactNode {
  switch (token.type) {
    case "strong":
      return <strong>{inlines(token.tokens)}</strong>;
    case "em":
      return <em>{inlines(token.tokens)}</em>;
    case "del":
      return <del>{inlines(token.tokens)}</del>;
    case "codespan":
      return <code>{token.text}</code>;
    case "br":
      return <br />;
    case "link":
      return isSafe(token.href) ? (
        <a href={token.href} target="_blank" rel="noreferrer noopener">
          {inlines(token.tokens)}
        </a>
      ) : (
        token.raw
      );
    case "image":
      // Fetching it would tell its server that the conversation is being read.
      return <span className={css.image}>image: {token.text || token.href}</span>;
    case "escape":
      return token.text;
    case "text":
      return token.tokens ? inlines(token.tokens) : token.text;
    default:
      return token.raw;
  }
}

/** Returns whether a link may be followed. */
export function isSafe(href: string): boolean {
  return /^(https?:\/\/|mailto:)/i.test(href);
}
