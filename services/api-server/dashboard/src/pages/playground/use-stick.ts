import { useEffect, useLayoutEffect, useRef } from "react";

/** Pixels from the end of the page within which it counts as being there. */
const NEAR = 80;

/** Keeps the end of the page in view while `content` grows, unless the page was scrolled up. A new turn is shown. */
export function useStickToEnd(content: unknown, turns: number): void {
  const isAtEnd = useRef(false);
  const known = useRef(turns);
  useEffect(() => {
    const main = document.getElementById("main");
    const scrolled = () => {
      if (main) isAtEnd.current = main.scrollHeight - main.scrollTop - main.clientHeight < NEAR;
    };
    main?.addEventListener("scroll", scrolled, { passive: true });
    return () => main?.removeEventListener("scroll", scrolled);
  }, []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: whenever the content grows
  useLayoutEffect(() => {
    const main = document.getElementById("main");
    if (main && (isAtEnd.current || turns > known.current)) main.scrollTop = main.scrollHeight;
    known.current = turns;
  }, [content, turns]);
}
