import { linesOf } from "./lines";

addEventListener("message", (event: MessageEvent<{ text: string; pretty: boolean }>) => {
  const lines = linesOf(event.data.text, event.data.pretty);
  postMessage(lines, { transfer: [lines.offsets.buffer] });
});
