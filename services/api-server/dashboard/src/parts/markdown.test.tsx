// @vitest-environment jsdom
import { render } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { isSafe, Markdown } from "./markdown";

const ALLOWED = new Set([
  "DIV",
  "P",
  "PRE",
  "CODE",
  "BLOCKQUOTE",
  "OL",
  "UL",
  "LI",
  "TABLE",
  "THEAD",
  "TBODY",
  "TR",
  "TH",
  "TD",
  "HR",
  "STRONG",
  "EM",
  "DEL",
  "BR",
  "A",
  "SPAN",
]);

describe("Markdown", () => {
  it("becomes elements", () => {
    const { container } = render(
      <Markdown text={"# A\n\n**b** `c`\n\n- d\n- e\n\n```rust\nf()\n```\n\n| g |\n|---|\n| h |"} />,
    );
    for (const tag of ["strong", "code", "ul li", "pre code", "table td"])
      expect(container.querySelector(tag), tag).not.toBeNull();
  });

  it("never becomes other elements, whatever the text", () => {
    const parts = [
      "<script>alert(1)</script>",
      "<img src=x onerror=alert(1)>",
      "![i](https://e.example/x.png)",
      "[a](javascript:alert(1))",
      "[b](https://e.example)",
      "<a href='data:text/html,x'>",
      "> q",
      "1. x",
      "**",
      "`",
      "\n\n",
      "| a |\n|--|",
      "&lt;",
      "<!--",
      "]]>",
    ];
    let seed = 7;
    for (let round = 0; round < 60; round++) {
      const text = Array.from({ length: 6 }, () => {
        seed = (Math.imul(seed, 48271) >>> 0) % 2147483647;
        return parts[seed % parts.length];
      }).join(" ");
      const { container, unmount } = render(<Markdown text={text} />);
      for (const element of container.querySelectorAll("*")) {
        expect(ALLOWED.has(element.tagName), `${element.tagName} from ${text}`).toBe(true);
        if (element instanceof HTMLAnchorElement) expect(isSafe(element.getAttribute("href") ?? ""), text).toBe(true);
      }
      unmount();
    }
  });

  it("of great length is shown as it is", () => {
    const { container } = render(<Markdown text={"# a ".repeat(30_000)} />);
    expect(container.firstElementChild?.tagName).toBe("PRE");
  });
});
